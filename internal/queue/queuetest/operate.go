package queuetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/queue"
)

var operatorCases = []testCase{
	{"a dead letter keeps everything and frees its lane", Options{}, func(f *fixture) {
		f.enqueue(job("a", 0), job("a", 1))
		born := f.clock.Now()
		f.settle(retry(f.claimOne(), time.Second))
		f.clock.Advance(time.Second)
		o := outcome(f.claimOne(), queue.Dead)
		o.Err = "no such line"
		if b := f.exchange(1, o); !slices.Equal(ids(b.Claims), []string{"a-1"}) {
			f.Errorf("after the dead one: %v", ids(b.Claims))
		}
		want := queue.DeadLetter{Job: job("a", 0), Attempts: 2, Err: "no such line", Enqueued: born, Died: f.clock.Now()}
		listed := f.dead()
		if len(listed) != 1 {
			f.Fatalf("got %d dead letters, want 1", len(listed))
		}
		got, err := f.DeadLetter(f.ctx, listed[0].ID)
		if err != nil {
			f.Fatal(err)
		}
		want.ID = got.ID
		if diff := cmp.Diff(got, want); diff != "" {
			f.Error(diff)
		}
		want.Job.Body = nil
		if diff := cmp.Diff(listed[0], want); diff != "" {
			f.Error(diff)
		}
		if _, err := f.DeadLetter(f.ctx, got.ID+1); !errors.Is(err, queue.ErrNotFound) {
			f.Errorf("got %v, want ErrNotFound", err)
		}
		if s := f.stats(); s.Dead != 1 || s.Depth != 1 || s.Retried != 1 {
			f.Errorf("stats %+v", s)
		}
	}},
	{"dead without an error keeps the last one", Options{}, func(f *fixture) {
		f.enqueue(job("a", 0))
		f.settle(retry(f.claimOne(), 0))
		f.settle(outcome(f.claimOne(), queue.Dead))
		if d := f.dead()[0]; d.Err != "try again" {
			f.Errorf("got %q", d.Err)
		}
	}},
	{"dead letters are listed by page, newest first", Options{}, func(f *fixture) {
		for i := range 25 {
			f.enqueue(job(fmt.Sprint("lane", i), 0))
			f.settle(outcome(f.claimOne(), queue.Dead))
		}
		other := queue.Job{Queue: "media", Lane: "m", ID: "m"}
		f.enqueue(other)
		b, err := f.Exchange(f.ctx, "media", nil, 1, lease)
		if err != nil {
			f.Fatal(err)
		}
		if _, err := f.Exchange(f.ctx, "media", []queue.Outcome{outcome(b.Claims[0], queue.Dead)}, 0, lease); err != nil {
			f.Fatal(err)
		}
		var got []string
		for before := int64(0); ; {
			page, err := f.Dead(f.ctx, name, before, 10)
			if err != nil {
				f.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, d := range page {
				got = append(got, d.Job.Lane)
				before = d.ID
			}
		}
		if len(got) != 25 || got[0] != "lane24" || got[24] != "lane0" {
			f.Errorf("got %q", got)
		}
		every, err := f.Dead(f.ctx, "", 0, 100)
		if err != nil || len(every) != 26 || every[0].Job.Queue != "media" {
			f.Errorf("of all queues: %d, %v", len(every), err)
		}
	}},
	{"redrive puts it at the tail, attempts cleared, without deduplication", Options{}, func(f *fixture) {
		f.enqueue(job("a", 0), job("a", 1))
		f.settle(retry(f.claimOne(), 0))
		f.settle(outcome(f.claimOne(), queue.Dead))
		f.clock.Advance(time.Minute)
		id := f.dead()[0].ID
		n, err := f.Redrive(f.ctx, []int64{id, id, id + 100})
		if err != nil || n != 1 {
			f.Fatalf("redrive: %d, %v; want 1", n, err)
		}
		if f.enqueue(job("a", 0))[0] {
			f.Error("redrive forgot the id")
		}
		c := f.claimOne()
		if c.ID != "a-1" || c.Redriven {
			f.Errorf("first %s, redriven %v; want a-1", c.ID, c.Redriven)
		}
		c = f.exchange(1, done(c)...).Claims[0]
		if diff := cmp.Diff(c.Job, job("a", 0)); diff != "" || !c.Redriven || c.Attempt != 1 {
			f.Errorf("then %+v\n%s", c, diff)
		}
		f.settle(done(c)...)
		if s := f.stats(); s.Dead != 0 || s.Done != 2 || s.Enqueued != 2 {
			f.Errorf("stats %+v", s)
		}
	}},
	{"redrive is exactly once with many callers", Options{}, func(f *fixture) {
		var dead []int64
		for i := range 20 {
			f.enqueue(job("a", i))
			f.settle(outcome(f.claimOne(), queue.Dead))
		}
		for _, d := range f.dead() {
			dead = append(dead, d.ID)
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		total := 0
		for range 5 {
			wg.Go(func() {
				n, err := f.Redrive(f.ctx, dead)
				if err != nil {
					f.Error(err)
				}
				mu.Lock()
				total += n
				mu.Unlock()
			})
		}
		wg.Wait()
		if s := f.stats(); total != 20 || s.Depth != 20 {
			f.Errorf("redriven %d, depth %d; want 20", total, s.Depth)
		}
	}},
	{"drop deletes for good", Options{}, func(f *fixture) {
		f.enqueue(job("a", 0), job("b", 0))
		f.settle(outcome(f.claimOne(), queue.Dead))
		f.settle(outcome(f.claimOne(), queue.Dead))
		d := f.dead()
		if n, err := f.Drop(f.ctx, []int64{d[0].ID, d[0].ID, 4711}); n != 1 || err != nil {
			f.Errorf("drop: %d, %v", n, err)
		}
		if left := f.dead(); len(left) != 1 || left[0].ID != d[1].ID {
			f.Errorf("left %+v", left)
		}
		if n, _ := f.Redrive(f.ctx, []int64{d[0].ID}); n != 0 {
			f.Error("a dropped letter came back")
		}
		f.restart()
		f.enqueue(job("c", 0))
		f.settle(outcome(f.claimOne(), queue.Dead))
		if newest := f.dead()[0]; newest.ID <= d[0].ID {
			f.Error("the id of a dropped letter was used again")
		}
	}},
	{"stats count everything", Options{}, func(f *fixture) {
		f.enqueue(job("a", 0))
		f.clock.Advance(5 * time.Second)
		f.enqueue(job("a", 1), job("b", 0), job("b", 0), queue.Job{Queue: "aaa", Lane: "x", ID: "x"})
		f.settle(outcome(f.claimOne(), queue.Dead))
		f.claimOne()
		all, err := f.Stats(f.ctx)
		if err != nil {
			f.Fatal(err)
		}
		want := []queue.Stats{
			{Name: "aaa", Depth: 1, Enqueued: 1},
			{Name: name, Depth: 2, InFlight: 1, Dead: 1, Enqueued: 3, Duplicates: 1},
		}
		if diff := cmp.Diff(all, want); diff != "" {
			f.Error(diff)
		}
		for i, names := range [][]string{{"aaa", "aaa"}, {"nobody", name}, {"nobody"}, {name, "aaa"}} {
			all, err := f.Stats(f.ctx, names...)
			want := [][]queue.Stats{want[:1], want[1:], nil, want}[i]
			if diff := cmp.Diff(all, want); err != nil || diff != "" {
				f.Errorf("of %v: %v\n%s", names, err, diff)
			}
		}
		f.clock.Advance(time.Second)
		if got := f.stats().OldestAge; got != time.Second {
			f.Errorf("oldest is %v, want 1s", got)
		}
	}},
}

var edgeCases = []testCase{
	{"a full queue refuses the whole batch", Options{MaxDepth: 3}, func(f *fixture) {
		f.enqueue(job("a", 0), job("b", 0))
		added, err := f.Enqueue(f.ctx, []queue.Job{{Queue: "status", Lane: "s", ID: "s"}, job("c", 0), job("d", 0)})
		if !errors.Is(err, queue.ErrFull) || added != nil {
			f.Errorf("got %v, %v; want ErrFull", added, err)
		}
		if s := f.stats(); s.Depth != 2 || s.Enqueued != 2 {
			f.Errorf("stats %+v", s)
		}
		if all, _ := f.Stats(f.ctx); len(all) != 1 {
			f.Errorf("%d queues, want 1", len(all))
		}
		f.settle(done(f.claimOne())...)
		f.enqueue(job("c", 0), job("d", 0))
		if s := f.stats(); s.Depth != 3 {
			f.Errorf("stats %+v", s)
		}
	}},
	{"odd names and bodies come back unchanged", Options{}, func(f *fixture) {
		odd := []string{"", " ", "{}", "a\nb", "a\x00b", "\xff\xfe", "'; DROP TABLE job", strings.Repeat("k", 512), "ñandú 🟨"}
		var jobs []queue.Job
		for i, s := range odd {
			jobs = append(jobs, queue.Job{Queue: name, Lane: s, ID: "id" + s, Body: []byte(s)})
			if i == 0 {
				jobs[i].Body = nil
			}
		}
		big := queue.Job{Queue: name, Lane: "big", ID: "big", Body: []byte(strings.Repeat("x", 1<<20))}
		jobs = append(jobs, big)
		f.enqueue(jobs...)
		b := f.exchange(100)
		if len(b.Claims) != len(jobs) {
			f.Fatalf("claimed %d, want %d", len(b.Claims), len(jobs))
		}
		for i, want := range jobs {
			got := b.Claims[i].Job
			if got.Lane != want.Lane || got.ID != want.ID || !bytes.Equal(got.Body, want.Body) {
				f.Errorf("got lane %q, id %q and %d bytes; want %q, %q and %d", got.Lane, got.ID, len(got.Body), want.Lane, want.ID, len(want.Body))
			}
		}
		f.settle(done(b.Claims...)...)
		odd2 := queue.Job{Queue: "'q\" {x}\n🟨", Lane: "a", ID: "a"}
		f.enqueue(odd2)
		if b, err := f.Exchange(f.ctx, odd2.Queue, nil, 1, lease); err != nil || len(b.Claims) != 1 {
			f.Errorf("odd queue: %v, %v", b, err)
		}
		if len(f.enqueue()) != 0 {
			f.Error("an empty body came back with bytes")
		}
	}},
	{"a caller may change its jobs after Enqueue", Options{}, func(f *fixture) {
		j := job("a", 0)
		f.enqueue(j)
		clear(j.Body)
		if diff := cmp.Diff(f.claimOne().Job, job("a", 0)); diff != "" {
			f.Error(diff)
		}
	}},
}

package queuetest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/queue"
)

var orderCases = []testCase{
	{"one lane is first in, first out", Options{}, func(f *fixture) {
		for i := range 20 {
			f.enqueue(job("a", i))
		}
		for i := range 20 {
			c := f.claimOne()
			if diff := cmp.Diff(c.Job, job("a", i)); diff != "" {
				f.Fatal(diff)
			}
			if c.Attempt != 1 || c.Suspect || c.Redriven || !c.EnqueuedAt.Equal(f.clock.Now()) {
				f.Errorf("a first claim is %+v", c)
			}
			f.claimNone()
			f.settle(done(c)...)
		}
		if s := f.stats(); s.Depth != 0 || s.Done != 20 || s.Enqueued != 20 {
			f.Errorf("stats %+v", s)
		}
	}},
	{"every lane is in order under many workers", Options{}, manyWorkers},
	{"lanes are served side by side, each by one worker", Options{}, func(f *fixture) {
		for i := range 10 {
			f.enqueue(job(fmt.Sprint("lane", i), 0), job(fmt.Sprint("lane", i), 1))
		}
		b := f.exchange(100)
		if len(b.Claims) != 10 {
			f.Fatalf("claimed %d jobs, want 10", len(b.Claims))
		}
		f.claimNone()
		b = f.exchange(100, done(b.Claims...)...)
		if len(b.Claims) != 10 || b.Claims[0].ID != "lane0-1" {
			f.Errorf("claimed %v", ids(b.Claims))
		}
	}},
	{"a batch keeps its order within and across lanes", Options{}, func(f *fixture) {
		var jobs []queue.Job
		for i := range 1000 {
			jobs = append(jobs, job(fmt.Sprint("lane", i%50), i))
		}
		if slices.Contains(f.enqueue(jobs...), false) {
			f.Error("a new job was taken for a duplicate")
		}
		var out []queue.Outcome
		for i := 0; i < 1000; i += 50 {
			b := f.exchange(1000, out...)
			var want []string
			for _, j := range jobs[i : i+50] {
				want = append(want, j.ID)
			}
			if diff := cmp.Diff(ids(b.Claims), want); diff != "" {
				f.Fatal(diff)
			}
			out = done(b.Claims...)
		}
		f.settle(out...)
	}},
	{"the largest webhook is taken at once", Options{}, func(f *fixture) {
		const most = 10_000 // inbound.MaxElements
		jobs := make([]queue.Job, most)
		for i := range jobs {
			jobs[i] = job(fmt.Sprint("lane", i%3), i)
		}
		if slices.Contains(f.enqueue(jobs...), false) {
			f.Error("a new job was taken for a duplicate")
		}
		if s := f.stats(); s.Depth != most {
			f.Errorf("%d jobs wait", s.Depth)
		}
		if slices.Contains(f.enqueue(jobs...), true) {
			f.Error("a repeated job was added")
		}
	}},
	{"a failing lane delays no other", Options{}, func(f *fixture) {
		for i := range 20 {
			f.enqueue(job("failing", i))
		}
		for i := range 50 {
			f.enqueue(job(fmt.Sprint("quiet", i), 0))
		}
		served := map[string]bool{}
		var out []queue.Outcome
		for range 52 {
			b := f.exchange(1, out...)
			out = nil
			for _, c := range b.Claims {
				served[c.Lane] = true
				if c.Lane == "failing" {
					out = append(out, retry(c, time.Second))
				} else {
					out = append(out, outcome(c, queue.Done))
				}
			}
		}
		if len(served) != 51 {
			f.Errorf("%d lanes were served in 52 turns, want 51", len(served))
		}
	}},
	{"a flooding lane takes turns", Options{}, func(f *fixture) {
		for i := range 20 {
			f.enqueue(job("flood", i))
		}
		f.enqueue(job("a", 0), job("b", 0))
		var got []string
		var out []queue.Outcome
		for range 5 {
			b := f.exchange(1, out...)
			got = append(got, ids(b.Claims)...)
			f.clock.Advance(time.Millisecond)
			out = done(b.Claims...)
		}
		if diff := cmp.Diff(got, []string{"flood-0", "a-0", "b-0", "flood-1", "flood-2"}); diff != "" {
			f.Error(diff)
		}
	}},
	{"a retry keeps its place while its lane waits", Options{}, func(f *fixture) {
		f.enqueue(job("a", 0), job("a", 1), job("b", 0))
		c := f.claimOne()
		b := f.exchange(10, retry(c, 7*time.Second))
		if diff := cmp.Diff(ids(b.Claims), []string{"b-0"}); diff != "" {
			f.Fatal(diff)
		}
		if got, want := f.claimNone(), 7*time.Second; got != want {
			f.Errorf("next in %v, want %v", got, want)
		}
		f.clock.Advance(7*time.Second - 1)
		f.claimNone()
		f.clock.Advance(1)
		c = f.claimOne()
		if c.ID != "a-0" || c.Attempt != 2 {
			f.Errorf("got %s, attempt %d; want a-0, attempt 2", c.ID, c.Attempt)
		}
		if c = f.exchange(1, done(c)...).Claims[0]; c.ID != "a-1" || c.Attempt != 1 {
			f.Errorf("got %s, attempt %d; want a-1, attempt 1", c.ID, c.Attempt)
		}
	}},
	{"outcomes come before claims", Options{}, func(f *fixture) {
		f.enqueue(job("a", 0), job("a", 1))
		c := f.claimOne()
		if got := ids(f.exchange(1, done(c)...).Claims); !slices.Equal(got, []string{"a-1"}) {
			f.Errorf("got %q", got)
		}
	}},
}

// manyWorkers runs eight workers that settle 40 lanes, with failures, while producers add
// jobs.
func manyWorkers(f *fixture) {
	const lanes, each, workers = 40, 25, 8
	var doors, wg sync.WaitGroup
	for d := range 4 {
		doors.Go(func() {
			for n := range each {
				for l := d; l < lanes; l += 4 {
					f.enqueue(job(fmt.Sprint("lane", l), n))
				}
			}
		})
	}
	var mu sync.Mutex
	last, running, left := map[string]int{}, map[string]bool{}, lanes*each
	finished := make(chan struct{})
	handle := func(c queue.Claim, worker int) queue.Outcome {
		mu.Lock()
		defer mu.Unlock()
		var lane string
		var n int
		lane = c.Lane
		if _, err := fmt.Sscanf(c.ID[len(lane):], "-%d", &n); err != nil {
			f.Error(err)
		}
		if running[lane] {
			f.Errorf("lane %s runs twice", lane)
		}
		if n != last[lane] {
			f.Errorf("lane %s: got %d, want %d", lane, n, last[lane])
		}
		if (n+worker)%9 == 0 && c.Attempt == 1 {
			return retry(c, 0)
		}
		last[lane] = n + 1
		if left--; left == 0 {
			close(finished)
		}
		return outcome(c, queue.Done)
	}
	for w := range workers {
		wg.Go(func() {
			var out []queue.Outcome
			for {
				b := f.exchange(5, out...)
				out = nil
				for _, c := range b.Claims {
					out = append(out, handle(c, w))
				}
				if len(out) > 0 {
					continue
				}
				select {
				case <-finished:
					return
				default:
				}
				if err := f.Wait(f.ctx, name, time.Millisecond); err != nil {
					f.Error(err)
				}
			}
		})
	}
	doors.Wait()
	wg.Wait()
	if s := f.stats(); s.Depth != 0 || s.InFlight != 0 || s.Done != lanes*each {
		f.Errorf("stats %+v", s)
	}
}

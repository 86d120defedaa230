package spool_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/queuetest"
	"github.com/psivisionhub/psi-router/internal/spool"
)

var errDown = fmt.Errorf("redis is away: %w", queue.ErrUnavailable)

func file(t testing.TB) string { return filepath.Join(t.TempDir(), "spool.db") }

func put(t testing.TB, s *spool.Spool, jobs ...queue.Job) []bool {
	t.Helper()
	added, err := s.Enqueue(t.Context(), jobs)
	if err != nil {
		t.Errorf("enqueue: %v", err)
	}
	return added
}

func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &shared{Model: queuetest.NewModel(time.Now)}
		s := open(t, spool.Options{Queue: q, Path: file(t), Mark: func(j queue.Job) queue.Job {
			j.Body = append([]byte(`{"spooled":true,`), j.Body[1:]...)
			j.ID = "a mark changes the body alone"
			return j
		}})
		defer start(t, s)()
		put(t, s, job("a", "a1"))
		if s.Depth() != 0 || s.Down() != nil || s.Oldest() != 0 {
			t.Errorf("kept %d, %v, for %v: want straight", s.Depth(), s.Down(), s.Oldest())
		}
		q.Break(errDown)
		put(t, s, job("a", "a2"), job("b", "b1"))
		time.Sleep(time.Minute)
		put(t, s, job("a", "a3"))
		if s.Depth() != 3 || !errors.Is(s.Down(), queue.ErrUnavailable) || s.Oldest() != time.Minute {
			t.Errorf("kept %d, %v, for %v", s.Depth(), s.Down(), s.Oldest())
		}
		if got := put(t, s, job("a", "a2"), job("a", "a4")); !cmp.Equal(got, []bool{false, true}) || s.Depth() != 4 {
			t.Errorf("a repeat: added %v, %d are kept, want 4", got, s.Depth())
		}
		q.Break(nil)
		time.Sleep(6 * time.Second)
		if s.Depth() != 0 || s.Down() != nil || s.Oldest() != 0 {
			t.Errorf("after the outage %d are kept, %v, for %v", s.Depth(), s.Down(), s.Oldest())
		}
		put(t, s, job("a", "a5"))
		got := jobs(t, q)
		want := map[string][]string{"a": {"a1", "a2", "a3", "a4", "a5"}, "b": {"b1"}}
		if diff := cmp.Diff(ids(got), want); diff != "" {
			t.Errorf("(-got +want)\n%s", diff)
		}
		for i, want := range []string{`{"id":"a1"}`, `{"spooled":true,"id":"a2"}`, `{"spooled":true,"id":"a3"}`, `{"spooled":true,"id":"a4"}`, `{"id":"a5"}`} {
			if body := string(got["a"][i].Body); body != want {
				t.Errorf("got body %s, want %s", body, want)
			}
		}
	})
}

// TestDirectTimeout: the first call that finds the shared queue hanging waits for the timeout,
// later ones do not.
func TestDirectTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &shared{Model: queuetest.NewModel(time.Now), gated: true}
		s := open(t, spool.Options{Queue: q, Path: file(t)})
		defer start(t, s)()
		took := func(ctx context.Context, id string) time.Duration {
			began := time.Now()
			if _, err := s.Enqueue(ctx, []queue.Job{job(id, id)}); err != nil {
				t.Error(err)
			}
			return time.Since(began)
		}
		hurry, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got := took(hurry, "a"); got != 500*time.Millisecond {
			t.Errorf("with a second to go: took %v, want half of it", got)
		}
		if got := took(t.Context(), "b"); got != 0 {
			t.Errorf("the next one took %v", got)
		}
		q.gate(false)
		time.Sleep(10 * time.Second)
		q.gate(true)
		if got := took(t.Context(), "c"); got != 1500*time.Millisecond || s.Depth() != 1 {
			t.Errorf("took %v, %d are kept", got, s.Depth())
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Enqueue(gone, []queue.Job{job("d", "d")}); !errors.Is(err, queue.ErrUnavailable) || s.Depth() != 1 {
			t.Errorf("an abandoned call: %v, %d are spooled", err, s.Depth())
		}
		q.gate(false)
	})
}

// TestNewerJobsGoBehind: while a lane has spooled jobs, newer ones are spooled after them. Other
// lanes go direct, and so does a lane whose last job was just drained.
func TestNewerJobsGoBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &shared{Model: queuetest.NewModel(time.Now), gated: true}
		s := open(t, spool.Options{Queue: q, Path: file(t)})
		defer start(t, s)()
		settle := func(err error) {
			synctest.Wait()
			q.answer(0, err == nil, err)
			synctest.Wait()
		}
		go put(t, s, job("a", "a1"), job("b", "b1"))
		settle(errDown) // the direct call
		settle(errDown) // the probe: from now on jobs are tried one by one
		time.Sleep(200 * time.Millisecond)
		settle(nil) // a1
		if got, want := q.waiting(), [][]string{{"b1"}}; !cmp.Equal(got, want) || s.Down() != nil {
			t.Fatalf("under way: %v, want %v; %v", got, want, s.Down())
		}
		go put(t, s, job("a", "a2"))
		go put(t, s, job("c", "c1"))
		synctest.Wait() // both went direct, before c is spooled
		put(t, s, job("b", "b2"))
		put(t, s, job("c", "c2"), job("b", "b3"))
		synctest.Wait()
		if got := q.under(); got != 3 || s.Depth() != 4 {
			t.Fatalf("under way: %v, %d are kept", q.waiting(), s.Depth())
		}
		q.gate(false)
		synctest.Wait()
		want := map[string][]string{"a": {"a1", "a2"}, "b": {"b1", "b2", "b3"}, "c": {"c1", "c2"}}
		if diff := cmp.Diff(ids(jobs(t, q)), want); diff != "" || s.Depth() != 0 {
			t.Errorf("%d are kept; (-got +want)\n%s", s.Depth(), diff)
		}
	})
}

// TestOnlyJobsWithABodyAreSpooled: wake-ups are not spooled.
func TestOnlyJobsWithABodyAreSpooled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &shared{Model: queuetest.NewModel(time.Now)}
		s := open(t, spool.Options{Queue: q, Path: file(t)})
		defer start(t, s)()
		wake := queue.Job{Queue: "send:wsp4", Lane: "c"}
		put(t, s, wake)
		q.Break(errDown)
		for range 2 {
			if _, err := s.Enqueue(t.Context(), []queue.Job{wake}); !errors.Is(err, queue.ErrUnavailable) || s.Depth() > 1 {
				t.Errorf("got %v, %d are kept", err, s.Depth())
			}
			put(t, s, job("a", "a1"))
		}
		if _, err := s.Enqueue(t.Context(), []queue.Job{job("b", "b1"), wake}); !errors.Is(err, queue.ErrUnavailable) || s.Depth() != 1 {
			t.Errorf("got %v, %d are kept", err, s.Depth())
		}
	})
}

func TestSpooledJobsOutliveTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &shared{Model: queuetest.NewModel(time.Now)}
		path := file(t)
		s := open(t, spool.Options{Queue: q, Path: path})
		if _, err := spool.Open(t.Context(), spool.Options{Queue: q, Path: path}); err == nil {
			t.Error("two processes share one file")
		}
		q.Break(errDown)
		put(t, s, job("a", "a1"), job("a", "a2"), job("b\x00\xff", "\xff"))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		q.Break(nil)
		time.Sleep(time.Hour)
		s = open(t, spool.Options{Queue: q, Path: path})
		if s.Depth() != 3 || s.Oldest() != time.Hour {
			t.Errorf("found %d, of %v ago", s.Depth(), s.Oldest())
		}
		put(t, s, job("a", "a3"))
		put(t, s, job("c", "c1"))
		if s.Depth() != 4 {
			t.Errorf("%d are kept, want a3 behind the others and c1 not", s.Depth())
		}
		defer start(t, s)()
		synctest.Wait()
		put(t, s, job("a", "a4"))
		want := map[string][]string{"a": {"a1", "a2", "a3", "a4"}, "b\x00\xff": {"\xff"}, "c": {"c1"}}
		if diff := cmp.Diff(ids(jobs(t, q)), want); diff != "" || s.Depth() != 0 {
			t.Errorf("%d are kept; (-got +want)\n%s", s.Depth(), diff)
		}
	})
}

// TestFullDisk: no batch is spooled in part, the spooled jobs are drained, and then there is room
// again.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &shared{Model: queuetest.NewModel(time.Now)}
		s := open(t, spool.Options{Queue: q, Path: file(t), MaxPages: 40})
		defer start(t, s)()
		q.Break(errDown)
		long := func(id string) queue.Job {
			j := job("a", id)
			j.Body = make([]byte, 30_000)
			return j
		}
		want, n := []string(nil), 0
		for ; n < 100; n++ {
			batch := []queue.Job{long(fmt.Sprint(n, "x")), long(fmt.Sprint(n, "y"))}
			if _, err := s.Enqueue(t.Context(), batch); err != nil {
				if !errors.Is(err, queue.ErrUnavailable) {
					t.Errorf("got %v, want unavailable", err)
				}
				break
			}
			want = append(want, batch[0].ID, batch[1].ID)
		}
		if n == 0 || n == 100 || s.Depth() != 2*n {
			t.Fatalf("%d batches fitted, %d jobs are kept", n, s.Depth())
		}
		huge := job("b", "huge")
		huge.Body = make([]byte, 1<<20)
		if _, err := s.Enqueue(t.Context(), []queue.Job{job("b", "b1"), huge}); !errors.Is(err, queue.ErrUnavailable) {
			t.Errorf("got %v, want unavailable", err)
		}
		q.Break(nil)
		time.Sleep(6 * time.Second)
		put(t, s, job("b", "b2"))
		q.Break(errDown)
		put(t, s, long("again"))
		q.Break(nil)
		time.Sleep(6 * time.Second)
		want = append(want, "again")
		if diff := cmp.Diff(ids(jobs(t, q)), map[string][]string{"a": want, "b": {"b2"}}); diff != "" {
			t.Errorf("(-got +want)\n%s", diff)
		}
	})
}

// TestFullSharedQueue: a batch that does not fit goes in parts.
func TestFullSharedQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &shared{Model: queuetest.NewModel(time.Now)}
		q.MaxDepth = 3
		s := open(t, spool.Options{Queue: q, Path: file(t)})
		defer start(t, s)()
		var want []string
		for i := range 20 {
			id := fmt.Sprint("a", i)
			want = append(want, id)
			put(t, s, job("a", id))
		}
		if got := s.Depth(); got != 17 || !errors.Is(s.Down(), queue.ErrFull) {
			t.Errorf("%d are kept, %v", got, s.Down())
		}
		var got []string
		for range 20 {
			time.Sleep(10 * time.Second)
			got = append(got, ids(jobs(t, q))["a"]...)
		}
		if diff := cmp.Diff(got, want); diff != "" || s.Depth() != 0 {
			t.Errorf("%d are kept; (-got +want)\n%s", s.Depth(), diff)
		}
	})
}

// picky always rejects some jobs.
type picky struct {
	*shared
	bad atomic.Value
}

func newPicky(bad string) *picky {
	p := &picky{shared: &shared{Model: queuetest.NewModel(time.Now)}}
	p.bad.Store(bad)
	return p
}

func (p *picky) Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error) {
	for _, j := range jobs {
		if bad := p.bad.Load(); bad == "*" || bad == j.ID {
			return nil, errors.New("what is this?")
		}
	}
	return p.shared.Enqueue(ctx, jobs)
}

// TestRefusedJob: a job that the shared queue never takes must not stop the others. Unknown
// errors are an outage as long as no job succeeds.
func TestRefusedJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newPicky("*")
		path := file(t)
		s := open(t, spool.Options{Queue: q, Path: path})
		stop := start(t, s)
		put(t, s, job("a", "a1"), job("a", "a2"), job("b", "b1"))
		time.Sleep(time.Hour)
		if s.Depth() != 3 || s.Down() == nil {
			t.Errorf("%d are kept, %v", s.Depth(), s.Down())
		}
		q.bad.Store("a1")
		time.Sleep(time.Minute)
		if diff := cmp.Diff(ids(jobs(t, q)), map[string][]string{"a": {"a2"}, "b": {"b1"}}); diff != "" || s.Depth() != 0 {
			t.Errorf("%d are kept; (-got +want)\n%s", s.Depth(), diff)
		}
		stop()
		q.bad.Store("")
		s = open(t, spool.Options{Queue: q, Path: path})
		if s.Depth() != 1 {
			t.Errorf("%d are left, want the refused one", s.Depth())
		}
		defer start(t, s)()
		synctest.Wait()
		if diff := cmp.Diff(ids(jobs(t, q)), map[string][]string{"a": {"a1"}}); diff != "" {
			t.Errorf("(-got +want)\n%s", diff)
		}
	})
}

func TestClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &shared{Model: queuetest.NewModel(time.Now)}
		s := open(t, spool.Options{Queue: q, Path: file(t)})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		q.Break(errDown)
		if _, err := s.Enqueue(t.Context(), []queue.Job{job("a", "a1")}); !errors.Is(err, queue.ErrUnavailable) || s.Depth() != 0 || s.Down() != nil {
			t.Errorf("got %v, %d are kept, %v", err, s.Depth(), s.Down())
		}
		if err := s.Run(t.Context()); err == nil {
			t.Error("run does not say that the file is closed")
		}
	})
}

// TestFullDiskStillDrains: with a full disk, spooled jobs are still drained, and their lanes go
// direct again.
func TestFullDiskStillDrains(t *testing.T) {
	t.Parallel()
	q := &shared{Model: queuetest.NewModel(time.Now)}
	path := file(t)
	s := open(t, spool.Options{Queue: q, Path: path})
	q.Break(errDown)
	put(t, s, job("a", "a1"), job("b", "b1"))
	q.Break(nil)
	other, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	lock, err := other.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	stop := start(t, s)
	for s.Depth() > 0 {
		time.Sleep(time.Millisecond)
	}
	put(t, s, job("a", "a2"))
	if diff := cmp.Diff(ids(jobs(t, q)), map[string][]string{"a": {"a1", "a2"}, "b": {"b1"}}); diff != "" {
		t.Errorf("(-got +want)\n%s", diff)
	}
	if _, err := lock.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	for left := 2; left > 0; time.Sleep(time.Millisecond) {
		if err := lock.QueryRowContext(t.Context(), "SELECT count(*) FROM spooled").Scan(&left); err != nil {
			t.Fatal(err)
		}
	}
	lock.Close()
	stop()
}

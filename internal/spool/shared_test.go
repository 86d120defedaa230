package spool_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/queuetest"
	"github.com/psivisionhub/psi-router/internal/spool"
)

// shared is a queue across a network. While it is gated, each call waits until the test decides
// its outcome, even after its caller gave up.
type shared struct {
	*queuetest.Model
	// took is called for every job that was added, in order.
	took func(queue.Job)

	mu    sync.Mutex
	gated bool
	calls []*call // in flight, abandoned ones too
}

type call struct {
	jobs  []queue.Job
	added []bool
	err   error
	done  chan struct{}
}

func (s *shared) Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error) {
	s.mu.Lock()
	if !s.gated {
		s.mu.Unlock()
		return s.apply(jobs)
	}
	c := &call{jobs: slices.Clone(jobs), done: make(chan struct{})}
	s.calls = append(s.calls, c)
	s.mu.Unlock()
	select {
	case <-c.done:
		return c.added, c.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *shared) apply(jobs []queue.Job) ([]bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	added, err := s.Model.Enqueue(context.Background(), jobs)
	for i := range added {
		if added[i] && s.took != nil {
			s.took(jobs[i])
		}
	}
	return added, err
}

// answer carries out the i-th call, or not, and answers it.
func (s *shared) answer(i int, happens bool, err error) {
	s.mu.Lock()
	c := s.calls[i]
	s.calls = slices.Delete(s.calls, i, i+1)
	s.mu.Unlock()
	if happens {
		added, refused := s.apply(c.jobs)
		if err == nil {
			c.added, err = added, refused
		}
	}
	c.err = err
	close(c.done)
}

// gate makes calls wait, or releases all.
func (s *shared) gate(closed bool) {
	s.mu.Lock()
	s.gated = closed
	s.mu.Unlock()
	for !closed && s.under() > 0 {
		s.answer(0, true, nil)
	}
}

func (s *shared) under() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// waiting returns the ids of the calls in flight.
func (s *shared) waiting() (ids [][]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		var of []string
		for _, j := range c.jobs {
			of = append(of, j.ID)
		}
		ids = append(ids, of)
	}
	return ids
}

func job(lane, id string) queue.Job {
	return queue.Job{Queue: "inbound", Lane: lane, ID: id, Body: []byte(`{"id":"` + id + `"}`)}
}

func open(t testing.TB, o spool.Options) *spool.Spool {
	t.Helper()
	s, err := spool.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// start runs the spool; the function that it returns stops it and closes its file.
func start(t testing.TB, s *spool.Spool) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

// jobs takes all jobs out of the queue and returns them by lane.
func jobs(t testing.TB, q queue.Queue) map[string][]queue.Job {
	t.Helper()
	got := map[string][]queue.Job{}
	var out []queue.Outcome
	for {
		b, err := q.Exchange(t.Context(), "inbound", out, 1000, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if out = nil; len(b.Claims) == 0 {
			return got
		}
		for _, c := range b.Claims {
			got[c.Lane] = append(got[c.Lane], c.Job)
			out = append(out, queue.Outcome{Lane: c.Lane, Token: c.Token, Verdict: queue.Done})
		}
	}
}

func ids(all map[string][]queue.Job) map[string][]string {
	got := map[string][]string{}
	for lane, jobs := range all {
		for _, j := range jobs {
			got[lane] = append(got[lane], j.ID)
		}
	}
	return got
}

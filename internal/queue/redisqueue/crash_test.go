package redisqueue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/redistest"
)

// story checks the calls of producers and workers during faults: each lane's numbers are
// accepted one after the other and run in that order, at most with repeats.
type story struct {
	t  *testing.T
	mu sync.Mutex

	accepted, ran map[string]int
	all           map[string]bool // ids that ran
	total         int
	reached       chan struct{} // when total has reached mark
	mark          int
	// stale allows the effect of a failover: settlements that the replica had not seen are
	// lost, so done jobs come again.
	stale bool
}

const storyLease = 3 * time.Second

func tell(t *testing.T) *story {
	return &story{t: t, accepted: map[string]int{}, ran: map[string]int{}, all: map[string]bool{}}
}

// until returns a channel that is closed once so many more jobs were accepted.
func (s *story) until(more int) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mark, s.reached = s.total+more, make(chan struct{})
	return s.reached
}

func (s *story) accept(lane string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted[lane] = n + 1
	if s.total++; s.total == s.mark {
		close(s.reached)
	}
}

func (s *story) run(c queue.Claim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int
	if _, err := fmt.Sscanf(c.ID, c.Lane+"/%d", &n); err != nil {
		s.t.Error(err)
	}
	last := s.ran[c.Lane]
	if n > last || n < last-1 && !s.stale {
		s.t.Errorf("lane %s: %d ran after %d", c.Lane, n, last-1)
	}
	s.all[c.ID] = true
	s.ran[c.Lane] = max(last, n+1)
}

// tolerable reports whether callers may see the error.
func (s *story) tolerable(err error) bool {
	if err != nil && !errors.Is(err, queue.ErrUnavailable) {
		s.t.Error(err)
	}
	return err == nil
}

// door adds numbers to its lane until ctx ends, repeating each until it is accepted.
func (s *story) door(ctx context.Context, e *Engine, lane string) {
	for n := 0; ctx.Err() == nil; {
		_, err := e.Enqueue(context.WithoutCancel(ctx), []queue.Job{job(lane, n)})
		if s.tolerable(err) {
			s.accept(lane, n)
			n++
		} else {
			rest()
		}
	}
}

func rest() { time.Sleep(time.Millisecond + mathrand.N(10*time.Millisecond)) } // as callers do after an error

// worker runs and settles jobs until ctx ends.
func (s *story) worker(ctx context.Context, e *Engine) {
	var out []queue.Outcome
	for ctx.Err() == nil {
		began := time.Now()
		b, err := e.Exchange(context.WithoutCancel(ctx), "q", out, 3, storyLease)
		if !s.tolerable(err) {
			rest()
			continue
		}
		out = nil
		for _, c := range b.Claims {
			if time.Since(began) > storyLease*5/6 {
				continue // too late to begin
			}
			s.run(c)
			v := queue.Done
			if mathrand.IntN(8) == 0 {
				v = queue.Retry
			}
			out = append(out, queue.Outcome{Lane: c.Lane, Token: c.Token, Verdict: v})
		}
		if len(out) == 0 {
			s.tolerable(e.Wait(context.WithoutCancel(ctx), "q", min(b.Next, 50*time.Millisecond)))
		}
	}
	for range 100 {
		if _, err := e.Exchange(context.WithoutCancel(ctx), "q", out, 0, storyLease); s.tolerable(err) {
			return
		}
		rest()
	}
}

// shake runs producers and workers while fn causes faults, then empties the queue.
func (s *story) shake(doors, workers func() *Engine, fn func()) {
	s.t.Helper()
	ctx, stop := context.WithCancel(s.t.Context())
	var wg sync.WaitGroup
	for i := range 6 {
		e := doors()
		wg.Go(func() { s.door(ctx, e, fmt.Sprint("lane", i)) })
	}
	for range 2 {
		e := workers()
		wg.Go(func() { s.worker(ctx, e) })
	}
	fn()
	stop()
	wg.Wait()

	e := doors()
	left := map[string]int{}
	for lane, n := range s.accepted {
		left[lane] = n
	}
	var out []queue.Outcome
	for {
		var b queue.Batch
		settles(s.t, "exchange", func() (err error) {
			b, err = e.Exchange(s.t.Context(), "q", out, 50, storyLease)
			return err
		})
		out = nil
		for _, c := range b.Claims {
			s.run(c)
			out = append(out, done(c)...)
		}
		if len(out) == 0 {
			if stats(s.t, e).Depth == 0 {
				break
			}
			if err := e.Wait(s.t.Context(), "q", b.Next); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	for lane, n := range left {
		for i := range n {
			if id := fmt.Sprintf("%s/%d", lane, i); !s.all[id] {
				s.t.Errorf("%s was accepted and never ran", id)
			}
		}
	}
	check(s.t, e)
	if st := stats(s.t, e); st.Enqueued != int64(s.total) {
		s.t.Errorf("%d were accepted, the queue knows of %d", s.total, st.Enqueued)
	}
}

func rounds(few, many int) int {
	if os.Getenv("PSI_PROOF") != "" {
		return many
	}
	return few
}

func await(t *testing.T, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(40 * time.Second):
		t.Errorf("waited in vain for %s", what)
	}
}

func TestKilledServerLosesNothing(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.AOF...)
	e := open(t, Options{URL: s.URL(), Durability: "fsync"})
	other := open(t, Options{URL: s.URL(), Durability: "fsync", Prefix: e.opts.Prefix})
	story := tell(t)
	story.shake(func() *Engine { return e }, func() *Engine { return other }, func() {
		for range rounds(3, 30) {
			await(t, "work before the kill", story.until(30+mathrand.IntN(100)))
			s.Kill()
			if err := s.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		await(t, "work after the kills", story.until(50))
	})
}

// TestFailoverLosesNothing ends a primary in the three ways that Sentinel knows. All
// servers keep a file: one without would come back empty as a primary that its replica
// copies.
func TestFailoverLosesNothing(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinels(t)
	o := Options{URL: s.URL(), Durability: "replica", Prefix: rand.Text(), Timeout: time.Second}
	e, other := open(t, o), open(t, o)
	story := tell(t)
	story.stale = true
	primary, replica := s.Primary, s.Replica
	restart := func() {
		if err := primary.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	promotion := func() {
		t.Helper()
		await(t, "the replica's promotion", closedOnce(t.Context(), func() bool {
			role, err := replica.Do(t.Context(), "ROLE")
			return err == nil && strings.HasPrefix(role, "master")
		}))
	}
	deaths := []struct {
		name string
		fn   func()
	}{
		{"back before anybody has seen it", func() {
			primary.Kill()
			restart()
		}},
		{"away until its replica is promoted", func() {
			primary.Kill()
			promotion()
			// Alone, the new primary has to refuse; with the old one as its replica,
			// accept.
			restart()
			primary, replica = replica, primary
		}},
		{"back at once, and promoted again before it has caught up", func() {
			primary.Kill()
			promotion()
			restart()
			primary, replica = replica, primary
			await(t, "a Sentinel to fail over", closedOnce(t.Context(), func() bool {
				_, err := s.Watchers[0].Do(t.Context(), "SENTINEL", "FAILOVER", redistest.MasterSet)
				return err == nil
			}))
			promotion()
			primary, replica = replica, primary
		}},
	}
	story.shake(func() *Engine { return e }, func() *Engine { return other }, func() {
		for range rounds(1, 5) {
			for _, d := range deaths {
				await(t, "work before: "+d.name, story.until(100))
				d.fn()
				await(t, "work after: "+d.name, story.until(100))
			}
		}
	})
}

// closedOnce polls ask and closes its channel once it is true.
func closedOnce(ctx context.Context, ask func() bool) <-chan struct{} {
	yes := make(chan struct{})
	go func() {
		for !ask() {
			select {
			case <-ctx.Done():
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
		close(yes)
	}()
	return yes
}

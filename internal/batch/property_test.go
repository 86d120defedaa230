package batch_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/psivisionhub/psi-router/internal/batch"
)

// model calls like a store that is slow, refuses some requests, has some busy, and is away
// at times. It checks the requests.
type model struct {
	t        *rapid.T
	max      int
	parallel int
	slow     []time.Duration
	away     []bool
	poisoned map[int]bool
	busy     map[int]int // how often each is to come again

	mu       sync.Mutex
	calls    int
	running  int
	inCall   map[int]bool
	answered map[int]int
}

var (
	errPoisoned = errors.New("poisoned")
	errAway     = errors.New("away")
)

func (m *model) call(ctx context.Context, reqs []int) (results, error) {
	m.mu.Lock()
	n := m.calls
	m.calls++
	if m.running++; m.running > m.parallel {
		m.t.Errorf("%d calls at a time", m.running)
	}
	if len(reqs) == 0 || len(reqs) > m.max {
		m.t.Errorf("%d requests in a call", len(reqs))
	}
	for _, r := range reqs {
		if m.inCall[r] || m.answered[r] > 0 {
			m.t.Errorf("request %d is in a call, or was answered", r)
		}
		m.inCall[r] = true
	}
	m.mu.Unlock()
	select {
	case <-time.After(m.slow[n%len(m.slow)]):
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running--
	for _, r := range reqs {
		delete(m.inCall, r)
	}
	if m.away[n%len(m.away)] {
		m.count(reqs)
		return nil, errAway
	}
	for _, r := range reqs {
		if m.poisoned[r] {
			if len(reqs) == 1 {
				m.count(reqs)
			}
			return nil, errPoisoned
		}
	}
	answers := doubles(reqs)
	for i, r := range reqs {
		if m.busy[r] > 0 && ctx.Err() == nil {
			m.busy[r]--
			answers[i] = batch.Result[int]{RetryAfter: time.Duration(1+r%5) * ms}
			continue
		}
		m.count(reqs[i : i+1])
	}
	return answers, nil
}

func (m *model) count(reqs []int) {
	for _, r := range reqs {
		m.answered[r]++
	}
}

// TestEachRequestIsAnsweredOnce: whatever callers and calls do, each request is answered
// once, by a call or because it was withdrawn or refused; no call is larger than Max, and
// no more of them run than Parallel.
func TestEachRequestIsAnsweredOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{
			t: rt, max: rapid.IntRange(1, 8).Draw(rt, "max"), parallel: rapid.IntRange(1, 3).Draw(rt, "parallel"),
			poisoned: map[int]bool{}, busy: map[int]int{}, inCall: map[int]bool{}, answered: map[int]int{},
		}
		delay := rapid.Map(rapid.IntRange(0, 60), func(n int) time.Duration { return time.Duration(n) * ms })
		m.slow = rapid.SliceOfN(delay, 1, 5).Draw(rt, "slow")
		m.away = append(rapid.SliceOfN(rapid.Bool(), 0, 4).Draw(rt, "away"), false)
		const requests = 60
		for _, r := range rapid.SliceOfN(rapid.IntRange(0, requests-1), 0, 5).Draw(rt, "poisoned") {
			m.poisoned[r] = true
		}
		for _, r := range rapid.SliceOfN(rapid.IntRange(0, requests-1), 0, 8).Draw(rt, "busy") {
			m.busy[r]++
		}
		room := rapid.IntRange(1, 20).Draw(rt, "room")
		o := options{
			Call: m.call, Split: func(err error) bool { return errors.Is(err, errPoisoned) },
			Max: m.max, Parallel: m.parallel, StuckAfter: 20 * ms, Room: func() int { return room },
			Every: rapid.SampledFrom([]time.Duration{0, 10 * ms, 40 * ms}).Draw(rt, "every"),
			Full:  rapid.IntRange(0, 5).Draw(rt, "full"),
		}
		gaps := rapid.SliceOfN(delay, requests, requests).Draw(rt, "gaps")
		patience := rapid.SliceOfN(delay, requests, requests).Draw(rt, "patience")
		drain := rapid.Map(rapid.IntRange(0, 500), func(n int) time.Duration { return time.Duration(n) * ms }).Draw(rt, "drain")

		synctest.Test(t, func(t *testing.T) {
			b := batch.New(o)
			var callers sync.WaitGroup
			for r := 0; r < requests; {
				group := []int{r}
				for r++; r < requests && gaps[r] < 5*ms; r++ {
					group = append(group, r)
				}
				for i, p := range b.SubmitAll(group...) {
					callers.Go(func() { m.verify(t, p, group[i], patience[group[i]]) })
				}
				if r < requests {
					time.Sleep(gaps[r])
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), drain)
			defer cancel()
			b.Close(ctx)
			callers.Wait()
			if m.running != 0 {
				rt.Errorf("%d calls run after Close", m.running)
			}
		})
	})
}

// verify waits for an answer for as long as the caller's patience, and checks it.
func (m *model) verify(t *testing.T, p *batch.Pending[int, int], r int, patience time.Duration) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if r%3 == 0 { // the others wait as long as it takes
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	v, err := p.Wait(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	withdrawn := errors.Is(err, context.DeadlineExceeded)
	switch n := m.answered[r]; {
	case withdrawn && (n != 0 || ctx.Err() == nil), !withdrawn && n != 1:
		m.t.Errorf("request %d: answered %d times, got %v", r, n, err)
	case err == nil && (v != 2*r || m.poisoned[r]), errors.Is(err, errPoisoned) && !m.poisoned[r]:
		m.t.Errorf("request %d: got %d, %v", r, v, err)
	case err != nil && !withdrawn && !errors.Is(err, errPoisoned) && !errors.Is(err, errAway):
		m.t.Errorf("request %d: got %v", r, err)
	}
}

package queuetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// Options are a test's settings of an engine. Zero fields mean the engine's own defaults;
// Now is always set.
type Options struct {
	Now      func() time.Time
	MaxDepth int
	MaxDelay time.Duration
	Window   time.Duration
	// Relaxed says that the test survives no power cut, so commits need no sync.
	Relaxed bool
}

// Harness is one empty engine under test.
type Harness struct {
	// Open opens the engine; after Close it opens the same data again, as a new process
	// would.
	Open func(ctx context.Context) (queue.Engine, error)
	// Volatile engines lose everything at Close.
	Volatile bool
}

// Clock is a clock that moves only when told to.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock starts at a fixed time.
func NewClock() *Clock { return &Clock{now: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)} }

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock; d may be negative.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

const (
	lease = 30 * time.Second
	name  = "inbound"
)

// Run runs the suite. Each test gets an engine of its own and ends with the engine's Check.
func Run(t *testing.T, fresh func(t *testing.T, o Options) Harness) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, fresh, c.options)
			c.test(f)
			f.check()
		})
	}
	t.Run("agrees with the model", func(t *testing.T) {
		t.Parallel()
		compareWithModel(t, fresh)
	})
}

type testCase struct {
	name    string
	options Options
	test    func(f *fixture)
}

var cases = flatten(orderCases, dedupeCases, leaseCases, limitCases, operatorCases, edgeCases)

func flatten(groups ...[]testCase) (all []testCase) {
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}

// fixture is an engine with helpers for tests.
type fixture struct {
	*testing.T
	queue.Engine
	clock   *Clock
	harness Harness
	ctx     context.Context
}

func start(t *testing.T, fresh func(*testing.T, Options) Harness, o Options) *fixture {
	t.Helper()
	f := &fixture{T: t, clock: NewClock(), ctx: t.Context()}
	o.Now, o.Relaxed = f.clock.Now, true
	f.harness = fresh(t, o)
	f.open()
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return f
}

func (f *fixture) open() {
	f.Helper()
	e, err := f.harness.Open(f.ctx)
	if err != nil {
		f.Fatalf("open: %v", err)
	}
	f.Engine = e
}

// restart closes the engine and opens it again. It returns false for a volatile engine.
func (f *fixture) restart() bool {
	f.Helper()
	if f.harness.Volatile {
		m, ok := f.Engine.(*Model)
		if ok {
			m.Restart()
		}
		return ok
	}
	if err := f.Close(); err != nil {
		f.Fatalf("close: %v", err)
	}
	f.open()
	return true
}

func (f *fixture) check() {
	f.Helper()
	wrong, err := f.Check(f.ctx)
	if err != nil {
		f.Errorf("check: %v", err)
	}
	for _, w := range wrong {
		f.Errorf("check: %s", w)
	}
}

// job returns a job of the default queue. Every second one is long, because engines may
// store long bodies elsewhere.
func job(lane string, n int) queue.Job {
	return queue.Job{Queue: name, Lane: lane, ID: fmt.Sprintf("%s-%d", lane, n), Body: fmt.Appendf(nil, "body %s %*d", lane, 1+n%2*300, n)}
}

func wakeup(lane string) queue.Job { return queue.Job{Queue: name, Lane: lane} }

func (f *fixture) enqueue(jobs ...queue.Job) []bool {
	f.Helper()
	added, err := f.Enqueue(f.ctx, jobs)
	if err != nil {
		f.Fatalf("enqueue: %v", err)
	}
	if len(added) != len(jobs) {
		f.Fatalf("enqueue answered %d of %d jobs", len(added), len(jobs))
	}
	return added
}

func (f *fixture) exchange(want int, outcomes ...queue.Outcome) queue.Batch {
	f.Helper()
	b, err := f.Exchange(f.ctx, name, outcomes, want, lease)
	if err != nil {
		f.Fatalf("exchange: %v", err)
	}
	lanes := map[string]bool{}
	for _, c := range b.Claims {
		if lanes[c.Lane] {
			f.Fatalf("lane %q was handed out twice in one batch", c.Lane)
		}
		lanes[c.Lane] = true
	}
	return b
}

// settle settles without claiming, and fails if an outcome is refused.
func (f *fixture) settle(outcomes ...queue.Outcome) {
	f.Helper()
	if b := f.exchange(0, outcomes...); len(b.Refused) > 0 || len(b.Claims) > 0 {
		f.Fatalf("settle: refused %q, claimed %v", b.Refused, ids(b.Claims))
	}
}

// claimOne claims exactly one job.
func (f *fixture) claimOne() queue.Claim {
	f.Helper()
	b := f.exchange(1)
	if len(b.Claims) != 1 {
		f.Fatalf("claimed %d jobs, want 1 (next in %v)", len(b.Claims), b.Next)
	}
	return b.Claims[0]
}

// claimNone fails if a job is due, and returns the time until one is.
func (f *fixture) claimNone() time.Duration {
	f.Helper()
	b := f.exchange(10)
	if len(b.Claims) != 0 {
		f.Fatalf("claimed %v, want nothing", ids(b.Claims))
	}
	return b.Next
}

func (f *fixture) stats() queue.Stats {
	f.Helper()
	all, err := f.Stats(f.ctx)
	if err != nil {
		f.Fatalf("stats: %v", err)
	}
	for _, s := range all {
		if s.Name == name {
			return s
		}
	}
	return queue.Stats{}
}

// dead lists the dead letters of the default queue, newest first.
func (f *fixture) dead() []queue.DeadLetter {
	f.Helper()
	page, err := f.Dead(f.ctx, name, 0, 1000)
	if err != nil {
		f.Fatalf("dead: %v", err)
	}
	return page
}

func outcome(c queue.Claim, v queue.Verdict) queue.Outcome {
	return queue.Outcome{Lane: c.Lane, Token: c.Token, Verdict: v}
}

func done(claims ...queue.Claim) (out []queue.Outcome) {
	for _, c := range claims {
		out = append(out, outcome(c, queue.Done))
	}
	return out
}

func retry(c queue.Claim, delay time.Duration) queue.Outcome {
	o := outcome(c, queue.Retry)
	o.Delay, o.Err = delay, "try again"
	return o
}

func ids(claims []queue.Claim) (out []string) {
	for _, c := range claims {
		out = append(out, c.ID)
	}
	return out
}

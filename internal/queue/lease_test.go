package queue

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestLease: the clock furthest ahead decides.
func TestLease(t *testing.T) {
	const s = time.Second
	timer, wall := time.Now(), time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	l := Lease{clockReading{timer, wall, 100 * s}, 30 * s}
	for name, c := range map[string]struct{ timer, wall, boot, left time.Duration }{
		"at once":                         {0, 0, 0, 30 * s},
		"all agree":                       {10 * s, 10 * s, 10 * s, 20 * s},
		"over":                            {30 * s, 30 * s, 30 * s, 0},
		"stopped":                         {50 * s, 50 * s, 50 * s, -20 * s},
		"suspended":                       {1 * s, 41 * s, 41 * s, -11 * s},
		"suspended, the wall set back":    {1 * s, -3600 * s, 41 * s, -11 * s},
		"no clock since the boot":         {1 * s, 41 * s, 0, -11 * s},
		"a paused machine that was told":  {1 * s, 41 * s, 1 * s, -11 * s},
		"the wall was set back, no pause": {5 * s, -3600 * s, 5 * s, 25 * s},
	} {
		t.Run(name, func(t *testing.T) {
			if got := l.left(clockReading{timer.Add(c.timer), wall.Add(c.wall), (100*s + c.boot)}); got != c.left {
				t.Errorf("got %v, want %v", got, c.left)
			}
		})
	}
	if sinceBoot() == 0 {
		t.Error("the clock since the boot stands still")
	}
	if LeaseOf(t.Context()).Left() > 0 {
		t.Error("work without a lease has one")
	}
	if left := LeaseOf(WithLease(t.Context(), NewLease(time.Hour))).Left(); left <= 59*time.Minute || left > time.Hour {
		t.Errorf("a new hour has %v left", left)
	}
}

// forgetful is a queue that never gives a lane to another worker.
type forgetful struct {
	Queue
	claims []Claim
	outs   chan Outcome
	holds  int
}

func (q *forgetful) Exchange(_ context.Context, _ string, o []Outcome, want int, _ time.Duration) (Batch, error) {
	for _, out := range o {
		q.outs <- out
	}
	b := Batch{Next: time.Hour}
	if want > 0 {
		b.Claims, q.claims = q.claims, nil
	}
	return b, nil
}

func (q *forgetful) Wait(ctx context.Context, _ string, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

func (q *forgetful) Hold(context.Context, string, time.Time, string) error {
	q.holds++
	return nil
}

// TestLostLeaseHasNoEffect: after its lease a handler counts no attempt, buries nothing and
// holds no queue.
func TestLostLeaseHasNoEffect(t *testing.T) {
	for name, c := range map[string]struct {
		stands time.Duration
		want   Verdict
		holds  int
	}{"in time": {time.Second, Dead, 1}, "stopped": {31 * time.Second, Postpone, 0}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := &forgetful{outs: make(chan Outcome, 1), claims: []Claim{{Job: Job{Lane: "a", ID: "1"}, Token: "t", Attempt: 1}}}
				hold := &Holder{Queue: q, Name: "q"}
				ctx, stop := context.WithCancel(t.Context())
				r := NewRunner(RunnerOptions{Queue: q, Name: "q", MaxAttempts: 1, Handler: HandlerFunc(func(ctx context.Context, _ []Claim, settle func(int, Outcome)) {
					if left := LeaseOf(ctx).Left(); left > 30*time.Second || left < 29*time.Second {
						t.Errorf("the handler has %v left", left)
					}
					time.Sleep(c.stands) // as a suspended process: it ignores its context
					hold.Trip(ctx, "what it calls", "does not answer", Backoff{}, 0)
					settle(0, Outcome{Verdict: Retry, Err: "no"})
				})})
				done := make(chan error, 1)
				go func() { done <- r.Run(ctx) }()
				if got := <-q.outs; got.Verdict != c.want || q.holds != c.holds {
					t.Errorf("got %v, %d holds; want %v, %d", got.Verdict, q.holds, c.want, c.holds)
				}
				stop()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

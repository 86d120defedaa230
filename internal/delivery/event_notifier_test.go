package delivery_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/delivery"
	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
)

// calls records the lanes and the time of each call.
type calls struct {
	began time.Time
	sizes []int
	at    []time.Duration
	lanes map[string]bool
}

func (c *calls) Enqueue(_ context.Context, jobs []queue.Job) ([]bool, error) {
	c.sizes, c.at = append(c.sizes, len(jobs)), append(c.at, time.Since(c.began))
	for _, j := range jobs {
		c.lanes[j.Lane] = true
	}
	return make([]bool, len(jobs)), nil
}

// TestNotifierBatches: the first commit wakes at once, commits soon after are batched, each
// conversation once, and none is lost.
func TestNotifierBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ms := time.Millisecond
		c := &calls{began: time.Now(), lanes: map[string]bool{}}
		n := delivery.NewEventNotifier(delivery.EventNotifierOptions{
			Queue: c, Stats: func(context.Context, ...string) ([]queue.Stats, error) { return nil, nil },
			Endpoints: []delivery.Endpoint{{Name: "crm", Wants: store.EventFilter{Types: []string{"message.*"}}}},
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- n.Run(ctx) }()
		received := func(who string) store.Event {
			return store.Event{Conversation: who, Type: store.EventReceived}
		}
		n.OnEvents([]store.Event{received("first")})
		synctest.Wait()
		time.Sleep(5 * ms)
		for i := range 30 { // six conversations, a commit every 10 ms
			n.OnEvents([]store.Event{received(fmt.Sprint(i % 6)), {Conversation: "other", Type: store.EventClosed}})
			time.Sleep(10 * ms)
		}
		time.Sleep(time.Second)
		n.OnEvents([]store.Event{received("late")})
		synctest.Wait()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(c.sizes, []int{1, 6, 6, 6, 1}); diff != "" {
			t.Error("calls", diff)
		}
		if diff := cmp.Diff(c.at, []time.Duration{0, 100 * ms, 200 * ms, 300 * ms, 1305 * ms}); diff != "" {
			t.Error("at", diff)
		}
		if len(c.lanes) != 8 || c.lanes["other"] {
			t.Errorf("woken %v", c.lanes)
		}
	})
}

// TestNotifierKnowsWhenToStop: an endpoint that is held, or has enough wake-ups, gets no
// more; the others do.
func TestNotifierKnowsWhenToStop(t *testing.T) {
	for _, c := range []struct {
		name  string
		stats queue.Stats
		open  bool
	}{
		{"nobody waits", queue.Stats{}, true},
		{"500 wait", queue.Stats{Depth: 500}, true},
		{"501 wait", queue.Stats{Depth: 501}, false},
		{"held", queue.Stats{HeldUntil: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.stats.Name = job.EventQueue("crm")
				q := &calls{began: time.Now(), lanes: map[string]bool{}}
				n := delivery.NewEventNotifier(delivery.EventNotifierOptions{
					Queue: q, Stats: func(context.Context, ...string) ([]queue.Stats, error) { return []queue.Stats{c.stats}, nil },
					Endpoints: []delivery.Endpoint{{Name: "crm"}, {Name: "other", Wants: store.EventFilter{Types: []string{"-"}}}},
				})
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- n.Run(ctx) }()
				time.Sleep(1500 * time.Millisecond) // it has refreshed
				n.OnEvents([]store.Event{{Conversation: "a", Type: store.EventReceived}})
				synctest.Wait()
				stop()
				if err := <-done; err != nil {
					t.Error(err)
				}
				if n.Open("crm") != c.open || q.lanes["a"] != c.open || !n.Open("other") {
					t.Errorf("open %v, woken %v", n.Open("crm"), q.lanes)
				}
			})
		})
	}
}

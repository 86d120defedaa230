package delivery

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/psivisionhub/psi-router/internal/batch"
	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
)

const (
	// notifyBuffer is how many commits may wait for their wake-ups; the BacklogScanner
	// finds what is committed beyond.
	notifyBuffer = 512
	// maxWakeups caps the wake-ups queued for an endpoint. Beyond it the backlog stays in
	// the store, and the BacklogScanner finds it.
	maxWakeups = 500
	// notifyEvery is the shortest time between two calls.
	notifyEvery   = 100 * time.Millisecond
	notifyTimeout = 5 * time.Second
)

// EventNotifierOptions configure an EventNotifier. Queue, Stats and Endpoints are needed.
type EventNotifierOptions struct {
	Queue enqueuer
	// Stats returns how many wake-ups wait in queues, and which queues are held.
	Stats     func(ctx context.Context, queues ...string) ([]queue.Stats, error)
	Endpoints []Endpoint
	Log       *slog.Logger
}

// EventNotifier wakes endpoints as soon as events are committed. It may lose wake-ups: the
// BacklogScanner finds what it missed.
type EventNotifier struct {
	opts    EventNotifierOptions
	batch   *batch.Batcher[[]queue.Job, struct{}]
	running atomic.Bool
	failing bool // the last call failed

	mu     sync.Mutex
	closed map[string]bool // endpoints that are held, or have enough wake-ups
}

// NewEventNotifier returns the notifier. It panics when a needed option is missing.
func NewEventNotifier(o EventNotifierOptions) *EventNotifier {
	if o.Queue == nil || o.Stats == nil || len(o.Endpoints) == 0 {
		panic("delivery: the event notifier needs a queue, its stats and endpoints")
	}
	o.Log = partLogger(o.Log, "events")
	n := &EventNotifier{opts: o, closed: map[string]bool{}}
	n.batch = batch.New(batch.Options[[]queue.Job, struct{}]{
		Call: n.enqueue, Every: notifyEvery, Room: n.room, MaxWaiting: notifyBuffer,
	})
	return n
}

// room makes commits wait until Run writes their wake-ups.
func (n *EventNotifier) room() int {
	if n.running.Load() {
		return notifyBuffer
	}
	return 0
}

// OnEvents takes committed events. It never blocks.
func (n *EventNotifier) OnEvents(events []store.Event) {
	var jobs []queue.Job
	for _, e := range n.opts.Endpoints {
		if !n.Open(e.Name) {
			continue
		}
		for _, ev := range events {
			if e.Wants.Match(ev) {
				jobs = append(jobs, job.WakeEvents(e.Name, ev.Conversation))
			}
		}
	}
	if len(jobs) > 0 {
		n.batch.Submit(jobs)
	}
}

// Open reports whether wake-ups of the endpoint are of use now.
func (n *EventNotifier) Open(endpoint string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.closed[endpoint]
}

// Run wakes endpoints until ctx ends.
func (n *EventNotifier) Run(ctx context.Context) error {
	n.running.Store(true)
	n.batch.Wake()
	defer n.batch.Close(ctx)
	for sleep(ctx, time.Second) {
		n.refreshClosed(ctx)
	}
	return nil
}

// enqueue writes each wake-up once.
func (n *EventNotifier) enqueue(ctx context.Context, commits [][]queue.Job) ([]batch.Result[struct{}], error) {
	type wakeUp struct{ queue, lane string }
	seen := map[wakeUp]bool{}
	var jobs []queue.Job
	for _, j := range slices.Concat(commits...) {
		if w := (wakeUp{j.Queue, j.Lane}); !seen[w] {
			seen[w] = true
			jobs = append(jobs, j)
		}
	}
	call, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	_, err := n.opts.Queue.Enqueue(call, jobs)
	if err != nil && !n.failing && ctx.Err() == nil {
		n.opts.Log.Warn("endpoints are not woken at once: events come a little later", "error", err)
	}
	n.failing = err != nil
	return make([]batch.Result[struct{}], len(commits)), nil
}

// refreshClosed finds out which endpoints are closed.
func (n *EventNotifier) refreshClosed(ctx context.Context) {
	call, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	stats, err := n.opts.Stats(call, EventQueues(n.opts.Endpoints)...)
	if err != nil {
		return // Enqueue reports what is wrong
	}
	now, closed := time.Now(), map[string]bool{}
	for _, s := range stats {
		closed[s.Name] = s.HeldUntil.After(now) || s.Depth > maxWakeups
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.opts.Endpoints {
		n.closed[e.Name] = closed[job.EventQueue(e.Name)]
	}
}

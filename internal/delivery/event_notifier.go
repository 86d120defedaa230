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
	// notifyBuffer is how many commits may wait for their wake-ups; what is committed beyond is
	// found by the BacklogScanner.
	notifyBuffer = 512
	// maxWakeups is how many conversations may wait for one endpoint and more still be
	// woken: who has so many does not need to be told of others, and those who are
	// behind are in the store, not in the queue.
	maxWakeups = 500
	// notifyEvery is how soon one call follows another.
	notifyEvery   = 100 * time.Millisecond
	notifyTimeout = 5 * time.Second
)

// EventNotifierOptions say whom to wake. Queue, Stats and Endpoints are needed.
type EventNotifierOptions struct {
	Queue enqueuer
	// Stats tells how many wake-ups wait in queues, and which are held.
	Stats     func(ctx context.Context, queues ...string) ([]queue.Stats, error)
	Endpoints []Endpoint
	Log       *slog.Logger
}

// EventNotifier wakes endpoints at once for what was just committed. It may lose anything:
// the BacklogScanner finds it.
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

// room lets commits wait until Run writes their wake-ups.
func (n *EventNotifier) room() int {
	if n.running.Load() {
		return notifyBuffer
	}
	return 0
}

// OnEvents hears what was committed. It never blocks.
func (n *EventNotifier) OnEvents(events []store.Event) {
	var jobs []queue.Job
	for _, e := range n.opts.Endpoints {
		if !n.Open(e.Name) {
			continue
		}
		for _, ev := range events {
			if e.Wants.Match(ev) {
				jobs = append(jobs, queue.Job{Queue: job.EventQueue(e.Name), Lane: ev.Conversation})
			}
		}
	}
	if len(jobs) > 0 {
		n.batch.Submit(jobs)
	}
}

// Open says whether wake-ups of the endpoint are of use now.
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

// enqueue writes wake-ups, each once.
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

// refreshClosed sees which endpoints are open.
func (n *EventNotifier) refreshClosed(ctx context.Context) {
	call, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	stats, err := n.opts.Stats(call, EventQueues(n.opts.Endpoints)...)
	if err != nil {
		return // who waits for an answer of the queue would not get one either
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

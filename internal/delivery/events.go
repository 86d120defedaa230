package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
)

const (
	// eventPage is how many events of a conversation are read at once.
	eventPage = 10
	// eventTurn is how long one conversation may keep its slot before others get a turn.
	// eventSlotTimeout is how long it waits for a slot before it steps back.
	eventTurn        = 10 * time.Second
	eventSlotTimeout = 5 * time.Second
	// eventPrefetch is how many conversations are in hand for each concurrent post: the
	// store takes most of the time of one.
	eventPrefetch = 4
	// eventsEvery is the longest time between two claims of jobs without a backlog.
	eventsEvery = 100 * time.Millisecond
	// unnumbered is how long an event waits for its number.
	unnumbered = 100 * time.Millisecond
)

// Pusher posts one event. Its error is an *outbound.Failure; any other error is unclear. It
// must respect ctx.
type Pusher interface {
	Push(ctx context.Context, e store.Event) error
}

// EventMeter counts pushes. observe.Metrics is one.
type EventMeter interface {
	Pushed(endpoint, verdict string, took time.Duration)
}

type noEventMeter struct{}

func (noEventMeter) Pushed(string, string, time.Duration) {}

// Endpoint is a receiver of events, and which it gets.
type Endpoint struct {
	Name  string
	Wants store.EventFilter
}

// EventQueues returns the queues of the endpoints' wake-ups.
func EventQueues(endpoints []Endpoint) []string {
	queues := make([]string, len(endpoints))
	for i, e := range endpoints {
		queues[i] = job.EventQueue(e.Name)
	}
	return queues
}

// EventOptions configure Events. Endpoint, Store, Queue and Pusher are needed.
type EventOptions struct {
	Endpoint
	Store  store.Subscriptions
	Queue  queue.Queue
	Pusher Pusher
	// Rate is the endpoint's limit, for all processes together; zero is none.
	Rate queue.Limit
	// Posts is how many posts run at once in this process (default 8). Up to four times as
	// many conversations are in hand.
	Posts int
	// PostTimeout is how long a post may take, answer included (default 15 s, as long as
	// the system goes on delivering it). A post that could not end within the lease does
	// not begin.
	PostTimeout time.Duration
	// Backoff is for a conversation whose event is refused.
	Backoff queue.Backoff
	// BackoffSpeedup is how many times faster the holds of an outage pass; 0: once.
	BackoffSpeedup float64
	Drain          time.Duration
	Now            func() time.Time
	Meter          EventMeter
	Runs           queue.Meter
	Log            *slog.Logger
}

// Events pushes the events of one endpoint, those of a conversation in order of seq. Only
// the cursor in the store says what was taken: a wake-up carries nothing. A refused event
// keeps its conversation waiting, for as long as it takes; a failing endpoint is held for
// all processes and probed.
type Events struct {
	opts EventOptions
	receiver
	runner  *queue.Runner
	cursors *cursorBatcher

	mu      sync.Mutex
	failing int // consecutive failures that are unclear
}

// NewEvents returns the pushes of an endpoint. It panics when a needed option is
// missing.
func NewEvents(o EventOptions) *Events {
	if o.Name == "" || o.Store == nil || o.Queue == nil || o.Pusher == nil {
		panic("delivery: events need an endpoint, a store, a queue and a pusher")
	}
	o.Posts = positive(o.Posts, 8)
	o.PostTimeout = positive(o.PostTimeout, httpcall.Unacknowledged)
	o.Now = clockOr(o.Now)
	if o.Meter == nil {
		o.Meter = noEventMeter{}
	}
	o.Log = partLogger(o.Log, "events", "endpoint", o.Name)
	e := &Events{opts: o}
	e.slots = make(chan struct{}, o.Posts)
	name := job.EventQueue(o.Name)
	e.hold = &queue.Holder{Queue: o.Queue, Name: name, BackoffSpeedup: o.BackoffSpeedup, Log: o.Log}
	e.cursors = e.newCursors()
	e.runner = queue.NewRunner(queue.RunnerOptions{
		Queue: o.Queue, Name: name, Handler: queue.HandlerFunc(e.handle), Gather: eventsEvery,
		Slots: eventPrefetch * o.Posts, Batch: eventPrefetch * o.Posts, InFlight: eventPrefetch * o.Posts,
		// The last post may begin when the turn is almost over.
		Lease:       max(30*time.Second, (eventSlotTimeout+eventTurn+o.PostTimeout+8*time.Second)*6/5),
		MaxAttempts: -1, Backoff: o.Backoff, Drain: o.Drain, Meter: o.Runs, Log: o.Log,
	})
	return e
}

// Run pushes until ctx ends; posts under way then finish and are recorded.
func (e *Events) Run(ctx context.Context) error {
	known := func() error { return e.opts.Store.RegisterEndpoint(ctx, e.opts.Now(), e.opts.Name) }
	if err := prepareQueue(ctx, e.opts.Queue, job.EventQueue(e.opts.Name), e.opts.Rate, e.opts.Log, known); err != nil {
		return err
	}
	err := e.runner.Run(ctx)
	e.cursors.Close(context.WithoutCancel(ctx))
	if err != nil {
		return fmt.Errorf("push to %s: %w", e.opts.Name, err)
	}
	return nil
}

// handle pushes the events of each lane's conversation. A failing endpoint is probed by one
// conversation at a time.
func (e *Events) handle(ctx context.Context, batch []queue.Claim, settle func(int, queue.Outcome)) {
	e.dispatchOrProbe(batch, settle, func(which ...int) { e.push(ctx, batch, settle, which) })
}

// push reads the events of some lanes of the batch with one call, and posts the lanes side
// by side.
func (e *Events) push(ctx context.Context, batch []queue.Claim, settle func(int, queue.Outcome), which []int) {
	if len(which) == 0 || ctx.Err() != nil {
		return // the runner gives back the rest
	}
	ids := make([]string, len(which))
	for n, i := range which {
		ids[n] = batch[i].Lane
	}
	call := queue.NewLease(stallRetryAfter)
	list, err := e.opts.Store.PendingEvents(ctx, e.opts.Name, ids, eventPage)
	if errors.Is(err, store.ErrUnavailable) && call.Left() <= 0 {
		list, err = e.opts.Store.PendingEvents(ctx, e.opts.Name, ids, eventPage)
	}
	if err != nil {
		if ctx.Err() == nil {
			e.readFailed(ctx, settle, which, err)
		}
		return
	}
	of := map[string][]store.Event{}
	for _, ev := range list {
		of[ev.Conversation] = append(of[ev.Conversation], ev)
	}
	var lanes sync.WaitGroup
	for _, i := range which {
		lanes.Go(func() { settle(i, e.pushConversation(ctx, batch[i], of[batch[i].Lane])) })
	}
	lanes.Wait()
}

// readFailed handles a failed read: nothing was posted.
func (e *Events) readFailed(ctx context.Context, settle func(int, queue.Outcome), which []int, err error) {
	wait := e.opts.Backoff.Delay(2)
	if errors.Is(err, store.ErrUnavailable) {
		wait = min(outageDelay, e.hold.Trip(ctx, storeUnavailable, err.Error(), queue.Backoff{}, 0))
	} else {
		e.opts.Log.Warn("events cannot be read", "error", err)
	}
	for _, i := range which {
		settle(i, queue.Outcome{Verdict: queue.Postpone, Delay: wait, Err: err.Error()})
	}
}

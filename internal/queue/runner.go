package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Handler does the work of one queue.
type Handler interface {
	// Handle works on claims of different lanes, and calls settle exactly once
	// for each of them, in any order and from any goroutine, before it returns.
	// Of an Outcome it gives the verdict, the delay and the error; Retry without
	// a delay gets the runner's back-off. ctx ends before the lease does, and carries
	// it (LeaseOf): who was stopped looks there before it acts on the outside. What
	// was left open when Handle returns, or panics, is settled by the runner.
	// It must be idempotent: a job may come again after any failure.
	Handle(ctx context.Context, batch []Claim, settle func(i int, o Outcome))
}

// HandlerFunc is a function that is a Handler.
type HandlerFunc func(ctx context.Context, batch []Claim, settle func(i int, o Outcome))

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, batch []Claim, settle func(i int, o Outcome)) {
	f(ctx, batch, settle)
}

// Burier is a Handler that has the last word before the runner gives a job up
// because its attempts are used up. An error keeps the job: it comes again.
type Burier interface {
	Bury(ctx context.Context, c Claim, why string) error
}

// Meter counts what runners do. observe.Metrics is one.
type Meter interface {
	Batch(queue string, size int, took time.Duration)
	Settled(queue, verdict string)
}

// RunnerOptions say how to serve one queue. Queue, Name and Handler are needed.
type RunnerOptions struct {
	Queue   Queue
	Name    string
	Handler Handler
	// Slots is how many batches are handled at once (default 1), Batch how many
	// claims one may hold (default 1), InFlight how many claims may be open at
	// once (default Slots*Batch).
	Slots, Batch, InFlight int
	// Gather is how long after one exchange with the queue the next begins at the
	// latest, half of it at the earliest, by chance: runners that share a queue do not
	// stay in step. What comes meanwhile goes together. Where each batch costs something
	// of its own, that is cheaper. What comes to an idle runner is not kept waiting, nor
	// is a backlog: a claim that got all it asked for is followed at once. 0: nobody
	// waits.
	Gather time.Duration
	// Lease is how long a claim is ours (default 30 s); handlers get 5/6 of it.
	Lease time.Duration
	// MaxAttempts is when a Retry becomes Dead (default 12; negative: never).
	MaxAttempts int
	Backoff     Backoff
	// Drain is how long running handlers may go on after Run was told to stop
	// (default 25 s). Then their context ends.
	Drain time.Duration
	Meter Meter
	Log   *slog.Logger
}

// Runner serves one queue: it claims what there is room for, hands it to the
// handler in batches, and carries verdicts back together with the next claim.
type Runner struct {
	RunnerOptions
}

// NewRunner returns a Runner. It panics when a needed option is missing.
func NewRunner(o RunnerOptions) *Runner {
	if o.Queue == nil || o.Handler == nil || o.Name == "" {
		panic("queue: a runner needs a queue, its name and a handler")
	}
	o.Slots, o.Batch = max(o.Slots, 1), max(o.Batch, 1)
	if o.InFlight <= 0 {
		o.InFlight = o.Slots * o.Batch
	}
	if o.Lease <= 0 {
		o.Lease = 30 * time.Second
	}
	if o.MaxAttempts == 0 {
		o.MaxAttempts = 12
	}
	if o.Drain <= 0 {
		o.Drain = 25 * time.Second
	}
	if o.Meter == nil {
		o.Meter = noMeter{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Log = o.Log.With("part", "queue", "queue", o.Name)
	o.Backoff = o.Backoff.withDefaults()
	return &Runner{RunnerOptions: o}
}

// Run serves the queue until ctx ends. Then it stops claiming, lets handlers
// finish within Drain, gives back what was not handled, and returns. Failures of
// the queue never end it; only a closed queue does.
func (r *Runner) Run(ctx context.Context) error {
	l := newLoop(ctx, r)
	defer l.cancelHandlers(errDrained)
	for ctx.Err() == nil {
		l.awaitGather(ctx)
		pending, want := l.takePending()
		if len(pending) == 0 && (want == 0 || l.idle) {
			l.awaitWork(ctx, want)
			continue
		}
		if err := l.exchange(ctx, pending, want); errors.Is(err, ErrClosed) {
			return fmt.Errorf("run queue %s: %w", r.Name, err)
		} else if err != nil {
			l.backOff(ctx, err)
		}
	}
	return l.drain()
}

type noMeter struct{}

func (noMeter) Batch(string, int, time.Duration) {}
func (noMeter) Settled(string, string)           {}

// String names a verdict, for metrics and logs.
func (v Verdict) String() string {
	switch v {
	case Done:
		return "done"
	case Retry:
		return "retry"
	case Postpone:
		return "postpone"
	case Dead:
		return "dead"
	default:
		return "none"
	}
}

package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Handler does the work of one queue.
type Handler interface {
	// Handle works on claims of different lanes. It calls settle exactly once for each
	// claim, in any order and from any goroutine, before it returns. It sets the outcome's
	// verdict, delay and error; a Retry without a delay gets the runner's back-off. ctx
	// ends before the lease does and carries it: a handler whose process was suspended
	// checks LeaseOf before it acts on the outside world. The runner settles the claims
	// that are open when Handle returns or panics. Handle must be idempotent: a job may
	// come again after any failure.
	Handle(ctx context.Context, batch []Claim, settle func(i int, o Outcome))
}

// HandlerFunc is a function that is a Handler.
type HandlerFunc func(ctx context.Context, batch []Claim, settle func(i int, o Outcome))

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, batch []Claim, settle func(i int, o Outcome)) {
	f(ctx, batch, settle)
}

// Burier is a Handler that is asked before the runner buries a job whose attempts are used
// up. An error keeps the job: it comes again.
type Burier interface {
	Bury(ctx context.Context, c Claim, why string) error
}

// Meter counts the work of runners.
type Meter interface {
	Batch(queue string, size int, took time.Duration)
	Settled(queue, verdict string)
}

// RunnerOptions configure a Runner. Queue, Name and Handler are required.
type RunnerOptions struct {
	Queue   Queue
	Name    string
	Handler Handler
	// Slots is the number of batches handled at once (default 1), Batch the most claims in
	// one (default 1), InFlight the most claims open at once (default Slots*Batch).
	Slots, Batch, InFlight int
	// Gather is the longest pause after an exchange. The runner waits a random time
	// between Gather/2 and Gather, so that work that comes meanwhile shares the next
	// exchange; the random part keeps runners of one queue out of step. An idle runner does
	// not wait, nor does one whose last claim got all it asked for. 0 disables the pause.
	Gather time.Duration
	// Lease is the lease of a claim (default 30 s); handlers get 5/6 of it.
	Lease time.Duration
	// MaxAttempts is the attempt at which a Retry becomes Dead (default 12; negative:
	// never).
	MaxAttempts int
	Backoff     Backoff
	// Drain is how long running handlers may go on after Run's context ended (default
	// 25 s). Then their own context ends.
	Drain time.Duration
	Meter Meter
	Log   *slog.Logger
}

// Runner serves one queue: it claims as many jobs as there is room for, hands them to the
// handler in batches, and settles outcomes together with the next claim.
type Runner struct {
	opts RunnerOptions
}

// NewRunner returns a Runner. It panics if a required option is missing.
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
	o.MaxAttempts = cmp.Or(o.MaxAttempts, 12)
	if o.Drain <= 0 {
		o.Drain = 25 * time.Second
	}
	if o.Meter == nil {
		o.Meter = noMeter{}
	}
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler)).With("part", "queue", "queue", o.Name)
	o.Backoff = o.Backoff.withDefaults()
	return &Runner{opts: o}
}

// Run serves the queue until ctx ends. Then it stops claiming, lets handlers finish within
// Drain, releases unhandled claims, and returns. Of the queue's errors only ErrClosed ends
// it.
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
			return fmt.Errorf("run queue %s: %w", r.opts.Name, err)
		} else if err != nil {
			l.backOff(ctx, err)
		}
	}
	return l.drain()
}

type noMeter struct{}

func (noMeter) Batch(string, int, time.Duration) {}
func (noMeter) Settled(string, string)           {}

// String returns the verdict's name in metrics and logs.
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

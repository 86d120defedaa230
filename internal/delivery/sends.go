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
	// slotTimeout is how long a claimed row waits for a slot, markTimeout how long it then
	// waits for its read receipt. The post follows the claim within the sum: a hand-off in
	// that time is not seen.
	slotTimeout = time.Second
	markTimeout = time.Second
	// prefetch is how many messages are in hand for each concurrent post.
	prefetch = 8
	// sendEvery is the longest time between two claims of jobs without a backlog.
	sendEvery = 50 * time.Millisecond
	// outageDelay is how long a lane waits when a service of ours was down.
	outageDelay = time.Second
	// storeUnavailable is the reason of a hold that people see.
	storeUnavailable = "the store cannot be reached or cannot write"
)

// SendOptions configure Sends. Line, Store, Queue and Sender are needed.
type SendOptions struct {
	Line   string
	Store  store.Sends
	Queue  queue.Queue
	Sender Sender
	// Marker, when set, marks the message that a reply answers as read.
	Marker Marker
	// Rate is the line's limit, for all processes together; zero is none.
	Rate queue.Limit
	// Posts is how many posts run at once (default 32). Up to eight times as many messages
	// are in hand: the store takes most of the time of one.
	Posts int
	// PostTimeout is how long a post may take (default 15 s, as long as the system goes on
	// delivering it). A post that could not end within the lease does not begin.
	PostTimeout time.Duration
	// Lease is the lease of a conversation (default 30 s, or what PostTimeout needs).
	Lease time.Duration
	// MaxAttempts is after how many failures of its own a message is failed (default 12).
	MaxAttempts int
	Backoff     queue.Backoff
	// BackoffSpeedup is how many times faster the holds of an outage pass; 0: once.
	BackoffSpeedup float64
	Drain          time.Duration
	Now            func() time.Time
	Meter          Meter
	// Runs counts the jobs of the queue.
	Runs queue.Meter
	Log  *slog.Logger
}

// Sends delivers the messages of one line.
type Sends struct {
	opts SendOptions
	receiver
	runner   *queue.Runner
	claimer  *claimer
	recorder *recorder
	health   lineHealth
	refusals refusals
}

// NewSends returns the sends of a line. It panics when a needed option is missing.
func NewSends(o SendOptions) *Sends {
	if o.Line == "" || o.Store == nil || o.Queue == nil || o.Sender == nil {
		panic("delivery: sends need a line, a store, a queue and a sender")
	}
	o.Posts = positive(o.Posts, 32)
	o.PostTimeout = positive(o.PostTimeout, httpcall.Unacknowledged)
	// Time to claim, get a slot, mark, post and record within 5/6 of it.
	o.Lease = positive(o.Lease, max(30*time.Second, (o.PostTimeout+slotTimeout+markTimeout+8*time.Second)*6/5))
	o.MaxAttempts = positive(o.MaxAttempts, 12)
	o.Now = clockOr(o.Now)
	if o.Meter == nil {
		o.Meter = noMeter{}
	}
	o.Log = partLogger(o.Log, "delivery", "line", o.Line)
	s := &Sends{opts: o}
	s.slots = make(chan struct{}, o.Posts)
	s.claimer = newClaimer(s)
	s.health.pairs, s.health.busy = map[string]int{}, map[string]int{}
	s.hold = &queue.Holder{Queue: o.Queue, Name: job.SendQueue(o.Line), BackoffSpeedup: o.BackoffSpeedup, Log: o.Log}
	s.recorder = newRecorder(s)
	s.runner = queue.NewRunner(queue.RunnerOptions{
		Queue: o.Queue, Name: job.SendQueue(o.Line), Handler: queue.HandlerFunc(s.handle),
		Slots: prefetch * o.Posts, Batch: prefetch * o.Posts, InFlight: prefetch * o.Posts, Gather: sendEvery,
		Lease: o.Lease,
		// A wake-up is never dead: the row decides when it is over.
		MaxAttempts: -1, Backoff: o.Backoff, Drain: o.Drain, Meter: o.Runs, Log: o.Log,
	})
	return s
}

// Run delivers until ctx ends; posts under way then finish and are recorded.
func (s *Sends) Run(ctx context.Context) error {
	if err := prepareQueue(ctx, s.opts.Queue, job.SendQueue(s.opts.Line), s.opts.Rate, s.opts.Log, func() error { return nil }); err != nil {
		return err
	}
	err := s.runner.Run(ctx)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	s.recorder.close(last)
	if err != nil {
		return fmt.Errorf("deliver %s: %w", s.opts.Line, err)
	}
	s.claimer.batch.Close(context.WithoutCancel(ctx))
	return nil
}

// handle delivers the next row of each lane. A failing line is probed with one message at a
// time, of a conversation that was not refused if there is one.
func (s *Sends) handle(ctx context.Context, batch []queue.Claim, settle func(int, queue.Outcome)) {
	batch, settle = s.refusals.refusedLast(batch, settle)
	s.dispatchOrProbe(batch, settle, func(which ...int) { s.deliver(ctx, batch, settle, which) })
}

// deliver claims the rows of some lanes of the batch together, and posts them side by side.
func (s *Sends) deliver(ctx context.Context, batch []queue.Claim, settle func(int, queue.Outcome), which []int) {
	if len(which) == 0 || ctx.Err() != nil {
		return // the runner gives back the rest
	}
	conversations := make([]string, len(which))
	for n, i := range which {
		conversations[n] = batch[i].Lane
	}
	var lanes sync.WaitGroup
	for n, claimed := range s.claimer.request(s.gate(ctx, s.claimTime()), conversations) {
		c := batch[which[n]]
		lanes.Go(func() { settle(which[n], s.sendRow(ctx, c, claimed)) })
	}
	lanes.Wait()
}

// busyBackoff is the back-off for a conversation whose contact another process has locked.
var busyBackoff = queue.Backoff{Base: 100 * time.Millisecond, Cap: 5 * time.Second}

// claimTime is the longest time from the claim of a row to the end of its post.
func (s *Sends) claimTime() time.Duration { return slotTimeout + markTimeout + s.opts.PostTimeout }

// claimFailed handles a failed claim: nothing was posted.
func (s *Sends) claimFailed(ctx context.Context, c queue.Claim, err error) queue.Outcome {
	switch {
	case ctx.Err() != nil, errors.Is(err, httpcall.ErrNotBegun):
		return queue.Outcome{Verdict: queue.Postpone, Err: err.Error()}
	case storeDown(err):
		held := s.hold.Trip(ctx, storeUnavailable, err.Error(), queue.Backoff{}, 0)
		return queue.Outcome{Verdict: queue.Postpone, Delay: min(held, outageDelay), Err: err.Error()}
	case errors.Is(err, store.ErrBusy):
		return queue.Outcome{Verdict: queue.Postpone, Delay: busyBackoff.Delay(s.health.busyInARow(c.Lane)), Err: err.Error()}
	default:
		s.opts.Log.Warn("send failed", "conversation", c.Lane, "error", err)
		return queue.Outcome{Verdict: queue.Retry, Err: err.Error()}
	}
}

// storeDown reports whether the store does not answer, rather than refuse the row.
func storeDown(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
}

// Package queue keeps jobs durable and in order: a lane is a FIFO, lanes are
// served side by side, and the head of a lane stays until it is acknowledged.
// It knows nothing of WhatsApp, conversations or stores, and imports nothing
// of ours; engines live beside it and pass one conformance suite (queuetest).
package queue

import (
	"context"
	"errors"
	"time"
)

var (
	// ErrFull means that the queue refused the whole batch; nothing was added.
	ErrFull = errors.New("queue is full")
	// ErrUnavailable means that the engine could not be reached or could not
	// write; for Enqueue nothing may be assumed about the batch.
	ErrUnavailable = errors.New("queue is unavailable")
	// ErrClosed means that the engine was closed.
	ErrClosed = errors.New("queue is closed")
	// ErrNotFound means that a dead letter or a queue does not exist.
	ErrNotFound = errors.New("not found")
)

// Job is one thing to do, in one lane of one queue.
type Job struct {
	Queue string
	Lane  string
	// ID deduplicates within the queue for the dedupe window (24 h). A job
	// without ID is a wake-up: it carries nothing, and is added only when no
	// job that has not been handed out yet waits in its lane, so that a lane
	// never holds more than one running and one waiting wake-up.
	ID   string
	Body []byte
}

// Claim is a job handed out under a lease.
type Claim struct {
	Job
	// Token names this lease. Only its holder can settle the job.
	Token string
	// Attempt is 1 for the first run and grows with each counted Retry.
	Attempt int
	// Suspect is set when an earlier lease of this job ran out: it may be what
	// killed its worker, so it must run alone, and only then does a further
	// expiry count as an attempt.
	Suspect bool
	// Redriven is set for a job that came back from the dead letters.
	Redriven   bool
	EnqueuedAt time.Time
}

// Verdict is what became of a claim.
type Verdict uint8

const (
	// Done removes the job; the lane goes on.
	Done Verdict = iota + 1
	// Retry keeps the job at the head and counts an attempt; the lane waits
	// for Delay.
	Retry
	// Postpone keeps the job at the head without counting; the lane waits for
	// Delay. Drain and outages use it.
	Postpone
	// Dead moves the job to the dead letters; the lane goes on.
	Dead
)

// Outcome settles one claim.
type Outcome struct {
	Lane    string
	Token   string
	Verdict Verdict
	Delay   time.Duration
	// Err is kept with a retried or dead job, for people.
	Err string
}

// Batch is the answer of Exchange.
type Batch struct {
	Claims []Claim
	// Refused lists the lanes whose outcome named a lease that is no longer
	// held: somebody else owns the job now.
	Refused []string
	// Next is how long nothing will be due, as far as is known now. Wait
	// returns earlier when something is enqueued.
	Next time.Duration
}

// Limit is a rate for all processes together, charged for each job handed out.
// The zero Limit is none.
type Limit struct {
	Rate  float64 // jobs per second
	Burst int     // jobs that may go at once, at least 1
}

// Queue is what doors and workers use. Every method is safe for concurrent use.
type Queue interface {
	// Enqueue adds the jobs in order, all or none of each queue, and returns once
	// they are as durable as the engine promises. added[i] is false for a duplicate (or a
	// coalesced wake-up), which is a success. Errors: ErrFull, ErrUnavailable.
	// It may be repeated after any error.
	Enqueue(ctx context.Context, jobs []Job) (added []bool, err error)

	// Exchange settles outcomes and claims up to want jobs of one queue, each
	// from a different lane, for at most lease. Its outcomes are applied before
	// its claims. It must not be retried blindly: after an error the outcomes
	// are unknown and leases that it may have given simply run out.
	Exchange(ctx context.Context, queue string, outcomes []Outcome, want int, lease time.Duration) (Batch, error)

	// Wait blocks until something may be due in the queue, or max has passed,
	// or ctx ends (then it returns ctx.Err()). It may return early.
	Wait(ctx context.Context, queue string, max time.Duration) error

	// Hold hands out nothing from the queue until the given time, in all
	// processes; a zero time releases it. No hold is longer than the longest
	// delay: one that a clock which was set back makes longer is over. reason is
	// for people.
	Hold(ctx context.Context, queue string, until time.Time, reason string) error

	// SetLimit sets the queue's rate. It takes effect with the next claim.
	SetLimit(ctx context.Context, queue string, limit Limit) error

	// Close waits for what is being written and releases the engine.
	Close() error
}

// Operator is what people use. Every method is safe for concurrent use.
type Operator interface {
	// Pause hands out nothing until Resume; running jobs finish.
	Pause(ctx context.Context, queue string) error
	Resume(ctx context.Context, queue string) error
	// Stats returns one row for each queue that ever existed, or for those of them
	// that are named, by name, at a cost that does not grow with the backlog.
	Stats(ctx context.Context, queues ...string) ([]Stats, error)
	// Dead lists dead letters, newest first. before is the ID of the last row
	// of the previous page, 0 for the first.
	Dead(ctx context.Context, queue string, before int64, limit int) ([]DeadLetter, error)
	// DeadLetter returns one with its body. ErrNotFound.
	DeadLetter(ctx context.Context, id int64) (DeadLetter, error)
	// Redrive puts dead letters back at the tail of their lanes, attempts
	// cleared, past deduplication, exactly once each; it returns how many.
	Redrive(ctx context.Context, ids []int64) (int, error)
	// Drop deletes dead letters for good; it returns how many.
	Drop(ctx context.Context, ids []int64) (int, error)
	// Check counts everything anew, and returns what disagrees; empty is well.
	Check(ctx context.Context) ([]string, error)
}

// Engine is a complete implementation.
type Engine interface {
	Queue
	Operator
}

// Stats describes one queue.
type Stats struct {
	Name       string
	Depth      int64 // jobs waiting or running
	InFlight   int64 // claimed and not settled
	Dead       int64 // dead letters
	OldestAge  time.Duration
	Paused     bool
	HeldUntil  time.Time
	HeldReason string // why
	Limit      Limit
	// Totals since the engine was created.
	Enqueued, Duplicates, Done, Retried, Refused, Stalled int64
}

// DeadLetter is a job that was given up.
type DeadLetter struct {
	ID       int64
	Job      Job
	Attempts int
	Err      string
	Enqueued time.Time
	Died     time.Time
}

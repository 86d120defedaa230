// Package queue keeps jobs durably and in order: a lane is first in, first out, lanes are
// served side by side, and the head of a lane stays until it is settled. It must never know
// WhatsApp, conversations or stores, and it imports no package of ours. Its engines live
// beside it and pass one conformance suite (queuetest).
package queue

import (
	"context"
	"errors"
	"time"
)

var (
	// ErrFull means that the queue refused the whole batch; nothing was added.
	ErrFull = errors.New("queue is full")
	// ErrUnavailable means that the engine could not be reached or could not write. After
	// Enqueue, the batch may or may not have been added.
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
	// ID deduplicates within the queue for the dedupe window (24 h). A job without ID is a
	// wake-up: it has no body, and is added only if no job waits in its lane, so a lane
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
	// Suspect is set when an earlier lease of this job ran out: it may be a poison job that
	// killed its worker. A suspect must run alone; only then does another expiry count as
	// an attempt.
	Suspect bool
	// Redriven is set for a job redriven from the dead letters.
	Redriven   bool
	EnqueuedAt time.Time
}

// Verdict is the result of a claim.
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
	// Err is stored with a retried or dead job, for people to read.
	Err string
}

// Batch is the result of Exchange.
type Batch struct {
	Claims []Claim
	// Refused lists the lanes whose outcome named a lost lease: another worker may have the
	// job now.
	Refused []string
	// Next is the time until another job is due, as far as is known now. Wait returns
	// earlier if a job is enqueued.
	Next time.Duration
}

// Limit is a rate shared by all processes and charged for each job handed out. The zero
// Limit is none.
type Limit struct {
	Rate  float64 // jobs per second
	Burst int     // jobs that may be handed out at once, at least 1
}

// Queue is the part that producers and workers use. Every method is safe for concurrent
// use.
type Queue interface {
	// Enqueue adds the jobs in order, all or none of each queue, and returns once they are
	// as durable as the engine promises. added[i] is false for a duplicate or a coalesced
	// wake-up; both are successes. Errors: ErrFull, ErrUnavailable. It may be repeated
	// after any error.
	Enqueue(ctx context.Context, jobs []Job) (added []bool, err error)

	// Exchange settles outcomes, then claims up to want jobs of one queue for at most
	// lease, each from a different lane. It must not be retried blindly: after an error the
	// outcomes are unknown, and leases that it may have granted run out.
	Exchange(ctx context.Context, queue string, outcomes []Outcome, want int, lease time.Duration) (Batch, error)

	// Wait blocks until a job may be due in the queue, max has passed, or ctx ends (it then
	// returns ctx.Err()). It may return early.
	Wait(ctx context.Context, queue string, max time.Duration) error

	// Hold stops handing out jobs of the queue, in all processes, until the given time; a
	// zero time releases the hold. A hold never lasts longer than the longest delay: one
	// that was written before the clock was set back ends at once. reason is for people.
	Hold(ctx context.Context, queue string, until time.Time, reason string) error

	// SetLimit sets the queue's rate, from the next claim on.
	SetLimit(ctx context.Context, queue string, limit Limit) error

	// Close waits for pending writes and releases the engine.
	Close() error
}

// Operator is the part that operators use. Every method is safe for concurrent use.
type Operator interface {
	// Pause stops handing out jobs until Resume; running jobs finish.
	Pause(ctx context.Context, queue string) error
	Resume(ctx context.Context, queue string) error
	// Stats returns one row for each queue that ever existed, or for the named ones that
	// did, ordered by name. Its cost does not grow with the backlog.
	Stats(ctx context.Context, queues ...string) ([]Stats, error)
	// Dead lists dead letters, newest first. before is the ID of the last row
	// of the previous page, 0 for the first.
	Dead(ctx context.Context, queue string, before int64, limit int) ([]DeadLetter, error)
	// DeadLetter returns one dead letter with its body. Errors: ErrNotFound.
	DeadLetter(ctx context.Context, id int64) (DeadLetter, error)
	// Redrive puts dead letters back at the tail of their lanes, exactly once each, with
	// their attempts cleared and without deduplication. It returns how many.
	Redrive(ctx context.Context, ids []int64) (int, error)
	// Drop deletes dead letters for good and returns how many.
	Drop(ctx context.Context, ids []int64) (int, error)
	// Check recounts everything and returns the differences, none if all is well.
	Check(ctx context.Context) ([]string, error)
}

// Engine is a complete queue.
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
	HeldReason string // why it is held
	Limit      Limit
	// Totals since the queue was created.
	Enqueued, Duplicates, Done, Retried, Refused, Stalled int64
}

// DeadLetter is a job that failed for good.
type DeadLetter struct {
	ID       int64
	Job      Job
	Attempts int
	Err      string
	Enqueued time.Time
	Died     time.Time
}

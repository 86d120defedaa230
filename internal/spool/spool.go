// Package spool is a door's queue that does not say no while the disk lives:
// what the shared queue cannot take now is kept in a file beside it, and handed
// on in order when it can. It must never answer before a job is on the disk or
// in the shared queue, let a job overtake an older one of its lane that it still
// keeps, or give up a kept job before the shared queue has it.
package spool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// enqueuer is what the spool needs of the shared queue.
type enqueuer interface {
	Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error)
}

// Options describe a Spool. Queue and Path are required.
type Options struct {
	// Queue is the shared queue. It must deduplicate by id.
	Queue enqueuer
	// Path is the spool's file, which belongs to this process alone.
	Path string
	// OrphanFiles are files that other processes may have left jobs in: what no living
	// process uses is taken over before anything else is kept.
	OrphanFiles []string
	// MaxPages bounds the file in pages of 4096 bytes; 0 is no limit.
	MaxPages int
	// DirectTimeout is how long the shared queue may take before a job is kept
	// instead, 1.5 s if 0.
	DirectTimeout time.Duration
	// Mark changes the body of a job that was spooled; nil leaves it.
	Mark func(queue.Job) queue.Job
	Now  func() time.Time // nil: time.Now
	Log  *slog.Logger     // nil: discarded
}

// Spool is an ingest.Enqueuer. Its methods are safe for concurrent use.
type Spool struct {
	queue         enqueuer
	journal       *journal
	path          string
	directTimeout time.Duration
	mark          func(queue.Job) queue.Job
	now           func() time.Time
	log           *slog.Logger
	fallback      *fallback
	drain         drain // belongs to Run, but for its wake
}

// Open makes or opens the file. What an earlier process kept is still there.
func Open(ctx context.Context, o Options) (*Spool, error) {
	if o.Queue == nil {
		return nil, errors.New("open spool: it needs a queue")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Log = o.Log.With("part", "spool")
	j, err := openJournal(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	s := &Spool{
		queue: o.Queue, journal: j, path: o.Path, directTimeout: cmp.Or(o.DirectTimeout, 1500*time.Millisecond),
		mark: o.Mark, now: o.Now, log: o.Log, drain: newDrain(),
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.adoptOrphans(ctx, o)
	lanes, oldest, err := j.count(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open spool: %w", err), s.Close())
	}
	s.fallback = newFallback(lanes, oldest)
	if n := s.Depth(); n > 0 {
		s.log.Warn("jobs of an earlier process are waiting to be handed on", "jobs", n, "age", s.Oldest())
	}
	return s, nil
}

// Close lets the file go. What is in it stays there.
func (s *Spool) Close() error { return s.journal.db.Close() }

// Enqueue adds the jobs to the shared queue or, where that cannot take them now
// or older ones of their lanes are kept, keeps all of them: a batch goes one way
// as a whole. It returns once they are durable. A job that is kept already is
// not kept twice; added is false for it. Only jobs with a body are ever kept.
func (s *Spool) Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error) {
	keep := keepable(jobs)
	if s.fallback.allowDirect(jobs, keep, s.now()) {
		added, err := s.enqueueDirect(ctx, jobs)
		if err == nil || !keep || ctx.Err() != nil {
			return added, err
		}
		if s.fallback.switchToSpool(err, jobs, s.now()) {
			s.log.Error("the shared queue takes nothing: jobs are kept here", "error", err)
		}
	} else if !keep {
		return nil, fmt.Errorf("spool: only jobs with an id and a body are kept: %w", queue.ErrUnavailable)
	}
	added, err := s.journal.add(ctx, jobs, s.now())
	s.fallback.undo(jobs, added)
	s.drain.wake()
	if err != nil {
		return nil, fmt.Errorf("spool: %w: %w", queue.ErrUnavailable, err)
	}
	return added, nil
}

// keepable says whether all jobs are something that has to be kept, and that
// every engine will take when it can.
func keepable(jobs []queue.Job) bool {
	for _, j := range jobs {
		if j.Queue == "" || j.ID == "" || len(j.ID) > math.MaxUint16 || len(j.Body) == 0 {
			return false
		}
	}
	return len(jobs) > 0
}

// enqueueDirect asks the shared queue, and leaves enough of the caller's time for the
// disk. What is given up may still be done there: the ids tell.
func (s *Spool) enqueueDirect(ctx context.Context, jobs []queue.Job) ([]bool, error) {
	timeout := s.directTimeout
	if end, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(end)/2)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return s.queue.Enqueue(ctx, jobs)
}

// Depth is how many jobs are kept.
func (s *Spool) Depth() int { depth, _, _ := s.fallback.state(); return depth }

// Oldest is the age of the first of them, 0 without any.
func (s *Spool) Oldest() time.Duration {
	depth, oldest, _ := s.fallback.state()
	if depth == 0 {
		return 0
	}
	return max(0, s.now().Sub(oldest))
}

// Down is why the shared queue is not used now, nil when it is.
func (s *Spool) Down() error { _, _, down := s.fallback.state(); return down }

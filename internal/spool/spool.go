// Package spool is a queue for ingest that works as long as the disk does: jobs that the shared
// queue cannot take now are spooled to a file, and moved to the shared queue in order later. It
// must never answer before a job is on disk or in the shared queue, let a job overtake an older
// one of its lane in the spool, or drop a spooled job before the shared queue has it.
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

// enqueuer is the part of the shared queue that a Spool needs.
type enqueuer interface {
	Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error)
}

// Options configure a Spool. Queue and Path are required.
type Options struct {
	// Queue is the shared queue. It must deduplicate by id.
	Queue enqueuer
	// Path is the spool's file. Only this process may use it.
	Path string
	// OrphanFiles are files in which other processes may have left jobs. Open takes over
	// the jobs of those that no running process uses.
	OrphanFiles []string
	// MaxPages bounds the file, in pages of 4096 bytes; 0 for no bound.
	MaxPages int
	// DirectTimeout is how long the shared queue may take before a job is spooled
	// instead; 0 for 1.5 s.
	DirectTimeout time.Duration
	// Mark changes the body of a spooled job before it is enqueued; nil leaves it.
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
	drain         drain // used only by Run, but for wake
}

// Open creates or opens the file. Jobs that an earlier process spooled are still in it.
func Open(ctx context.Context, o Options) (*Spool, error) {
	if o.Queue == nil {
		return nil, errors.New("open spool: no queue")
	}
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler)).With("part", "spool")
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
		s.log.Warn("jobs of an earlier process wait for the shared queue", "jobs", n, "age", s.Oldest())
	}
	return s, nil
}

// Close closes the file. Its jobs stay in it.
func (s *Spool) Close() error { return s.journal.db.Close() }

// Enqueue adds the jobs to the shared queue. If that cannot take them now, or older jobs of
// their lanes are spooled, it spools all of them: a batch goes one way as a whole. It returns
// once they are durable. added is false for a job that is already spooled. Only jobs with an id
// and a body are spooled; others fail with the shared queue's error or queue.ErrUnavailable.
func (s *Spool) Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error) {
	keep := keepable(jobs)
	if s.fallback.allowDirect(jobs, keep, s.now()) {
		added, err := s.enqueueDirect(ctx, jobs)
		if err == nil || !keep || ctx.Err() != nil {
			return added, err
		}
		if s.fallback.switchToSpool(err, jobs, s.now()) {
			s.log.Error("the shared queue takes no jobs: spooling them to disk", "error", err)
		}
	} else if !keep {
		return nil, fmt.Errorf("spool: only jobs with an id and a body can be spooled: %w", queue.ErrUnavailable)
	}
	added, err := s.journal.add(ctx, jobs, s.now())
	s.fallback.undo(jobs, added)
	s.drain.wake()
	if err != nil {
		return nil, fmt.Errorf("spool: %w: %w", queue.ErrUnavailable, err)
	}
	return added, nil
}

// keepable reports whether all jobs may be spooled: they have an id and a body, and every engine
// can take them.
func keepable(jobs []queue.Job) bool {
	for _, j := range jobs {
		if j.Queue == "" || j.ID == "" || len(j.ID) > math.MaxUint16 || len(j.Body) == 0 {
			return false
		}
	}
	return len(jobs) > 0
}

// enqueueDirect enqueues the jobs in the shared queue, and leaves enough of the caller's time for
// the disk. A call that times out may still succeed there: the ids deduplicate the jobs.
func (s *Spool) enqueueDirect(ctx context.Context, jobs []queue.Job) ([]bool, error) {
	timeout := s.directTimeout
	if end, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(end)/2)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return s.queue.Enqueue(ctx, jobs)
}

// Depth returns the number of spooled jobs.
func (s *Spool) Depth() int { depth, _, _ := s.fallback.state(); return depth }

// Oldest returns the age of the oldest spooled job, 0 if there is none.
func (s *Spool) Oldest() time.Duration {
	depth, oldest, _ := s.fallback.state()
	if depth == 0 {
		return 0
	}
	return max(0, s.now().Sub(oldest))
}

// Down returns why the shared queue is not used now, nil if it is.
func (s *Spool) Down() error { _, _, down := s.fallback.state(); return down }

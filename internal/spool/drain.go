package spool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/sqlite"
)

const (
	// batchJobs and batchBytes bound a batch for the shared queue.
	batchJobs  = 256
	batchBytes = 4 << 20
	// maxCall is how long the shared queue may take for a batch.
	maxCall = 5 * time.Second
)

// drain is the progress of Run.
type drain struct {
	signal    chan struct{}
	drainedTo int64   // all entries up to here are delivered or refused
	refused   []int64 // entries that the shared queue rejects
	size      int     // of the next batch: parts of a refused batch may fit
	dirty     bool    // drained entries are still in the file
	handed    int     // jobs delivered since the spool was last empty
}

func newDrain() drain {
	return drain{signal: make(chan struct{}, 1), refused: []int64{}, size: batchJobs}
}

func (d *drain) wake() {
	select {
	case d.signal <- struct{}{}:
	default:
	}
}

// Run moves the spooled jobs to the shared queue, oldest first, until ctx ends; the rest stays
// in the file. Failures of the shared queue or the disk never end it, but Close does. It may be
// called once.
func (s *Spool) Run(ctx context.Context) error {
	backoff := queue.Backoff{Base: 200 * time.Millisecond, Cap: 5 * time.Second}
	for fails := 0; ctx.Err() == nil; {
		n, err := s.drainBatch(ctx)
		if errors.Is(err, sqlite.ErrClosed) && ctx.Err() == nil {
			return fmt.Errorf("run spool: %w", err)
		}
		if err == nil && n > 0 {
			fails = 0
			continue
		}
		var again <-chan time.Time
		signal := s.drain.signal
		if err != nil { // new jobs do not shorten the back-off
			fails++
			again, signal = time.After(backoff.Delay(fails)), nil
		}
		select {
		case <-again:
		case <-signal:
		case <-ctx.Done():
		}
	}
	return nil
}

// drainBatch moves one batch to the shared queue and returns its size. It is also the probe of
// the shared queue.
func (s *Spool) drainBatch(ctx context.Context) (int, error) {
	d := &s.drain
	kept, err := s.journal.after(ctx, d.drainedTo, batchJobs, batchBytes)
	if err != nil {
		// The shared queue cannot be probed, so lanes without spooled jobs may try it.
		s.fallback.setDown(nil)
		s.log.Error("cannot read the spooled jobs", "error", err)
		return 0, err
	}
	if len(kept) == 0 {
		return 0, s.removeDrained(ctx)
	}
	s.fallback.setOldest(kept[0].at)
	batch := kept[:min(d.size, len(kept))]
	if err := s.enqueueBatch(ctx, batch); err != nil {
		d.size = max(1, len(batch)/2)
		switch {
		case ctx.Err() != nil:
			return 0, err
		case len(batch) > 1 || !s.isPoison(ctx, batch[0], err):
			s.fallback.setDown(err)
			return 0, err
		}
		s.log.Error("the shared queue rejects a job: it stays in the file and is tried again at the next start",
			"queue", batch[0].Queue, "id", batch[0].ID, "file", s.path, "error", err)
		d.refused = append(d.refused, batch[0].n)
	} else {
		d.size = min(batchJobs, 2*d.size)
		d.handed += len(batch)
	}
	d.drainedTo, d.dirty = batch[len(batch)-1].n, true
	if s.fallback.release(batch) == 0 {
		s.log.Info("the shared queue has all spooled jobs", "jobs", d.handed)
		d.handed = 0
	}
	// If this fails or never happens, the jobs are enqueued again at the next start, and
	// the shared queue knows their ids. A full disk must not stop the drain.
	if err := s.removeDrained(ctx); err != nil {
		s.log.Warn("cannot remove drained jobs from the file", "error", err)
	}
	return len(batch), nil
}

// enqueueBatch enqueues entries in the shared queue.
func (s *Spool) enqueueBatch(ctx context.Context, batch []entry) error {
	jobs := make([]queue.Job, len(batch))
	for i, e := range batch {
		jobs[i] = e.Job
		if s.mark != nil {
			jobs[i].Body = s.mark(e.Job).Body
		}
	}
	ctx, cancel := context.WithTimeout(ctx, maxCall)
	defer cancel()
	_, err := s.queue.Enqueue(ctx, jobs)
	return err
}

// isPoison reports whether a refusal is the job's own fault: the shared queue takes the first
// job of another lane, and then refuses this one again.
func (s *Spool) isPoison(ctx context.Context, e entry, why error) bool {
	if !isRefusal(why) {
		return false
	}
	others, err := s.journal.after(ctx, e.n, batchJobs, batchBytes)
	if err != nil {
		return false
	}
	for i, o := range others {
		if o.Queue != e.Queue || o.Lane != e.Lane {
			return s.enqueueBatch(ctx, others[i:i+1]) == nil && isRefusal(s.enqueueBatch(ctx, []entry{e}))
		}
	}
	return false
}

// isRefusal reports whether an error is not an outage.
func isRefusal(err error) bool {
	return err != nil && !errors.Is(err, queue.ErrUnavailable) && !errors.Is(err, queue.ErrFull) &&
		!errors.Is(err, queue.ErrClosed) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled)
}

// removeDrained removes the drained entries from the file.
func (s *Spool) removeDrained(ctx context.Context) error {
	d := &s.drain
	if !d.dirty {
		return nil
	}
	except, err := json.Marshal(d.refused)
	if err == nil {
		err = s.journal.remove(context.WithoutCancel(ctx), d.drainedTo, string(except))
	}
	d.dirty = err != nil
	return err
}

package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/ingest"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
)

const (
	// failedFor is for how long a write that failed makes us unready, when nobody
	// has tried the same again: then a probe decides.
	failedFor = 10 * time.Second
	// wroteFor is for how long a write that succeeded stands for a probe.
	wroteFor = 5 * time.Second
)

// writes remembers how the last writes to an engine went, each kind for itself: on a
// disk that is nearly full small ones succeed where large ones fail. What can be
// read and not written is down all the same.
type writes struct {
	now func() time.Time

	mu     sync.Mutex
	failed map[string]failedWrite
	wrote  time.Time
}

type failedWrite struct {
	at  time.Time
	err error
}

func newWrites() *writes {
	return &writes{now: time.Now, failed: map[string]failedWrite{}}
}

// note takes the outcome of a write; did is false for a success that had nothing to
// write.
func (w *writes) note(kind string, did bool, err error) {
	ours := errors.Is(err, queue.ErrUnavailable) || errors.Is(err, queue.ErrFull) || errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case ours:
		w.failed[kind] = failedWrite{w.now(), err}
	case err == nil && did:
		delete(w.failed, kind)
		w.wrote = w.now()
	}
}

// check says whether writes fail. Where none was tried of late it tries one.
func (w *writes) check(probe func() error) error {
	w.mu.Lock()
	now := w.now()
	var last failedWrite
	for kind, f := range w.failed {
		if now.Sub(f.at) >= failedFor {
			delete(w.failed, kind)
		} else if f.at.After(last.at) || last.err == nil {
			last = f
		}
	}
	fresh := now.Sub(w.wrote) < wroteFor
	w.mu.Unlock()
	switch {
	case last.err != nil:
		return fmt.Errorf("writes fail: %w", last.err)
	case fresh:
		return nil
	}
	if err := probe(); err != nil {
		return fmt.Errorf("writes fail: %w", err)
	}
	return nil
}

// notedQueue notes how writes go.
type notedQueue struct {
	queue.Engine
	writes *writes
}

// Enqueue implements queue.Queue.
func (q notedQueue) Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error) {
	added, err := q.Engine.Enqueue(ctx, jobs)
	q.writes.note("enqueue", anyOf(added), err)
	return added, err
}

func anyOf(added []bool) bool {
	for _, a := range added {
		if a {
			return true
		}
	}
	return false
}

// Exchange implements queue.Queue.
func (q notedQueue) Exchange(ctx context.Context, name string, outcomes []queue.Outcome, want int, lease time.Duration) (queue.Batch, error) {
	b, err := q.Engine.Exchange(ctx, name, outcomes, want, lease)
	q.writes.note("exchange", len(outcomes)+len(b.Claims) > 0, err)
	return b, err
}

// SetLimit implements queue.Queue.
func (q notedQueue) SetLimit(ctx context.Context, name string, limit queue.Limit) error {
	err := q.Engine.SetLimit(ctx, name, limit)
	q.writes.note("setting", true, err)
	return err
}

// check says whether the queue can be read and written.
func (q notedQueue) check(ctx context.Context) error {
	if _, err := q.Stats(ctx); err != nil {
		return err
	}
	return q.writes.check(func() error {
		// Files have no rate of their own: none is written anew.
		return q.Engine.SetLimit(ctx, inbound.QueueMedia, queue.Limit{})
	})
}

// notedStore notes how writes go.
type notedStore struct {
	store.Store
	writes *writes
	// process is this one's name among all.
	process string
}

func newNotedStore(s store.Store) notedStore {
	return notedStore{s, newWrites(), fmt.Sprintf("%d %s", os.Getpid(), uuid.NewString()[:8])}
}

// Turn implements store.Store.
func (s notedStore) Turn(ctx context.Context, now time.Time, batch []inbound.Arrival) ([]store.Result, error) {
	results, err := s.Store.Turn(ctx, now, batch)
	s.writes.note("turn", len(batch) > 0, err)
	return results, err
}

// Statuses implements store.Store.
func (s notedStore) Statuses(ctx context.Context, now time.Time, batch []inbound.Arrival) error {
	err := s.Store.Statuses(ctx, now, batch)
	s.writes.note("statuses", len(batch) > 0, err)
	return err
}

// Command implements store.Store.
func (s notedStore) Command(ctx context.Context, now time.Time, cmd store.Command) (store.CommandResult, error) {
	done, err := s.Store.Command(ctx, now, cmd)
	s.writes.note("command", true, err)
	return done, err
}

// ClaimSends implements store.Store.
func (s notedStore) ClaimSends(ctx context.Context, now time.Time, token string, conversations []string) ([]store.SendClaim, error) {
	claims, err := s.Store.ClaimSends(ctx, now, token, conversations)
	s.writes.note("claim", len(claims) > 0, err)
	return claims, err
}

// RecordSends implements store.Store.
func (s notedStore) RecordSends(ctx context.Context, now time.Time, results []store.SendResult) ([]store.Recorded, error) {
	recorded, err := s.Store.RecordSends(ctx, now, results)
	s.writes.note("record", len(results) > 0, err)
	return recorded, err
}

// SaveMedia implements store.Store.
func (s notedStore) SaveMedia(ctx context.Context, messageID string, media store.Media) error {
	err := s.Store.SaveMedia(ctx, messageID, media)
	s.writes.note("media", true, err)
	return err
}

// Pump implements store.Store.
func (s notedStore) Pump(ctx context.Context, now time.Time) (store.PumpResult, error) {
	done, err := s.Store.Pump(ctx, now)
	s.writes.note("pump", done.Numbered+done.Timers > 0, err)
	return done, err
}

// Apologize implements store.Store.
func (s notedStore) Apologize(ctx context.Context, now time.Time) (int, error) {
	n, err := s.Store.Apologize(ctx, now)
	s.writes.note("apologize", n > 0, err)
	return n, err
}

// Lead implements store.Store.
func (s notedStore) Lead(ctx context.Context, now time.Time, r store.Term) (store.Leadership, error) {
	served, err := s.Store.Lead(ctx, now, r)
	s.writes.note("duty", r.Report != nil, err)
	return served, err
}

// check says whether the store can be read and written.
func (s notedStore) check(ctx context.Context) error {
	if err := s.Ping(ctx); err != nil {
		return err
	}
	return s.writes.check(func() error {
		// A duty that nobody does anything for: each process reports to it.
		_, err := s.Store.Lead(ctx, time.Now(), store.Term{Duty: "writes", Process: s.process, Lease: time.Minute, Report: []byte("{}")})
		return err
	})
}

// notedDoor notes whether what arrives is kept, wherever.
type notedDoor struct {
	ingest.Enqueuer
	writes *writes
}

// Enqueue implements ingest.Enqueuer.
func (d notedDoor) Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error) {
	added, err := d.Enqueuer.Enqueue(ctx, jobs)
	d.writes.note("arrivals", true, err)
	return added, err
}

package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/ingest"
	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
)

const (
	// failureTTL is how long a failed write counts if no write of its kind follows; then a
	// probe decides.
	failureTTL = 10 * time.Second
	// successTTL is how long a successful write stands for a probe.
	successTTL = 5 * time.Second
)

// writeHealth remembers the results of the last writes to an engine, by kind: on a nearly
// full disk small writes succeed where large ones fail. An engine that can be read but not
// written is down.
type writeHealth struct {
	now func() time.Time

	mu          sync.Mutex
	failed      map[string]failedWrite
	lastSuccess time.Time
}

type failedWrite struct {
	at  time.Time
	err error
}

func newWriteHealth() *writeHealth {
	return &writeHealth{now: time.Now, failed: map[string]failedWrite{}}
}

// record records the result of a write; did is false for a success that wrote nothing.
func (w *writeHealth) record(kind string, did bool, err error) {
	ours := errors.Is(err, queue.ErrUnavailable) || errors.Is(err, queue.ErrFull) || errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case ours:
		w.failed[kind] = failedWrite{w.now(), err}
	case err == nil && did:
		delete(w.failed, kind)
		w.lastSuccess = w.now()
	}
}

// check returns an error if writes fail. Without a recent write it probes.
func (w *writeHealth) check(probe func() error) error {
	w.mu.Lock()
	now := w.now()
	var last failedWrite
	for kind, f := range w.failed {
		if now.Sub(f.at) >= failureTTL {
			delete(w.failed, kind)
		} else if f.at.After(last.at) || last.err == nil {
			last = f
		}
	}
	fresh := now.Sub(w.lastSuccess) < successTTL
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

// trackedQueue records the results of writes.
type trackedQueue struct {
	queue.Engine
	health *writeHealth
}

// Enqueue implements queue.Queue.
func (q trackedQueue) Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error) {
	added, err := q.Engine.Enqueue(ctx, jobs)
	q.health.record("enqueue", slices.Contains(added, true), err)
	return added, err
}

// Exchange implements queue.Queue.
func (q trackedQueue) Exchange(ctx context.Context, name string, outcomes []queue.Outcome, want int, lease time.Duration) (queue.Batch, error) {
	b, err := q.Engine.Exchange(ctx, name, outcomes, want, lease)
	q.health.record("exchange", len(outcomes)+len(b.Claims) > 0, err)
	return b, err
}

// SetLimit implements queue.Queue.
func (q trackedQueue) SetLimit(ctx context.Context, name string, limit queue.Limit) error {
	err := q.Engine.SetLimit(ctx, name, limit)
	q.health.record("setting", true, err)
	return err
}

// check checks that the queue can be read and written.
func (q trackedQueue) check(ctx context.Context) error {
	if _, err := q.Stats(ctx); err != nil {
		return err
	}
	return q.health.check(func() error {
		// The media queue has no rate, so this changes nothing.
		return q.Engine.SetLimit(ctx, job.Media, queue.Limit{})
	})
}

// trackedStore records the results of writes.
type trackedStore struct {
	store.Store
	health *writeHealth
	// process is this process's name, unique among all.
	process string
}

func newTrackedStore(s store.Store) trackedStore {
	return trackedStore{s, newWriteHealth(), fmt.Sprintf("%d %s", os.Getpid(), uuid.NewString()[:8])}
}

// Turn implements store.Store.
func (s trackedStore) Turn(ctx context.Context, now time.Time, batch []inbound.Arrival) ([]store.Result, error) {
	results, err := s.Store.Turn(ctx, now, batch)
	s.health.record("turn", len(batch) > 0, err)
	return results, err
}

// Statuses implements store.Store.
func (s trackedStore) Statuses(ctx context.Context, now time.Time, batch []inbound.Arrival) error {
	err := s.Store.Statuses(ctx, now, batch)
	s.health.record("statuses", len(batch) > 0, err)
	return err
}

// Command implements store.Store.
func (s trackedStore) Command(ctx context.Context, now time.Time, cmd store.Command) (store.CommandResult, error) {
	done, err := s.Store.Command(ctx, now, cmd)
	s.health.record("command", true, err)
	return done, err
}

// ClaimSends implements store.Store.
func (s trackedStore) ClaimSends(ctx context.Context, now time.Time, token string, conversations []string) ([]store.SendClaim, error) {
	claims, err := s.Store.ClaimSends(ctx, now, token, conversations)
	s.health.record("claim", len(claims) > 0, err)
	return claims, err
}

// RecordSends implements store.Store.
func (s trackedStore) RecordSends(ctx context.Context, now time.Time, results []store.SendResult) ([]store.Recorded, error) {
	recorded, err := s.Store.RecordSends(ctx, now, results)
	s.health.record("record", len(results) > 0, err)
	return recorded, err
}

// SaveMedia implements store.Store.
func (s trackedStore) SaveMedia(ctx context.Context, messageID string, media store.Media) error {
	err := s.Store.SaveMedia(ctx, messageID, media)
	s.health.record("media", true, err)
	return err
}

// Pump implements store.Store.
func (s trackedStore) Pump(ctx context.Context, now time.Time) (store.PumpResult, error) {
	done, err := s.Store.Pump(ctx, now)
	s.health.record("pump", done.Numbered+done.Timers > 0, err)
	return done, err
}

// Apologize implements store.Store.
func (s trackedStore) Apologize(ctx context.Context, now time.Time) (int, error) {
	n, err := s.Store.Apologize(ctx, now)
	s.health.record("apologize", n > 0, err)
	return n, err
}

// Lead implements store.Store.
func (s trackedStore) Lead(ctx context.Context, now time.Time, r store.Term) (store.Leadership, error) {
	served, err := s.Store.Lead(ctx, now, r)
	s.health.record("duty", r.Report != nil, err)
	return served, err
}

// check checks that the store can be read and written.
func (s trackedStore) check(ctx context.Context) error {
	if err := s.Ping(ctx); err != nil {
		return err
	}
	return s.health.check(func() error {
		// Each process reports to a duty that does nothing.
		_, err := s.Store.Lead(ctx, time.Now(), store.Term{Duty: "writes", Process: s.process, Lease: time.Minute, Report: []byte("{}")})
		return err
	})
}

// trackedEnqueuer records whether arrivals are kept, in the queue or the spool.
type trackedEnqueuer struct {
	ingest.Enqueuer
	health *writeHealth
}

// Enqueue implements ingest.Enqueuer.
func (d trackedEnqueuer) Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error) {
	added, err := d.Enqueuer.Enqueue(ctx, jobs)
	d.health.record("arrivals", true, err)
	return added, err
}

package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/psivisionhub/psi-router/internal/sqlite"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
)

// counters are the numbers that were given out, as the queue's file notes them.
type counters struct {
	mu     sync.Mutex
	limits map[string]int64
}

// raise adds the numbers that a transaction gave out.
func (c *counters) raise(issued map[string]int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, value := range issued {
		c.limits[name] = max(c.limits[name], value)
	}
}

// note returns the queue file's note.
func (c *counters) note() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text, err := json.Marshal(c.limits)
	if err != nil {
		return "" // numbers by name have no such error
	}
	return string(text)
}

// checkWritable returns why nothing may be written; nil if it may.
func (s *Store) checkWritable() error {
	if err := s.writeRefusal.Load(); err != nil {
		return *err
	}
	return nil
}

// Stale reports that the file is older than the queue: reads may be of the past, and
// nothing is written.
func (s *Store) Stale() bool { return s.writeRefusal.Load() != nil }

// goWith checks the queue's file before anything is written. A store that is older than the
// queue is closed: its messages may have been sent, and its numbers given out. An older
// queue is logged: jobs that it had accepted since are gone.
func (s *Store) goWith(ctx context.Context, queue *sqlite.DB) error {
	ours, theirs, err := s.pairs(ctx, queue)
	if err != nil || ours.ID == 0 || theirs.ID == 0 {
		return err
	}
	s.queue = queue
	if err := s.loadCounters(ctx); err != nil {
		return err
	}
	if ours.Behind(theirs) || ours.Mismatches(theirs) {
		why := fmt.Errorf("%w: %w: run psi-router migrate --after-restore (store.db is a copy that was put back: it has %d commits, and queue.db has seen %d)",
			store.ErrUnavailable, store.ErrBackInTime, ours.Commits, theirs.OtherCommits)
		s.writeRefusal.Store(&why)
		s.logger.Error("nothing is written to the store until this is fixed", "error", why)
		return nil
	}
	if theirs.Behind(ours) || theirs.Mismatches(ours) {
		why := fmt.Sprintf("queue.db is a copy that was put back: it has %d commits, and store.db has seen %d; what it accepted since is gone", theirs.Commits, ours.OtherCommits)
		s.logger.Error("the queue is older than the store: messages that were accepted may be gone", "why", why)
	}
	s.trackPair()
	return nil
}

func (s *Store) pairs(ctx context.Context, queue *sqlite.DB) (ours, theirs sqlite.Pair, err error) {
	if ours, err = s.db.Pair(ctx); err == nil {
		theirs, err = queue.Pair(ctx)
	}
	if err != nil {
		return ours, theirs, fmt.Errorf("compare store.db and queue.db: %w", err)
	}
	return ours, theirs, nil
}

// trackPair makes each file note how far the other one is.
func (s *Store) trackPair() {
	s.db.PairWith(s.queue, func() string { return "" })
	s.queue.PairWith(s.db, s.counters.note)
}

func (s *Store) loadCounters(ctx context.Context) error {
	return s.read(ctx, "read counters", func(q querier) error {
		issued := map[string]int64{}
		err := eachRow(q, `SELECT name, value FROM meta WHERE name = ? OR name LIKE ?`, []any{sqlrow.NumberedCounter, sqlrow.TicketPrefix + "%"},
			func(rows *sql.Rows) error {
				var name string
				var value int64
				err := rows.Scan(&name, &value)
				issued[name] = value
				return err
			})
		s.counters.raise(issued)
		return err
	})
}

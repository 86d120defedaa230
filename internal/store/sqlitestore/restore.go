package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/sqlite"
	"github.com/psivisionhub/psi-router/internal/store"
)

const (
	// How many numbers may be given out at most between two commits of the queue, which
	// note how far the counters are. After a restore they are gaps.
	positionsAhead = 100_000
	ticketsAhead   = 100

	ticketPrefix = "ticket:" // and the year
)

// counters are the numbers that were given out, as the queue's file notes them.
type counters struct {
	mu     sync.Mutex
	limits map[string]int64
}

// raise is told what a transaction gave out.
func (c *counters) raise(issued map[string]int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, value := range issued {
		c.limits[name] = max(c.limits[name], value)
	}
}

// note is what the queue's file remembers.
func (c *counters) note() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text, err := json.Marshal(c.limits)
	if err != nil {
		return "" // numbers by name have no such error
	}
	return string(text)
}

// checkWritable is why nothing may be written; nil when it may.
func (s *Store) checkWritable() error {
	if err := s.writeRefusal.Load(); err != nil {
		return *err
	}
	return nil
}

// Stale says that the file is an older one than the queue has gone with, so that what
// is read may be of the past, and nothing is written.
func (s *Store) Stale() bool { return s.writeRefusal.Load() != nil }

// goWith looks at the file of the queue, before anything is written. A store that is an
// older copy than the queue has gone with is closed: its messages may have been sent,
// and its numbers given out. A queue that is older is named: what it had accepted since
// is gone.
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
		s.logger.Error("nothing is written to the store until this is mended", "error", why)
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

// trackPair has each file know how far the other one is.
func (s *Store) trackPair() {
	s.db.PairWith(s.queue, func() string { return "" })
	s.queue.PairWith(s.db, s.counters.note)
}

// loadCounters reads the counters as they are.
func (s *Store) loadCounters(ctx context.Context) error {
	return s.read(ctx, "read counters", func(q querier) error {
		issued := map[string]int64{}
		err := eachRow(q, `SELECT name, value FROM meta WHERE name = ? OR name LIKE ?`, []any{numberedCounter, ticketPrefix + "%"},
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

// AfterRestore makes a store usable that was put back from a copy: counters jump over
// what may have been given out since, and messages that are not sent become uncertain,
// as they may have been.
func (s *Store) AfterRestore(ctx context.Context, now time.Time) (doubtful int, err error) {
	if s.queue == nil {
		return 0, errors.New("after restore: durability relaxed keeps no account of which copy of a file is the newer one")
	}
	_, theirs, err := s.pairs(ctx, s.queue)
	if err != nil {
		return 0, err
	}
	high := map[string]int64{}
	if theirs.Note != "" {
		if err := json.Unmarshal([]byte(theirs.Note), &high); err != nil {
			return 0, fmt.Errorf("after restore: queue.db holds %q: %w", theirs.Note, err)
		}
	}
	err = s.db.Write(ctx, func(sqlTx *sqlite.Tx) error {
		tx := newTxState(s.traced(sqlTx), s.set, now)
		if err := tx.skipCounters(high); err != nil { // before events are written
			return err
		}
		if doubtful, err = tx.markAllUncertain(); err != nil {
			return err
		}
		if err := tx.flush(); err != nil {
			return err
		}
		return sqlite.AdvanceCommits(sqlTx, theirs.OtherCommits+1)
	})
	if err != nil {
		return 0, wrap("after restore", err)
	}
	if err := s.loadCounters(ctx); err != nil {
		return doubtful, err
	}
	s.trackPair()
	s.writeRefusal.Store(nil)
	return doubtful, nil
}

// markAllUncertain marks what is to be sent.
func (tx *txState) markAllUncertain() (n int, err error) {
	var ids []string
	err = eachRow(tx.q, `SELECT DISTINCT t.id FROM messages m JOIN conversations t ON t.n = m.conversation
		WHERE m.status IN ('queued', 'sending')`, nil, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return 0, err
	}
	pending, err := tx.loadPending(ids)
	for _, rows := range pending {
		for _, m := range rows {
			if tx.unit.MarkUncertain(m, "the store was restored from a backup") {
				n++
			}
		}
	}
	return n, err
}

// skipCounters moves the counters past what may have been given out. Every event that somebody
// has seen has a position, so no conversation has lost more sequence numbers than there
// are lost positions.
func (tx *txState) skipCounters(high map[string]int64) error {
	var last int64
	if _, err := tx.q.Row(`SELECT coalesce(max(pos), 0) FROM events`, nil, &last); err != nil {
		return err
	}
	past := max(high[numberedCounter], last) + positionsAhead
	if err := tx.exec(`UPDATE conversations SET seq = seq + ?`, past-last); err != nil {
		return err
	}
	if err := tx.exec(`INSERT INTO sqlite_sequence (name, seq) SELECT 'events', 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'events')`); err != nil {
		return err
	}
	if err := tx.exec(`UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'events'`, past); err != nil {
		return err
	}
	const raise = `INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)`
	for name, value := range high {
		if name == numberedCounter {
			continue // it says which events may be shown
		}
		if err := tx.exec(raise, name, value+ticketsAhead); err != nil {
			return err
		}
	}
	return nil
}

package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/psivisionhub/psi-router/internal/sqlite"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
)

// AfterRestore makes a store usable that was restored from a copy: counters skip what may
// have been given out since, and unsent messages become uncertain, as they may have been
// sent.
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

// markAllUncertain marks the messages that are to be sent.
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

// skipCounters moves the counters past all numbers that may have been given out. Every
// event that somebody has seen has a position, so no conversation has lost more sequence
// numbers than there are lost positions.
func (tx *txState) skipCounters(high map[string]int64) error {
	var last int64
	if _, err := tx.q.Row(`SELECT coalesce(max(pos), 0) FROM events`, nil, &last); err != nil {
		return err
	}
	past := max(high[sqlrow.NumberedCounter], last) + sqlrow.PositionsAhead
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
		if name == sqlrow.NumberedCounter {
			continue // it says which events may be shown
		}
		if err := tx.exec(raise, name, value+sqlrow.TicketsAhead); err != nil {
			return err
		}
	}
	return nil
}

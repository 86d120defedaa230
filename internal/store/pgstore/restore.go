package pgstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
)

// Numbers that a restored store skips if no notes say what the lost time may have used:
// positions and sequence numbers that programs have read, tickets that people were told.
const (
	skipPositions = 1_000_000
	skipTickets   = 1_000
)

// AfterRestore makes a database usable that went back in time; waiting routers then
// continue by themselves. Counters skip what the lost time may have given out, and unsent
// messages become uncertain, as they may have been sent.
func (s *Store) AfterRestore(ctx context.Context, now time.Time) (doubtful int, err error) {
	now = s.serverTime(now)
	st, err := s.readState(ctx, s.pool, nil)
	if err == nil {
		// The server is accepted, whatever it lacks: that is the purpose.
		s.guard.accept(&st)
		s.writeRefusal.Store(nil)
		err = s.skipCounters(ctx) // before events are written
	}
	if err == nil {
		doubtful, err = s.markAllUncertain(ctx, now)
	}
	if err == nil {
		err = s.nextGeneration(ctx)
	}
	if err == nil {
		err = s.writeRestoredNote(ctx)
	}
	return doubtful, wrap("after restore", err)
}

// markAllUncertain marks the messages that are to be sent.
func (s *Store) markAllUncertain(ctx context.Context, now time.Time) (sum int, err error) {
	for after := int64(-1); ; {
		var conversations []int64
		err := s.read(ctx, "find unsent messages", func(r *reader) error {
			return r.askLast(func(b *pgx.Batch) {
				queue(b, `SELECT DISTINCT conversation FROM psi_router.pending
					WHERE NOT doubt AND conversation > $1 ORDER BY conversation LIMIT $2`, after, sqlrow.SweepSize).
					Query(eachRow(func(rows pgx.Rows) error {
						var n int64
						err := scan(rows, &n)
						conversations = append(conversations, n)
						return err
					}))
			})
		})
		if err != nil || len(conversations) == 0 {
			return sum, err
		}
		after = conversations[len(conversations)-1]
		n := 0
		err = s.write(ctx, &lockSet{ConversationKeys: conversations, WithPending: true}, now, func(tx *txState) error {
			n = 0
			if len(tx.conversationByRow) < len(conversations) {
				return fmt.Errorf("another program is using the database: stop it first: %w", store.ErrBusy)
			}
			for _, m := range tx.unit.Messages {
				if tx.unit.MarkUncertain(m, "the store was restored from a backup") {
					n++
				}
			}
			return nil
		})
		if err != nil {
			return sum, err
		}
		sum += n
	}
}

// skipCounters moves the counters past all numbers that may have been given out by the
// notes. Every event that somebody has seen has a position, so no conversation has lost
// more sequence numbers than there are lost positions.
func (s *Store) skipCounters(ctx context.Context) (err error) {
	_, _, notes, err := s.guard.readNotes(ctx)
	if err != nil {
		return err
	}
	high := highestLimits(notes)
	return s.transactWithTimeout(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		b := &pgx.Batch{}
		s.begin(b)
		queue(b, `SELECT pg_advisory_xact_lock($1)`, int64(lockPump))
		var was int64
		queue(b, `SELECT coalesce((SELECT value FROM psi_router.counters WHERE name = $1), 0)`, sqlrow.NumberedCounter).
			QueryRow(func(row pgx.Row) error { return row.Scan(&was) })
		if err := sendBatch(ctx, c, b); err != nil {
			return err
		}
		past := high[sqlrow.NumberedCounter]
		if past == 0 {
			past = was + skipPositions
		}
		b = &pgx.Batch{}
		const raise = `INSERT INTO psi_router.counters (name, value) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET value = greatest(counters.value, excluded.value)`
		queue(b, raise, sqlrow.NumberedCounter, past)
		if len(high) == 0 {
			queue(b, `UPDATE psi_router.counters SET value = value + $1 WHERE name LIKE 'ticket:%'`, skipTickets)
		}
		for counter, value := range high {
			queue(b, raise, counter, value)
		}
		queue(b, `UPDATE psi_router.conversations SET seq = seq + $1`, max(past-was, 0))
		// The sequence is already past the keys that processes reserved and never returned.
		queue(b, `SELECT setval('psi_router.keys', nextval('psi_router.keys') + 1000000)`)
		return s.commit(ctx, c, b, true)
	})
}

// nextGeneration is the last step: after it the routers continue.
func (s *Store) nextGeneration(ctx context.Context) error {
	return s.writeDirect(ctx, func(b *pgx.Batch) {
		queue(b, `INSERT INTO psi_router.counters (name, value) VALUES ('generation', 1)
			ON CONFLICT (name) DO UPDATE SET value = counters.value + 1`)
	})
}

// writeRestoredNote makes the notes describe the database as it is now.
func (s *Store) writeRestoredNote(ctx context.Context) error {
	st, err := s.readState(ctx, s.pool, nil)
	if err != nil {
		return err
	}
	text, err := json.Marshal(Watermark{ID: st.watermark.ID, Generation: st.watermark.Generation})
	if err != nil {
		return err
	}
	_, err = s.guard.notes.Note(ctx, storeNote, string(text), serverNote)
	return err
}

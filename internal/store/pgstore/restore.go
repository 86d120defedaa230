package pgstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/psivisionhub/psi-router/internal/store"
)

// What a restored store skips where no notes say what the lost time may have used:
// positions and sequence numbers that programs have read, tickets that people were told.
const (
	skipPositions = 1_000_000
	skipTickets   = 1_000
)

// AfterRestore makes a database usable that went back in time. Routers that wait for
// it go on by themselves. Counters jump over what the lost time may have given out,
// and messages that are not sent become uncertain, as they may have been.
func (s *Store) AfterRestore(ctx context.Context, now time.Time) (doubtful int, err error) {
	now = s.clock(now)
	st, err := s.readState(ctx, s.pool, nil)
	if err == nil {
		// The server is accepted, whatever it lacks: that is what this is for.
		s.memory.take(&st)
		s.shut.Store(nil)
		err = s.jump(ctx) // before events are written
	}
	if err == nil {
		doubtful, err = s.doubtAll(ctx, now)
	}
	if err == nil {
		err = s.nextGeneration(ctx)
	}
	if err == nil {
		err = s.noteRestored(ctx)
	}
	return doubtful, wrap("after restore", err)
}

// doubtAll marks what is to be sent.
func (s *Store) doubtAll(ctx context.Context, now time.Time) (sum int, err error) {
	for after := int64(-1); ; {
		var talks []int64
		err := s.read(ctx, "find unsent messages", func(r *reader) error {
			return r.last(func(b *pgx.Batch) {
				queue(b, `SELECT DISTINCT conversation FROM psi_router.pending
					WHERE NOT doubt AND conversation > $1 ORDER BY conversation LIMIT $2`, after, pumpSize).
					Query(each(func(rows pgx.Rows) error {
						var n int64
						err := scan(rows, &n)
						talks = append(talks, n)
						return err
					}))
			})
		})
		if err != nil || len(talks) == 0 {
			return sum, err
		}
		after = talks[len(talks)-1]
		n := 0
		err = s.write(ctx, &wants{Rows: talks, Posted: true}, now, func(p *page) error {
			n = 0
			if len(p.talks) < len(talks) {
				return fmt.Errorf("somebody works on the database, who should wait: %w", store.ErrBusy)
			}
			for _, m := range p.book.Messages {
				if p.book.MarkUncertain(m, "the store was restored from a backup") {
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

// jump moves the counters past all that the notes say may have been given out. Every
// event that somebody has seen has a position, so no conversation has lost more
// sequence numbers than there are lost positions.
func (s *Store) jump(ctx context.Context) (err error) {
	_, _, notes, err := s.memory.readNotes(ctx)
	if err != nil {
		return err
	}
	high := highNotes(notes)
	ctx, end := bound(ctx)
	defer end(&err)
	return s.transact(ctx, s.pool, func(c *pgxpool.Conn) error {
		b := &pgx.Batch{}
		s.begin(b)
		queue(b, `SELECT pg_advisory_xact_lock($1)`, int64(lockPump))
		var was int64
		queue(b, `SELECT coalesce((SELECT value FROM psi_router.counters WHERE name = $1), 0)`, numbered).
			QueryRow(func(row pgx.Row) error { return row.Scan(&was) })
		if err := send(ctx, c, b); err != nil {
			return err
		}
		past := high[numbered]
		if past == 0 {
			past = was + skipPositions
		}
		b = &pgx.Batch{}
		const raise = `INSERT INTO psi_router.counters (name, value) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET value = greatest(counters.value, excluded.value)`
		queue(b, raise, numbered, past)
		if len(high) == 0 {
			queue(b, `UPDATE psi_router.counters SET value = value + $1 WHERE name LIKE 'ticket:%'`, skipTickets)
		}
		for counter, value := range high {
			queue(b, raise, counter, value)
		}
		queue(b, `UPDATE psi_router.conversations SET seq = seq + $1`, max(past-was, 0))
		// Keys that processes took and never gave back are behind the sequence already.
		queue(b, `SELECT setval('psi_router.keys', nextval('psi_router.keys') + 1000000)`)
		return s.commit(ctx, c, b, true)
	})
}

// nextGeneration is the last step: with it the routers go on.
func (s *Store) nextGeneration(ctx context.Context) error {
	return s.short(ctx, func(b *pgx.Batch) {
		queue(b, `INSERT INTO psi_router.counters (name, value) VALUES ('generation', 1)
			ON CONFLICT (name) DO UPDATE SET value = counters.value + 1`)
	})
}

// noteRestored has the notes be about the database as it is now.
func (s *Store) noteRestored(ctx context.Context) error {
	st, err := s.readState(ctx, s.pool, nil)
	if err != nil {
		return err
	}
	text, err := json.Marshal(Mark{ID: st.mark.ID, Generation: st.mark.Generation})
	if err != nil {
		return err
	}
	_, err = s.memory.notes.Note(ctx, storeNote, string(text), serverNote)
	return err
}

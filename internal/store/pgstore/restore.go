package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/psivisionhub/psi-router/internal/store"
)

// Mark says which store this is and how far it has come. Whoever keeps the last
// one outside of the database sees that an older copy was put back: another id, or
// a generation or position that is lower.
type Mark struct {
	ID         string `json:"id"`
	Generation int64  `json:"generation"`
	Pos        int64  `json:"pos"`
}

// Behind says that m is of an older state of the store than seen, or of another
// store.
func (m Mark) Behind(seen Mark) bool {
	return m.ID != seen.ID || m.Generation < seen.Generation || m.Generation == seen.Generation && m.Pos < seen.Pos
}

// Mark returns the present one.
func (s *Store) Mark(ctx context.Context) (Mark, error) {
	var m Mark
	err := s.read(ctx, "read mark", func(r *reader) error {
		return r.last(func(b *pgx.Batch) {
			const query = `SELECT id, coalesce((SELECT value FROM psi_router.counters WHERE name = 'generation'), 0),
				coalesce((SELECT value FROM psi_router.counters WHERE name = 'numbered'), 0) FROM psi_router.installation`
			queue(b, query).QueryRow(func(row pgx.Row) error { return scan(row, &m.ID, &m.Generation, &m.Pos) })
		})
	})
	return m, err
}

// What a restored store skips, for the lost time may have used it: positions and
// sequence numbers that programs have read, tickets that people were told.
const (
	skipPositions = 1_000_000
	skipSeq       = 100_000
	skipTickets   = 1_000
)

// AfterRestore makes a store usable that was put back from a backup, while no
// other process has it open. Counters jump over what the lost time may have given
// out, and automatic messages that are not sent become uncertain, as they may
// have been.
func (s *Store) AfterRestore(ctx context.Context, now time.Time) (doubtful int, err error) {
	if doubtful, err = s.doubtAll(ctx, now); err == nil {
		err = s.jump(ctx)
	}
	return doubtful, wrap("after restore", err)
}

// doubtAll is done before the jump, so that it is found again when it was not
// finished.
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
				return fmt.Errorf("somebody works on the store: stop every other process: %w", store.ErrBusy)
			}
			for _, m := range p.book.Messages {
				if m.Author == store.AuthorRouter && p.book.Doubt(m, "the store was restored from a backup") {
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

func (s *Store) jump(ctx context.Context) (err error) {
	c, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	defer rollback(ctx, c)
	b := &pgx.Batch{}
	queue(b, beginWrite)
	queue(b, `SELECT pg_advisory_xact_lock($1)`, int64(lockPump))
	const bump = `INSERT INTO psi_router.counters (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value`
	queue(b, bump, "numbered", skipPositions)
	queue(b, bump, "generation", 1)
	queue(b, `UPDATE psi_router.counters SET value = value + $1 WHERE name LIKE 'ticket:%'`, skipTickets)
	queue(b, `UPDATE psi_router.conversations SET seq = seq + $1`, skipSeq)
	// Keys that processes took and never gave back are behind the sequence already.
	queue(b, `SELECT setval('psi_router.keys', nextval('psi_router.keys') + 1000000)`)
	queue(b, `COMMIT`)
	return send(ctx, c, b)
}

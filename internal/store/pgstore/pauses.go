package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// SetPaused implements store.Store.
func (s *Store) SetPaused(ctx context.Context, queueName string, paused bool) error {
	query := `DELETE FROM psi_router.pauses WHERE queue = $1`
	if paused {
		query = `INSERT INTO psi_router.pauses (queue) VALUES ($1) ON CONFLICT DO NOTHING`
	}
	return wrap("store a pause", s.writeDirect(ctx, func(b *pgx.Batch) { queue(b, query, queueName) }))
}

// Paused implements store.Store.
func (s *Store) Paused(ctx context.Context) (names []string, err error) {
	err = s.read(ctx, "list pauses", func(r *reader) error {
		return r.askLast(func(b *pgx.Batch) {
			queue(b, `SELECT queue FROM psi_router.pauses ORDER BY queue`).Query(eachRow(func(rows pgx.Rows) error {
				var name string
				err := scan(rows, &name)
				names = append(names, name)
				return err
			}))
		})
	})
	return names, err
}

package sqlitestore

import (
	"context"
	"database/sql"
)

// SetPaused implements store.Store.
func (s *Store) SetPaused(ctx context.Context, queue string, paused bool) error {
	query := `DELETE FROM pauses WHERE queue = ?`
	if paused {
		query = `INSERT INTO pauses (queue) VALUES (?) ON CONFLICT DO NOTHING`
	}
	return s.writeDirect(ctx, "store a pause", func(q querier) error {
		_, err := q.Exec(query, queue)
		return err
	})
}

// Paused implements store.Store.
func (s *Store) Paused(ctx context.Context) (names []string, err error) {
	err = s.read(ctx, "list pauses", func(q querier) error {
		names = nil
		return eachRow(q, `SELECT queue FROM pauses ORDER BY queue`, nil, func(rows *sql.Rows) error {
			var name string
			err := rows.Scan(&name)
			names = append(names, name)
			return err
		})
	})
	return names, err
}

package sqlitestore

import (
	"context"
	"database/sql"
	"time"

	"github.com/psivisionhub/psi-router/internal/store"
)

// Serve implements store.Store.
func (s *Store) Serve(ctx context.Context, now time.Time, r store.Round) (store.Served, error) {
	var out store.Served
	err := s.write(ctx, "serve a duty", now, func(p *page) error {
		out = store.Served{Reports: map[string][]byte{}}
		until := micros(now.Add(r.Lease))
		var holder string
		var ends int64
		found, err := p.tx.Row(`SELECT holder, until, state FROM duties WHERE name = ?`, []any{r.Duty}, &holder, &ends, &out.State)
		if err != nil {
			return err
		}
		held := found && holder == r.Process
		out.Mine = held || !found || ends <= micros(now)
		out.New = out.Mine && !held
		if held && r.State != nil {
			out.State = r.State
		}
		if out.Mine {
			if err := p.exec(`INSERT INTO duties (name, holder, until, state) VALUES (?, ?, ?, ?)
				ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until, state = excluded.state`,
				r.Duty, r.Process, until, out.State); err != nil {
				return err
			}
			if err := p.exec(`DELETE FROM duty_reports WHERE duty = ? AND until <= ?`, r.Duty, micros(now.Add(-store.Forgotten))); err != nil {
				return err
			}
		}
		if r.Report != nil {
			if err := p.exec(`INSERT INTO duty_reports (duty, process, until, report) VALUES (?, ?, ?, ?)
				ON CONFLICT (duty, process) DO UPDATE SET until = excluded.until, report = excluded.report`,
				r.Duty, r.Process, until, r.Report); err != nil {
				return err
			}
		}
		return each(p.tx, `SELECT process, report FROM duty_reports WHERE duty = ? AND until > ?`, []any{r.Duty, micros(now)}, func(rows *sql.Rows) error {
			var name string
			var report []byte
			err := rows.Scan(&name, &report)
			out.Reports[name] = report
			return err
		})
	})
	if err != nil {
		return store.Served{}, err
	}
	return out, nil
}

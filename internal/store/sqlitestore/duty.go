package sqlitestore

import (
	"context"
	"database/sql"
	"time"

	"github.com/psivisionhub/psi-router/internal/store"
)

// Lead implements store.Store.
func (s *Store) Lead(ctx context.Context, now time.Time, r store.Term) (store.Leadership, error) {
	var out store.Leadership
	err := s.write(ctx, "serve a duty", now, func(p *page) error {
		out = store.Leadership{Reports: map[string][]byte{}}
		until := micros(now.Add(r.Lease))
		var holder string
		var ends int64
		found, err := p.tx.Row(`SELECT holder, until, state FROM duties WHERE name = ?`, []any{r.Duty}, &holder, &ends, &out.State)
		if err != nil {
			return err
		}
		held := found && holder == r.Process
		out.Leader = held || !found || ends <= micros(now)
		out.Acquired = out.Leader && !held
		if held && r.State != nil {
			out.State = r.State
		}
		if out.Leader {
			if err := p.exec(`INSERT INTO duties (name, holder, until, state) VALUES (?, ?, ?, ?)
				ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until, state = excluded.state`,
				r.Duty, r.Process, until, out.State); err != nil {
				return err
			}
			if err := p.exec(`DELETE FROM duty_reports WHERE duty = ? AND until <= ?`, r.Duty, micros(now.Add(-store.ReportRetention))); err != nil {
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
		return store.Leadership{}, err
	}
	return out, nil
}

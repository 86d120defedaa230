package sqlitestore

import (
	"context"
	"database/sql"
	"time"

	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
)

// Lead implements store.Store.
func (s *Store) Lead(ctx context.Context, now time.Time, term store.Term) (store.Leadership, error) {
	var out store.Leadership
	err := s.write(ctx, "lead", now, func(tx *txState) error {
		out = store.Leadership{Reports: map[string][]byte{}}
		until := sqlrow.Micros(now.Add(term.Lease))
		var holder string
		var ends int64
		found, err := tx.q.Row(`SELECT holder, until, state FROM duties WHERE name = ?`, []any{term.Duty}, &holder, &ends, &out.State)
		if err != nil {
			return err
		}
		held := found && holder == term.Process
		out.Leader = held || !found || ends <= sqlrow.Micros(now)
		out.Acquired = out.Leader && !held
		if held && term.State != nil {
			out.State = term.State
		}
		if out.Leader {
			if err := tx.exec(`INSERT INTO duties (name, holder, until, state) VALUES (?, ?, ?, ?)
				ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until, state = excluded.state`,
				term.Duty, term.Process, until, out.State); err != nil {
				return err
			}
			if err := tx.exec(`DELETE FROM duty_reports WHERE duty = ? AND until <= ?`, term.Duty, sqlrow.Micros(now.Add(-store.ReportRetention))); err != nil {
				return err
			}
		}
		if term.Report != nil {
			if err := tx.exec(`INSERT INTO duty_reports (duty, process, until, report) VALUES (?, ?, ?, ?)
				ON CONFLICT (duty, process) DO UPDATE SET until = excluded.until, report = excluded.report`,
				term.Duty, term.Process, until, term.Report); err != nil {
				return err
			}
		}
		return eachRow(tx.q, `SELECT process, report FROM duty_reports WHERE duty = ? AND until > ?`, []any{term.Duty, sqlrow.Micros(now)}, func(rows *sql.Rows) error {
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

package pgstore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/psivisionhub/psi-router/internal/store"
)

const (
	makeDuty  = `INSERT INTO psi_router.duties (name, holder, until) VALUES ($1, '', 'epoch') ON CONFLICT DO NOTHING`
	lookDuty  = `SELECT holder, until, state FROM psi_router.duties WHERE name = $1`
	takeDuty  = lookDuty + ` AND (holder = $2 OR until <= $3) FOR UPDATE`
	keepDuty  = `UPDATE psi_router.duties SET holder = $2, until = $3, state = $4 WHERE name = $1`
	oldReport = `DELETE FROM psi_router.duty_reports WHERE duty = $1 AND until <= $2`
	addReport = `INSERT INTO psi_router.duty_reports (duty, process, until, report) VALUES ($1, $2, $3, $4)
		ON CONFLICT (duty, process) DO UPDATE SET until = excluded.until, report = excluded.report`
	getReports = `SELECT process, report FROM psi_router.duty_reports WHERE duty = $1 AND until > $2`
)

// Lead implements store.Store. Who finds the duty taken only reads it, so that
// many processes do not wait for each other.
func (s *Store) Lead(ctx context.Context, now time.Time, r store.Term) (store.Leadership, error) {
	now = s.clock(now)
	var out store.Leadership
	err := func() (err error) {
		ctx, end := bound(ctx)
		defer end(&err)
		return s.transact(ctx, s.pool, func(c *pgxpool.Conn) error { return s.serve(ctx, c, now, r, &out) })
	}()
	if err != nil {
		return store.Leadership{}, wrap("serve a duty", err)
	}
	return out, nil
}

func (s *Store) serve(ctx context.Context, c *pgxpool.Conn, now time.Time, r store.Term, out *store.Leadership) error {
	*out = store.Leadership{Reports: map[string][]byte{}}
	until := stamp(now.Add(r.Lease))
	var was string
	found := false
	hold := func(row pgx.Row) error {
		var ends pgtype.Timestamptz
		err := scan(row, &was, &ends, &out.State)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		found = err == nil
		return err
	}
	b := &pgx.Batch{}
	s.begin(b)
	if r.Report != nil {
		queue(b, addReport, r.Duty, r.Process, until, r.Report)
	}
	queue(b, makeDuty, r.Duty)
	queue(b, takeDuty, r.Duty, r.Process, stamp(now)).QueryRow(hold)
	if err := send(ctx, c, b); err != nil {
		return err
	}
	b = &pgx.Batch{}
	if out.Leader = found; out.Leader {
		out.Acquired = was != r.Process
		if !out.Acquired && r.State != nil {
			out.State = r.State
		}
		queue(b, keepDuty, r.Duty, r.Process, until, out.State)
		queue(b, oldReport, r.Duty, stamp(now.Add(-store.ReportRetention)))
	} else {
		queue(b, lookDuty, r.Duty).QueryRow(hold)
	}
	queue(b, getReports, r.Duty, stamp(now)).Query(each(func(rows pgx.Rows) error {
		var name string
		var report []byte
		err := scan(rows, &name, &report)
		out.Reports[name] = report
		return err
	}))
	return s.commit(ctx, c, b, true)
}

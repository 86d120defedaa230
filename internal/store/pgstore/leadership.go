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
	insertDuty       = `INSERT INTO psi_router.duties (name, holder, until) VALUES ($1, '', 'epoch') ON CONFLICT DO NOTHING`
	selectDuty       = `SELECT holder, until, state FROM psi_router.duties WHERE name = $1`
	lockDuty         = selectDuty + ` AND (holder = $2 OR until <= $3) FOR UPDATE`
	renewDuty        = `UPDATE psi_router.duties SET holder = $2, until = $3, state = $4 WHERE name = $1`
	deleteOldReports = `DELETE FROM psi_router.duty_reports WHERE duty = $1 AND until <= $2`
	upsertReport     = `INSERT INTO psi_router.duty_reports (duty, process, until, report) VALUES ($1, $2, $3, $4)
		ON CONFLICT (duty, process) DO UPDATE SET until = excluded.until, report = excluded.report`
	selectReports = `SELECT process, report FROM psi_router.duty_reports WHERE duty = $1 AND until > $2`
)

// Lead implements store.Store. A process that finds the duty taken only reads it, so that
// many processes do not wait for each other.
func (s *Store) Lead(ctx context.Context, now time.Time, term store.Term) (store.Leadership, error) {
	now = s.serverTime(now)
	var out store.Leadership
	err := s.transactWithTimeout(ctx, func(ctx context.Context, c *pgxpool.Conn) error { return s.lead(ctx, c, now, term, &out) })
	if err != nil {
		return store.Leadership{}, wrap("lead", err)
	}
	return out, nil
}

func (s *Store) lead(ctx context.Context, c *pgxpool.Conn, now time.Time, term store.Term, out *store.Leadership) error {
	*out = store.Leadership{Reports: map[string][]byte{}}
	until := stamp(now.Add(term.Lease))
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
	if term.Report != nil {
		queue(b, upsertReport, term.Duty, term.Process, until, term.Report)
	}
	queue(b, insertDuty, term.Duty)
	queue(b, lockDuty, term.Duty, term.Process, stamp(now)).QueryRow(hold)
	if err := sendBatch(ctx, c, b); err != nil {
		return err
	}
	b = &pgx.Batch{}
	if out.Leader = found; out.Leader {
		out.Acquired = was != term.Process
		if !out.Acquired && term.State != nil {
			out.State = term.State
		}
		queue(b, renewDuty, term.Duty, term.Process, until, out.State)
		queue(b, deleteOldReports, term.Duty, stamp(now.Add(-store.ReportRetention)))
	} else {
		queue(b, selectDuty, term.Duty).QueryRow(hold)
	}
	queue(b, selectReports, term.Duty, stamp(now)).Query(eachRow(func(rows pgx.Rows) error {
		var name string
		var report []byte
		err := scan(rows, &name, &report)
		out.Reports[name] = report
		return err
	}))
	return s.commit(ctx, c, b, true)
}

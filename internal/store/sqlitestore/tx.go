package sqlitestore

import (
	"context"
	"database/sql"
	"time"

	"github.com/psivisionhub/psi-router/internal/sqlite"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// txState is one transaction.
type txState struct {
	q    querier
	unit *unit.Unit

	contactByRow      map[int64]*unit.ContactRow
	conversationByRow map[int64]*unit.ConversationRow
	issued            map[string]int64 // counters that were moved
	afterFlush        func() error     // runs after all writes; nil for none
}

func newTxState(q querier, set unit.Settings, now time.Time) *txState {
	return &txState{
		q: q, unit: unit.New(set, now),
		contactByRow: map[int64]*unit.ContactRow{}, conversationByRow: map[int64]*unit.ConversationRow{}, issued: map[string]int64{},
	}
}

// write runs one transaction over a fresh unit, and writes the unit after fn.
func (s *Store) write(ctx context.Context, what string, now time.Time, fn func(tx *txState) error) error {
	if err := s.checkWritable(); err != nil {
		return wrap(what, err)
	}
	var done *unit.Unit
	var issued map[string]int64
	err := s.db.Write(ctx, func(sqlTx *sqlite.Tx) error {
		tx := newTxState(s.traced(sqlTx), s.set, now)
		done, issued = tx.unit, tx.issued
		if err := fn(tx); err != nil {
			return err
		}
		if err := tx.flush(); err != nil || tx.afterFlush == nil {
			return err
		}
		return tx.afterFlush()
	})
	if err == nil {
		s.counters.raise(issued)
		done.Notify()
	}
	return wrap(what, err)
}

// writeDirect runs a transaction without a unit.
func (s *Store) writeDirect(ctx context.Context, what string, fn func(q querier) error) error {
	if err := s.checkWritable(); err != nil {
		return wrap(what, err)
	}
	return wrap(what, s.db.Write(ctx, func(sqlTx *sqlite.Tx) error { return fn(s.traced(sqlTx)) }))
}

func (s *Store) read(ctx context.Context, what string, fn func(q querier) error) error {
	return wrap(what, s.db.Read(ctx, func(sqlTx *sqlite.Tx) error { return fn(s.traced(sqlTx)) }))
}

// querier is a transaction.
type querier interface {
	Exec(query string, args ...any) (sql.Result, error)
	Query(query string, args ...any) (*sql.Rows, error)
	Row(query string, args []any, dest ...any) (found bool, err error)
}

// traced lets a test see every statement.
func (s *Store) traced(q querier) querier {
	if s.spy != nil {
		return s.spy(q)
	}
	return q
}

func (tx *txState) exec(query string, args ...any) error {
	_, err := tx.q.Exec(query, args...)
	return err
}

// eachRow runs a query and scans its rows.
func eachRow(q querier, query string, args []any, scan func(*sql.Rows) error) error {
	rows, err := q.Query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

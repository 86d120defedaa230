package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"
)

// Tx is the transaction of a function. It must not be used after the function returns.
type Tx struct {
	// Scratch is shared by the functions of one transaction, so that a row that several
	// change can be loaded once and, by BeforeCommit, written once. It starts as nil. A
	// function may change it only after anything that may fail for its own reasons.
	Scratch any

	conn   *conn
	ctx    context.Context //nolint:containedctx // a Tx lives as long as one call
	wrote  bool
	before []func() error
	after  []func()
}

// Exec runs a statement.
func (tx *Tx) Exec(query string, args ...any) (sql.Result, error) {
	s, err := tx.conn.prepare(query)
	if err != nil {
		return nil, err
	}
	tx.wrote = true
	return s.ExecContext(tx.ctx, args...)
}

// Query runs a statement that returns rows.
func (tx *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	s, err := tx.conn.prepare(query)
	if err != nil {
		return nil, err
	}
	tx.wrote = tx.wrote || !s.reads
	return s.QueryContext(tx.ctx, args...)
}

// Each runs a statement that returns rows, and scan for each of them.
func (tx *Tx) Each(query string, args []any, scan func(*sql.Rows) error) error {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

// Row runs a statement that returns at most one row and scans it. found is false if there was
// none.
func (tx *Tx) Row(query string, args []any, dest ...any) (found bool, err error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	if !rows.Next() {
		return false, rows.Err()
	}
	if err := rows.Scan(dest...); err != nil {
		return false, err
	}
	return true, rows.Close()
}

// BeforeCommit runs the function once before the commit, to write the rows in Scratch.
func (tx *Tx) BeforeCommit(fn func() error) { tx.before = append(tx.before, fn) }

// OnCommit runs the function once the transaction is on disk, in the order of commits, before
// Write returns to any caller.
func (tx *Tx) OnCommit(fn func()) { tx.after = append(tx.after, fn) }

// conn is one connection with its prepared statements.
type conn struct {
	*sql.Conn
	stmts map[string]*stmt
	log   *slog.Logger
}

type stmt struct {
	*sql.Stmt
	reads bool
}

func pinConn(ctx context.Context, pool *sql.DB, log *slog.Logger) (*conn, error) {
	c, err := pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, stmts: map[string]*stmt{}, log: log}, nil
}

func (c *conn) prepare(query string) (*stmt, error) {
	if s := c.stmts[query]; s != nil {
		return s, nil
	}
	p, err := c.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	c.log.Debug("prepare", "part", "sqlite", "query", query)
	verb := strings.ToUpper(strings.TrimSpace(query))
	s := &stmt{Stmt: p, reads: strings.HasPrefix(verb, "SELECT")}
	c.stmts[query] = s
	return s, nil
}

func (c *conn) exec(query string) error {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	_, err = s.ExecContext(context.Background())
	return err
}

// Package sqlitequeue is the queue engine without a server: one SQLite file owned by one
// process. Whatever it acknowledged is on disk. It must never hand out a job from memory:
// the file is the truth, and the state in memory (when to wake whom) is rebuilt from it.
package sqlitequeue

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/sqlite"
)

// Options configure an Engine.
type Options struct {
	Path string
	// Relaxed does not sync each commit.
	Relaxed bool
	// MaxDepth is the most jobs of one queue; 0 is no limit.
	MaxDepth int
	// MaxPages bounds the file in pages of 4096 bytes; 0 is no limit. Enqueue stops there.
	// The other operations may use an eighth more, so that a full queue can be emptied.
	MaxPages int
	// Window is the dedupe window: the shortest time that an ID is remembered, 24 h if 0.
	Window time.Duration
	// MaxDelay is the longest delay or lease, 1 h if 0.
	MaxDelay time.Duration
	// Now is the clock, time.Now if nil.
	Now    func() time.Time
	Logger *slog.Logger
}

// Engine implements queue.Engine.
type Engine struct {
	opts   Options
	db     *sqlite.DB
	nonce  string // of this process's leases
	closed chan struct{}
	close  func() error
	wakers wakers

	// The following fields belong to the writer.
	lease int64 // the last one granted
	seen  seen
}

var _ queue.Engine = (*Engine)(nil)

//go:embed schema.sql
var schema string

const schemaVersion = 1

// Open opens or creates the file. Leases of an earlier process are void: their jobs are due
// at once, and suspect.
func Open(ctx context.Context, o Options) (*Engine, error) {
	o.Window = cmp.Or(o.Window, 24*time.Hour)
	o.MaxDelay = cmp.Or(o.MaxDelay, time.Hour)
	if o.Now == nil {
		o.Now = time.Now
	}
	e := &Engine{opts: o, nonce: rand.Text()[:8], closed: make(chan struct{}), wakers: wakers{queues: map[string]*waker{}}}
	most := 0
	if o.MaxPages > 0 {
		most = o.MaxPages + o.MaxPages/8 + 16
	}
	db, err := sqlite.Open(ctx, sqlite.Options{
		Path: o.Path, Relaxed: o.Relaxed, Pair: !o.Relaxed, MaxPages: most, Logger: o.Logger, Readers: 2, Migrate: e.migrate,
	})
	if err != nil {
		return nil, fmt.Errorf("open queue: %w", err)
	}
	e.db = db
	e.close = sync.OnceValue(func() error { close(e.closed); return db.Close() })
	if err := errors.Join(db.Read(ctx, e.loadWakers), db.Read(ctx, e.seen.load)); err != nil {
		return nil, errors.Join(fmt.Errorf("open queue: %w", err), e.Close())
	}
	return e, nil
}

// File returns the queue's database, for a store in the same file.
func (e *Engine) File() *sqlite.DB { return e.db }

// Close implements queue.Queue.
func (e *Engine) Close() error { return e.close() }

func (e *Engine) migrate(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	var have int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
		return err
	}
	switch {
	case have > schemaVersion:
		return fmt.Errorf("%w: its queue has schema %d, this program knows %d: start the newer program again", sqlite.ErrNewer, have, schemaVersion)
	case have == 0:
		if _, err := tx.ExecContext(ctx, schema+fmt.Sprintf("PRAGMA user_version = %d;", schemaVersion)); err != nil {
			return fmt.Errorf("create tables: %w", err)
		}
	}
	if _, err := tx.ExecContext(ctx, `UPDATE lane SET counted = counted + suspect, suspect = 1, lease = 0, due = ?
		WHERE lease <> 0`, e.opts.Now().UnixNano()); err != nil {
		return fmt.Errorf("void leases: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `UPDATE queue SET stalled = stalled + in_flight, in_flight = 0`); err != nil {
		return fmt.Errorf("void leases: %w", err)
	}
	return tx.Commit()
}

// write runs fn in the shared transaction and returns its error in terms of package queue.
func (e *Engine) write(ctx context.Context, what string, fn func(*sqlite.Tx) error) error {
	return queueError(what, e.db.Write(ctx, fn))
}

func (e *Engine) read(ctx context.Context, what string, fn func(*sqlite.Tx) error) error {
	return queueError(what, e.db.Read(ctx, fn))
}

func queueError(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sqlite.ErrClosed):
		return fmt.Errorf("%s: %w", what, queue.ErrClosed)
	case sqlite.Unavailable(err):
		return fmt.Errorf("%s: %w: %w", what, queue.ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

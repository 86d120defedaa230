// Package sqlitestore is the store on one SQLite file: it loads what a decision
// needs, lets the rules of package unit decide, and writes what they say, in
// one transaction of the single writer, which is the lock. It must never decide
// anything itself.
package sqlitestore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/sqlite"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
	"github.com/psivisionhub/psi-router/internal/store/unit"
	"github.com/psivisionhub/psi-router/internal/upgrade"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Options of Open. Path and Rules are required.
type Options struct {
	Path string
	// Queue is the file of the queue that the store goes with, see goWith; nil for none.
	Queue *sqlite.DB
	Rules router.Rules
	// Country, Zone, StaleAfter, ReplyTTL, ApologyDelay, Windowless, NewID, OnEvents: see unit.Settings.
	Country      string
	Zone         *time.Location
	StaleAfter   time.Duration
	ReplyTTL     time.Duration
	ApologyDelay time.Duration
	Windowless   []string
	NewID        func() string
	OnEvents     func([]store.Event)
	// Relaxed does not sync every commit: the last ones may be lost when the
	// power goes, never when the process dies.
	Relaxed bool
	// MaxPages bounds the file, in pages of 4 KiB; 0 is no bound.
	MaxPages int
	Logger   *slog.Logger
}

// Store implements store.Store.
type Store struct {
	db     *sqlite.DB
	set    unit.Settings
	logger *slog.Logger

	mu       sync.Mutex // of sendScan and fileScan
	sendScan sqlrow.Sweep
	fileScan sqlrow.Sweep // over files that wait to be fetched

	queue        *sqlite.DB            // that it goes with; see goWith
	writeRefusal atomic.Pointer[error] // why nothing may be written; see checkWritable
	counters     counters

	spy func(querier) querier
}

var _ store.Store = (*Store)(nil)

// Open makes or opens the file, alone, and brings its schema up to date. A file
// of a newer program is refused with store.ErrNewer, one that was moved elsewhere
// with store.ErrMoved or store.ErrMoving.
func Open(ctx context.Context, o Options) (*Store, error) {
	s, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	err = s.read(ctx, "open store", refuseMoved)
	if err == nil && o.Queue != nil && !o.Relaxed {
		err = s.goWith(ctx, o.Queue)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func open(ctx context.Context, o Options) (*Store, error) {
	set := unit.Settings{
		Rules: o.Rules, Country: o.Country, Zone: o.Zone, StaleAfter: o.StaleAfter, ReplyTTL: o.ReplyTTL, ApologyDelay: o.ApologyDelay,
		Windowless: o.Windowless, NewID: o.NewID, OnEvents: o.OnEvents,
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	db, err := sqlite.Open(ctx, sqlite.Options{
		Path: o.Path, Migrate: func(ctx context.Context, db *sql.DB) error { return migrate(ctx, db, o.Logger) }, Relaxed: o.Relaxed, Pair: !o.Relaxed, MaxPages: o.MaxPages, Logger: o.Logger,
		// A page that is written again and again is copied once for all that:
		// the messages of ten thousand people touch the same ones all day.
		Pragmas: []string{"wal_autocheckpoint(8000)"},
	})
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return &Store{db: db, set: set.WithDefaults(), logger: o.Logger, counters: counters{limits: map[string]int64{}}}, nil
}

// Close finishes what is being written and lets the file go.
func (s *Store) Close() error { return s.db.Close() }

// Ping reads one row, and says why nothing can be written.
func (s *Store) Ping(ctx context.Context) error {
	if err := errors.Join(s.checkWritable(), s.db.Replaced()); err != nil {
		return wrap("ping", err)
	}
	return s.read(ctx, "ping", func(q querier) error {
		var n int
		_, err := q.Row(`SELECT value FROM meta WHERE name = ?`, []any{numberedCounter}, &n)
		return err
	})
}

// migrate runs while the file is locked by its owner, so nobody else can.
func migrate(ctx context.Context, db *sql.DB, log *slog.Logger) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir)
	if err != nil {
		return err
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > target {
		return fmt.Errorf("schema %d, this program knows %d: %w", current, target, store.ErrNewer)
	}
	return upgrade.Up(ctx, p, log)
}

// write runs one transaction over a fresh unit, which is written when fn is done.
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

func (s *Store) read(ctx context.Context, what string, fn func(q querier) error) error {
	return wrap(what, s.db.Read(ctx, func(sqlTx *sqlite.Tx) error { return fn(s.traced(sqlTx)) }))
}

// querier is what is asked of a transaction.
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

func wrap(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case sqlite.Unavailable(err) && !errors.Is(err, store.ErrUnavailable):
		return fmt.Errorf("%s: %w: %w", what, store.ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

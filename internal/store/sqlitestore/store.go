// Package sqlitestore is the store on one SQLite file: it loads what a decision needs, lets
// the rules of package unit decide, and writes the result, in one transaction of the single
// writer, which is the lock. It must never decide anything itself.
package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/psivisionhub/psi-router/internal/sqlite"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// Options of Open. Path and the rules of Settings are required.
type Options struct {
	Path string
	// Queue is the file of the queue that belongs to the store, see goWith; nil for none.
	Queue    *sqlite.DB
	Settings unit.Settings
	// Relaxed does not sync every commit: a power failure may lose the last ones, the death
	// of the process never does.
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

	queue        *sqlite.DB            // see goWith
	writeRefusal atomic.Pointer[error] // why nothing may be written; see checkWritable
	counters     counters

	spy func(querier) querier
}

var _ store.Store = (*Store)(nil)

// Open creates or opens the file, locks it, and brings its schema up to date. A file of a
// newer program is refused with store.ErrNewer, a moved one with store.ErrMoved or
// store.ErrMoving.
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
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	db, err := sqlite.Open(ctx, sqlite.Options{
		Path: o.Path, Migrate: func(ctx context.Context, db *sql.DB) error { return migrate(ctx, db, o.Logger) }, Relaxed: o.Relaxed, Pair: !o.Relaxed, MaxPages: o.MaxPages, Logger: o.Logger,
		// A page that is written many times is copied once for all of them: the messages of
		// ten thousand people touch the same pages all day.
		Pragmas: []string{"wal_autocheckpoint(8000)"},
	})
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return &Store{db: db, set: o.Settings.WithDefaults(), logger: o.Logger, counters: counters{limits: map[string]int64{}}}, nil
}

// Close finishes the running write and closes the file.
func (s *Store) Close() error { return s.db.Close() }

// Ping reads one row, and returns why nothing can be written.
func (s *Store) Ping(ctx context.Context) error {
	if err := errors.Join(s.checkWritable(), s.db.Replaced()); err != nil {
		return wrap("ping", err)
	}
	return s.read(ctx, "ping", func(q querier) error {
		var n int
		_, err := q.Row(`SELECT value FROM meta WHERE name = ?`, []any{sqlrow.NumberedCounter}, &n)
		return err
	})
}

package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver
)

// Options configure a DB. Path is required.
type Options struct {
	Path string
	// Migrate brings the schema up to date before anything else may run.
	Migrate func(ctx context.Context, db *sql.DB) error
	// Pragmas are added to the writer's, for example "foreign_keys(1)".
	Pragmas []string
	// Relaxed does not sync each commit: a power failure may lose the last ones, the death
	// of the process never does.
	Relaxed bool
	// Pair makes the file keep a record of another one; see DB.PairWith. It needs synced
	// commits.
	Pair bool
	// MaxPages bounds the file, in pages of 4096 bytes; 0 for no bound.
	MaxPages int
	// Readers is how many Reads run at once; 0 for 4.
	Readers int
	// Waiting is how many Writes may wait for the writer; 0 for 1024. Patience is how long
	// one more waits before ErrBusy; 0 for 2 s.
	Waiting  int
	Patience time.Duration
	// Group is how many Writes share one commit; 0 for 512.
	Group int
	// Idle is how long the writer waits after the last write before it tidies up; 0 for
	// 1 s.
	Idle   time.Duration
	Logger *slog.Logger
}

// DB is one open database. Its methods are safe for concurrent use.
type DB struct {
	writer  *writer
	readers chan *conn
	pools   [2]*sql.DB // of the writer, of the readers
	lock    fileLock
	closing chan struct{}
	close   func() error
}

// Open creates or opens the database and migrates its schema. It returns ErrLocked if another
// process owns the database.
func Open(ctx context.Context, o Options) (*DB, error) {
	if o.Path == "" {
		return nil, errors.New("sqlite: a database needs a path")
	}
	o.Readers = cmp.Or(o.Readers, 4)
	o.Waiting = cmp.Or(o.Waiting, 1024)
	o.Patience = cmp.Or(o.Patience, 2*time.Second)
	o.Group = cmp.Or(o.Group, 512)
	o.Idle = cmp.Or(o.Idle, time.Second)
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	if err := os.MkdirAll(filepath.Dir(o.Path), 0o700); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	lock, err := ownFile(o.Path)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	// Created here so that only its owner can read it. SQLite gives its other files the
	// same mode.
	f, err := os.OpenFile(o.Path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open database: %w", err), lock.Close())
	}
	f.Close()
	db := &DB{lock: lock, closing: make(chan struct{}), readers: make(chan *conn, o.Readers)}
	db.close = sync.OnceValue(db.closeAll)
	if err := db.open(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", o.Path, err), db.release())
	}
	go db.writer.run()
	return db, nil
}

func (db *DB) open(ctx context.Context, o Options) (err error) {
	durable := "FULL"
	if o.Relaxed {
		durable = "NORMAL"
	}
	pragmas := append([]string{
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(" + durable + ")", "fullfsync(1)",
		"cache_size(-32000)", "temp_store(MEMORY)", "wal_autocheckpoint(2000)", "journal_size_limit(67108864)",
	}, o.Pragmas...)
	if o.MaxPages > 0 {
		pragmas = append(pragmas, "max_page_count("+strconv.Itoa(o.MaxPages)+")")
	}
	if db.pools[0], err = sql.Open("sqlite", dsn(o.Path, pragmas, "_auto_vacuum", "INCREMENTAL")); err != nil {
		return err
	}
	if o.Migrate != nil {
		if err := o.Migrate(ctx, db.pools[0]); err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
	}
	var pair Pair
	if o.Pair {
		if pair, err = pairUp(ctx, db.pools[0]); err != nil {
			return err
		}
	}
	c, err := pinConn(ctx, db.pools[0], o.Logger)
	if err != nil {
		return err
	}
	db.writer = newWriter(c, o, db.closing)
	db.writer.pair.id = pair.ID
	db.writer.pair.commits.Store(pair.Commits)
	if db.writer.identity, err = newFileIdentity(o.Path); err != nil {
		return err
	}
	only := []string{"busy_timeout(5000)", "query_only(1)", "cache_size(-4000)", "temp_store(MEMORY)"}
	if db.pools[1], err = sql.Open("sqlite", dsn(o.Path, only, "mode", "ro")); err != nil {
		return err
	}
	for range o.Readers {
		c, err := pinConn(ctx, db.pools[1], o.Logger)
		if err != nil {
			return err
		}
		db.readers <- c
	}
	return nil
}

func dsn(path string, pragmas []string, key, value string) string {
	q := url.Values{"_pragma": pragmas, key: {value}}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}
	return u.String()
}

// Write runs the function in a transaction and returns when it is committed; the package comment
// has the rules for the function. If ctx ends before the function starts, it never runs; after
// that, Write waits for its end.
func (db *DB) Write(ctx context.Context, fn func(tx *Tx) error) error {
	return db.writer.do(ctx, fn)
}

// Read runs the function on a snapshot of the database.
func (db *DB) Read(ctx context.Context, fn func(tx *Tx) error) error {
	var c *conn
	select {
	case c = <-db.readers:
	case <-ctx.Done():
		return ctx.Err()
	case <-db.closing:
		return ErrClosed
	}
	defer func() { db.readers <- c }()
	select {
	case <-db.closing:
		return ErrClosed
	default:
	}
	if err := c.exec("BEGIN"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer c.exec("ROLLBACK") //nolint:errcheck // nothing was written
	return fn(&Tx{conn: c, ctx: ctx})
}

// Close finishes the Writes and Reads in progress and closes the database.
func (db *DB) Close() error { return db.close() }

func (db *DB) closeAll() error {
	close(db.closing)
	<-db.writer.finished
	for range cap(db.readers) {
		c := <-db.readers
		c.Close()
	}
	return db.release()
}

// release undoes open, even one that failed half-way.
func (db *DB) release() error {
	var errs []error
	if db.writer != nil {
		errs = append(errs, db.writer.conn.Close())
	}
	for _, p := range db.pools {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	return errors.Join(append(errs, db.lock.Close())...)
}

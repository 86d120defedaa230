// Package pgstore is the store on PostgreSQL, for any number of processes. It locks the
// contacts that a transaction touches, loads what a decision needs, lets the rules of
// package unit decide, and writes the result. It skips locked contacts: their arrivals and
// sends are asked for again. It must never decide anything itself, nor keep state in a
// session: a pooler may give every transaction another connection.
package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// Timeouts. A turn fails when deadline passes; a job's lease is longer (30 s).
const (
	callTimeout    = 20 * time.Second
	connectTimeout = 5 * time.Second
	lockPatience   = 2 * time.Second
	// openTimeout bounds the steps before and after the migrations.
	openTimeout = 2 * time.Minute
	// counterConns is how many connections number tickets, beside those of Options.
	counterConns = 2
)

// Options of Open. URL and the rules of Settings are required.
type Options struct {
	// URL of the database, perhaps through a pooler in transaction mode.
	URL string
	// DirectURL is the server's own address, for migrations; URL if "".
	DirectURL string
	Settings  unit.Settings
	// MaxConns bounds the pool, 10 if 0: the concurrent turns and claims of a worker, and a
	// few for people.
	MaxConns int
	// NoMigrate refuses a schema that is older than this program instead of bringing it up
	// to date: other programs may be using it.
	NoMigrate bool
	// Lazy makes Open do nothing yet: every method returns store.ErrUnavailable until Ready
	// has opened the store. A database that went back in time is then opened for reading.
	Lazy bool
	// Holder names this process to people if it has the store for itself; "" shares it. See
	// Own.
	Holder string
	// Logger gets warnings about the server; nil discards them.
	Logger *slog.Logger

	// Notes are kept outside of the database, to detect that it went back in time; nil
	// keeps them in memory, for this process only.
	Notes Notes

	// OnNotesLost is called when existing notes are gone, before they are written again:
	// their keeper lost all its data. paused are the queues that operators have paused.
	// After an error it is called again.
	OnNotesLost func(ctx context.Context, paused []string) error

	// Of tests.
	tracer pgx.QueryTracer
	now    func() time.Time // the clock of this machine
}

// Store implements store.Store.
type Store struct {
	pool *pgxpool.Pool
	// counterPool is for callers that have a connection of pool: two of them must not wait
	// for each other's.
	counterPool *pgxpool.Pool
	opts        Options
	set         unit.Settings
	keys        keys
	tickets     tickets
	log         *slog.Logger

	knownLines knownLines

	now          func() time.Time
	witnesses    *witnesses
	guard        rewindGuard
	verifying    sync.Mutex
	writeRefusal atomic.Pointer[error] // why nothing may be written; see checkWritable

	readiness readiness
	notReady  atomic.Pointer[error] // see checkReady
	direct    atomic.Bool           // there is no pooler
	// lockPatience is how long a caller waits for a contact if it has no "busy" answer.
	lockPatience time.Duration

	fence atomic.Int64 // of its Owner, 0 without one

	mu       sync.Mutex // of sendScan and fileScan
	sendScan sqlrow.Sweep
	fileScan sqlrow.Sweep // over files that wait to be fetched
}

var _ store.Store = (*Store)(nil)

// Open connects, checks server and pooler, and brings the schema up to date. A database of
// a newer program is refused with store.ErrNewer. See Options.Lazy.
func Open(ctx context.Context, o Options) (*Store, error) {
	s, err := build(ctx, o)
	if o.Lazy {
		s.readiness.invalid = err
		return s, nil
	}
	if err == nil {
		err = s.open(ctx, true)
	}
	if err != nil {
		s.close()
		return nil, notOpened(err)
	}
	s.notReady.Store(nil)
	return s, nil
}

// connect makes a store, and checks the server. It changes nothing.
func connect(ctx context.Context, o Options) (*Store, error) {
	s, err := build(ctx, o)
	if err == nil {
		err = s.connectAndCheck(ctx)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// build makes a store without a connection. It can be closed even after an error.
func build(ctx context.Context, o Options) (s *Store, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.OnNotesLost == nil {
		o.OnNotesLost = func(context.Context, []string) error { return nil }
	}
	if o.Notes == nil {
		o.Notes = NewNotes()
	}
	s = &Store{opts: o, set: o.Settings.WithDefaults(), log: o.Logger, lockPatience: lockPatience, guard: rewindGuard{notes: o.Notes, limits: map[string]int64{}}}
	s.setNotReady(errors.New("it is not open yet"))
	if s.now = o.now; s.now == nil {
		s.now = time.Now
	}
	if s.witnesses, err = newWitnesses(); err != nil {
		return s, err
	}
	cfg, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return s, fmt.Errorf("database_url: %w", err)
	}
	tune(cfg.ConnConfig)
	cfg.ConnConfig.Tracer = o.tracer
	cfg.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		if s.direct.Load() {
			keepPlans(c)
		}
		return nil
	}
	cfg.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		s.witnesses.assignSlot(c)
		return registerTextArray(ctx, c)
	}
	cfg.BeforeClose = s.witnesses.releaseSlot
	cfg.MaxConns = int32(min(cmp.Or(max(o.MaxConns, 0), 10), 1000)) //nolint:gosec // bounded
	cfg.MaxConnLifetime, cfg.MaxConnLifetimeJitter = time.Hour, 10*time.Minute
	if s.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return s, err
	}
	few := cfg.Copy()
	few.MaxConns = counterConns
	s.counterPool, err = pgxpool.NewWithConfig(ctx, few)
	return s, err
}

// tune sets what holds for every connection. Behind a pooler in transaction mode it
// prepares no statement and leaves no setting behind.
func tune(cfg *pgx.ConnConfig) {
	cfg.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	if cfg.ConnectTimeout == 0 || cfg.ConnectTimeout > connectTimeout {
		cfg.ConnectTimeout = connectTimeout
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "psi-router"
	}
}

// keepPlans lets the server cache its plans, if there is no pooler: planning is half of the
// cost of a small transaction.
func keepPlans(cfg *pgx.ConnConfig) {
	cfg.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	// Otherwise it plans for each array anew, as it takes ours to be shorter than its
	// estimate; the statements have one good plan.
	cfg.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
}

// isDirect reports whether there is no pooler. A pooler answers a connection with a process
// of its own, and gives each transaction another connection of the server, which has no
// earlier prepared statement.
func (s *Store) isDirect(ctx context.Context) (bool, error) {
	cfg := s.pool.Config().ConnConfig
	cfg.Tracer = nil
	c, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return false, err
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	var pid uint32
	err = c.QueryRow(ctx, `SELECT pg_backend_pid()`).Scan(&pid)
	return pid == c.PgConn().PID(), err
}

// Close waits for running calls and closes the pools.
func (s *Store) Close() error {
	s.readiness.mu.Lock()
	defer s.readiness.mu.Unlock()
	err := s.readiness.releaseOwner()
	s.close()
	return err
}

func (s *Store) close() {
	for _, p := range []*pgxpool.Pool{s.pool, s.counterPool} {
		if p != nil {
			p.Close()
		}
	}
}

// Pool returns the figures of the connection pool.
func (s *Store) Pool() Pool {
	st := s.pool.Stat()
	return Pool{
		Max: int(st.MaxConns()), Open: int(st.TotalConns()), Busy: int(st.AcquiredConns()),
		Acquired: st.AcquireCount(), Waited: st.EmptyAcquireCount(), WaitTime: st.EmptyAcquireWaitTime(),
	}
}

// Pool is the state of a connection pool.
type Pool struct {
	Max, Open, Busy  int
	Acquired, Waited int64 // since the start; Waited found none free
	WaitTime         time.Duration
}

// Ping checks that the database can be written to.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.checkWritable(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	const query = `SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean,
		EXISTS (SELECT FROM psi_router.installation)`
	var closed, there bool
	err := s.pool.QueryRow(ctx, query).Scan(&closed, &there)
	switch {
	case err != nil:
	case closed:
		err = errReadOnly
	case !there:
		err = fmt.Errorf("the schema psi_router is empty: %w", store.ErrUnavailable)
	}
	return wrap("ping", err)
}

var errReadOnly = fmt.Errorf("the server takes no writes: it is a standby, or set to read-only: %w", store.ErrUnavailable)

// checkServer checks, through the pooler if there is one, that the server can be relied on.
func (s *Store) checkServer(ctx context.Context) error {
	const query = `SELECT pg_backend_pid(), current_setting('server_version_num')::int, current_setting('server_encoding'),
		pg_is_in_recovery(), current_setting('fsync')`
	var pids [2]int32
	var version int
	var encoding, fsync string
	var standby bool
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		for i := range pids {
			if err := tx.QueryRow(ctx, query).Scan(&pids[i], &version, &encoding, &standby, &fsync); err != nil {
				return err
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case pids[0] != pids[1]:
		return errors.New("the pooler gives one transaction several connections: set its pool_mode to transaction")
	case version < 130000:
		return fmt.Errorf("PostgreSQL %d is too old: 13 or newer is needed", version/10000)
	case encoding != "UTF8":
		return fmt.Errorf("the database is encoded in %s: make one with ENCODING 'UTF8'", encoding)
	case standby:
		return errReadOnly
	}
	if fsync == "off" {
		s.log.Warn("PostgreSQL runs with fsync = off: a power loss may lose and spoil data")
	}
	return nil
}

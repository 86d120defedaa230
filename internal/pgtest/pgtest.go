// Package pgtest gives tests a real PostgreSQL and a PgBouncer in front of it: servers on
// unix sockets and free loopback ports, in a directory of their own, ended with the tests
// or with their process. It must never touch a server that it did not start, and only tests
// may use it.
package pgtest

import (
	"context"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/psivisionhub/psi-router/internal/servers"
)

// Server is a PostgreSQL server.
type Server struct {
	*servers.Postgres

	mu    sync.Mutex
	made  int
	clean []*borrowed // databases to borrow
}

// Bouncer is a PgBouncer in front of a Server.
type Bouncer = servers.Bouncer

// Options configure New.
type Options = servers.PostgresOptions

var shared struct {
	sync.Mutex
	server *Server
	err    error
}

// Main runs the tests of a package and ends the shared server. Call it from TestMain.
func Main(m *testing.M) {
	code := m.Run()
	shared.Lock()
	if shared.server != nil {
		shared.server.Close()
	}
	shared.Unlock()
	os.Exit(code)
}

// Shared returns the server of this test process, which must run under Main. The server
// does not sync: it is fast and loses data when killed.
func Shared(tb testing.TB) *Server {
	tb.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = start(Options{})
	}
	if shared.err != nil {
		tb.Fatal(shared.err)
	}
	return shared.server
}

// New returns a server of the test's own, which it may stop and start.
func New(tb testing.TB, o Options) *Server {
	tb.Helper()
	s, err := start(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s
}

// start starts a server that may outlive the test.
func start(o Options) (*Server, error) {
	pg, err := servers.NewPostgres(context.Background(), o)
	if err != nil {
		return nil, err
	}
	return &Server{Postgres: pg}, nil
}

// Standby starts a standby of the server. It ends with the test.
func (s *Server) Standby(tb testing.TB) *Server {
	tb.Helper()
	pg, err := s.Postgres.Standby(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(pg.Close)
	return &Server{Postgres: pg}
}

// Start starts a stopped server.
func (s *Server) Start() error { return s.Postgres.Start(context.Background()) }

// Bouncer starts a PgBouncer in transaction mode. Settings such as "pool_mode=session"
// override the defaults. It ends with the test.
func (s *Server) Bouncer(tb testing.TB, settings ...string) *Bouncer {
	tb.Helper()
	b, err := s.NewBouncer(tb.Context(), settings...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(b.Close)
	return b
}

// Exec runs statements in a database as the superuser.
func (s *Server) Exec(tb testing.TB, database string, statements ...string) {
	tb.Helper()
	if err := s.exec(database, statements...); err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
}

// exec works in a test's cleanup too, when the test's context has ended.
func (s *Server) exec(database string, statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return s.Postgres.Exec(ctx, database, statements...)
}

// Database creates a database and returns its name.
func (s *Server) Database(tb testing.TB) string {
	tb.Helper()
	s.mu.Lock()
	s.made++
	name := "test" + strconv.Itoa(s.made)
	s.mu.Unlock()
	s.Exec(tb, "postgres", "CREATE DATABASE "+name)
	return name
}

// borrowed is a database to borrow with the connection that empties it: opening one is the
// most expensive part.
type borrowed struct {
	name string
	conn *pgx.Conn
}

// Borrow returns the name of a database without rows. Creating one is slow, so it may have
// tables of an earlier test, and sequences that have advanced.
func (s *Server) Borrow(tb testing.TB) string {
	tb.Helper()
	s.mu.Lock()
	var db *borrowed
	if n := len(s.clean); n > 0 {
		db, s.clean = s.clean[n-1], s.clean[:n-1]
	}
	s.mu.Unlock()
	if db == nil {
		db = &borrowed{name: s.Database(tb)}
	}
	tb.Cleanup(func() {
		if tb.Failed() || db.empty(s) != nil {
			return // it may still be in use: do not lend it again
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.clean = append(s.clean, db)
	})
	return db.name
}

func (db *borrowed) empty(s *Server) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if db.conn == nil {
		if db.conn, err = pgx.Connect(ctx, s.URL(db.name)); err != nil {
			return err
		}
	}
	_, err = db.conn.Exec(ctx, empty)
	return err
}

// empty deletes every row except those of the migrations' versions. There are few rows, so
// this is faster than TRUNCATE.
const empty = `SET lock_timeout = '3s'; DO $$
DECLARE t record;
BEGIN
	FOR t IN SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
		WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND tablename NOT LIKE 'goose%'
	LOOP EXECUTE 'DELETE FROM ' || t.name; END LOOP;
END $$`

// Package pgtest gives tests a real PostgreSQL, and a PgBouncer before it: servers
// on unix sockets and free loopback ports in a directory of their own, ended when
// the tests are over, or when their process dies. It must never touch a server
// that it did not start, and no program but a test may use it.
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

// Server is one PostgreSQL.
type Server struct {
	pg *servers.Postgres

	mu    sync.Mutex
	made  int
	clean []*borrowed // databases to borrow
}

// Bouncer is a PgBouncer before a Server.
type Bouncer = servers.Bouncer

// Options of New.
type Options struct {
	// Durable makes it sync like a real one, for benchmarks.
	Durable bool
	// Settings are added to the configuration: "max_connections=20".
	Settings []string
}

var shared struct {
	sync.Mutex
	server *Server
	err    error
}

// Main runs the tests of a package and ends what they shared: call it from
// TestMain.
func Main(m *testing.M) {
	code := m.Run()
	shared.Lock()
	if shared.server != nil {
		shared.server.pg.Close()
	}
	shared.Unlock()
	os.Exit(code)
}

// Shared returns the server of this test process, which must run under Main. It
// does not sync, so it is quick and forgets when it is killed.
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

// New returns a server of the test's own, to be stopped and started at will.
func New(tb testing.TB, o Options) *Server {
	tb.Helper()
	s, err := start(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.pg.Close)
	return s
}

// start is not bound to one test: others may share what it starts.
func start(o Options) (*Server, error) {
	pg, err := servers.NewPostgres(context.Background(), servers.PostgresOptions{Durable: o.Durable, Settings: o.Settings})
	if err != nil {
		return nil, err
	}
	return &Server{pg: pg}, nil
}

// Postgres is the server itself.
func (s *Server) Postgres() *servers.Postgres { return s.pg }

// Standby starts a standby of the server, ended with the test.
func (s *Server) Standby(tb testing.TB) *Server {
	tb.Helper()
	pg, err := s.pg.Standby(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(pg.Close)
	return &Server{pg: pg}
}

// Start starts a server that was stopped.
func (s *Server) Start() error { return s.pg.Start(context.Background()) }

// Stop ends the server as an operator would who does not wait for clients.
func (s *Server) Stop() { s.pg.Stop() }

// Kill ends the server at once, as a crash would.
func (s *Server) Kill() { s.pg.Kill() }

// Log returns what the server said.
func (s *Server) Log() string { return s.pg.Log() }

// URL returns the address of a database by its unix socket.
func (s *Server) URL(database string) string { return s.pg.URL(database) }

// TCPURL returns the address of a database by loopback, for a proxy to stand before.
func (s *Server) TCPURL(database string) string { return s.pg.TCPURL(database) }

// Bouncer starts a PgBouncer in transaction mode, ended with the test. Settings,
// like "pool_mode=session", override.
func (s *Server) Bouncer(tb testing.TB, settings ...string) *Bouncer {
	tb.Helper()
	b, err := s.pg.NewBouncer(tb.Context(), settings...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(b.Close)
	return b
}

// Exec runs statements in a database, as its owner.
func (s *Server) Exec(tb testing.TB, database string, statements ...string) {
	tb.Helper()
	if err := s.exec(database, statements...); err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
}

// exec works in a test's cleanup too, when its context is over.
func (s *Server) exec(database string, statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return s.pg.Exec(ctx, database, statements...)
}

// Database makes a new database and returns its name.
func (s *Server) Database(tb testing.TB) string {
	tb.Helper()
	s.mu.Lock()
	s.made++
	name := "test" + strconv.Itoa(s.made)
	s.mu.Unlock()
	s.Exec(tb, "postgres", "CREATE DATABASE "+name)
	return name
}

// borrowed is a database to borrow, and the connection that empties it: a new one is
// what costs most.
type borrowed struct {
	name string
	conn *pgx.Conn
}

// Borrow returns the name of a database without rows. Making one is slow, so an
// earlier test may have left its tables in it, and sequences that went on.
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
			return // somebody may still be in it: it is not lent again
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

// empty deletes every row but those that say which migrations were done. There
// are few, so this is faster than to truncate.
const empty = `SET lock_timeout = '3s'; DO $$
DECLARE t record;
BEGIN
	FOR t IN SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
		WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND tablename NOT LIKE 'goose%'
	LOOP EXECUTE 'DELETE FROM ' || t.name; END LOOP;
END $$`

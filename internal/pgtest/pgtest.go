// Package pgtest gives tests a real PostgreSQL, and a PgBouncer before it: servers
// on unix sockets and free loopback ports in a directory of their own, ended when
// the tests are over, or when their process dies. It must never touch a server
// that it did not start, and no program but a test may use it.
package pgtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// user is the superuser of every server.
const user = "postgres"

// Server is one PostgreSQL.
type Server struct {
	dir  string // of the socket and the data
	port int
	opts Options

	mu    sync.Mutex
	proc  *process
	made  int
	clean []string // databases to borrow
}

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
		shared.server.destroy()
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
	tb.Cleanup(s.destroy)
	return s
}

func start(o Options) (*Server, error) {
	bin, err := binary("initdb")
	if err != nil {
		return nil, err
	}
	dir, err := makeDir("psi-pg-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, opts: o}
	out, err := command(bin, "-D", s.data(), "-U", user, "-A", "trust", "--no-sync", "--no-instructions",
		"--locale=C.UTF-8", "-E", "UTF8").CombinedOutput()
	if err == nil {
		err = s.Start()
	}
	if err != nil {
		s.destroy()
		return nil, fmt.Errorf("pgtest: %w\n%s", err, out)
	}
	return s, nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Start starts a server that was stopped.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		return nil
	}
	bin, err := binary("postgres")
	if err != nil {
		return err
	}
	if s.port == 0 {
		if s.port, err = freePort(); err != nil {
			return err
		}
	}
	set := []string{
		"listen_addresses=127.0.0.1", "port=" + strconv.Itoa(s.port), "unix_socket_directories=" + s.dir,
		"max_connections=200", "shared_buffers=128MB", "max_wal_size=2GB", "timezone=UTC", "logging_collector=off",
	}
	if !s.opts.Durable {
		set = append(set, "fsync=off", "full_page_writes=off", "synchronous_commit=off")
	}
	args := []string{"-D", s.data()}
	for _, kv := range append(set, s.opts.Settings...) {
		args = append(args, "-c", kv)
	}
	if s.proc, err = run(filepath.Join(s.dir, "log"), command(bin, args...)); err != nil {
		return err
	}
	if err := s.ready(); err != nil {
		s.proc.kill()
		s.proc = nil
		return err
	}
	return nil
}

func (s *Server) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return until(ctx, s.proc, func() error {
		c, err := pgx.Connect(ctx, s.URL("postgres"))
		if err != nil {
			return err
		}
		return c.Close(ctx)
	})
}

// Stop ends the server as an operator would who does not wait for clients.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		s.proc.interrupt()
		s.proc = nil
	}
}

// Kill ends the server at once, as a crash would.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		s.proc.quit()
		s.proc = nil
	}
}

func (s *Server) destroy() {
	s.Stop()
	os.RemoveAll(s.dir)
}

// Log returns what the server said.
func (s *Server) Log() string {
	out, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(out)
}

// URL returns the address of a database by its unix socket.
func (s *Server) URL(database string) string {
	q := url.Values{"host": {s.dir}, "port": {strconv.Itoa(s.port)}, "user": {user}}
	return (&url.URL{Scheme: "postgres", Path: "/" + database, RawQuery: q.Encode()}).String()
}

// TCP returns the address of a database by loopback, for a proxy to stand before.
func (s *Server) TCP(database string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", user, s.port, database)
}

// Exec runs statements in a database, as its owner.
func (s *Server) Exec(tb testing.TB, database string, statements ...string) {
	tb.Helper()
	if err := s.exec(database, statements...); err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
}

func (s *Server) exec(database string, statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := pgx.Connect(ctx, s.URL(database))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	for _, sql := range statements {
		if _, err := c.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
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

// Borrow returns the name of a database without rows. Making one is slow, so an
// earlier test may have left its tables in it, and sequences that went on.
func (s *Server) Borrow(tb testing.TB) string {
	tb.Helper()
	s.mu.Lock()
	var name string
	if n := len(s.clean); n > 0 {
		name, s.clean = s.clean[n-1], s.clean[:n-1]
	}
	s.mu.Unlock()
	if name == "" {
		name = s.Database(tb)
	}
	tb.Cleanup(func() {
		if tb.Failed() || s.exec(name, empty) != nil {
			return // somebody may still be in it: it is not lent again
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.clean = append(s.clean, name)
	})
	return name
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

// missing is what people are told who lack the servers.
func missing(program string) error {
	return fmt.Errorf("pgtest: %s is not installed: apt-get install -y postgresql pgbouncer", program)
}

// binary finds a program of PostgreSQL, the newest.
func binary(name string) (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil {
		return "", err
	}
	best, major := "", 0
	for _, path := range found {
		v, err := strconv.Atoi(strings.Split(path, "/")[4])
		if err == nil && v > major {
			best, major = path, v
		}
	}
	if best == "" {
		return "", missing(name)
	}
	return best, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.New("no TCP address")
	}
	return addr.Port, nil
}

// until tries again until it works, the process is over or time is up.
func until(ctx context.Context, p *process, try func() error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended: %w\n%s", p.name, cmp.Or(p.err, err), p.said())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w\n%s", p.name, err, p.said())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

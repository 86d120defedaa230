package servers

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNoPostgres means that PostgreSQL is not installed.
var ErrNoPostgres = errors.New("PostgreSQL is not installed: apt-get install -y postgresql pgbouncer")

// PostgresUser is the superuser of every server.
const PostgresUser = "postgres"

// PostgresOptions configure NewPostgres.
type PostgresOptions struct {
	// Parent is the directory to create its directory in; "" is the system's for temporary
	// files.
	Parent string
	// Durable makes it sync, as in production.
	Durable bool
	// Settings are added to the configuration, such as "max_connections=20".
	Settings []string
}

// Postgres is a PostgreSQL server.
type Postgres struct {
	// Dir holds its socket and its data.
	Dir string

	port  *Port
	opts  PostgresOptions
	owner *syscall.Credential

	mu   sync.Mutex
	proc *Process
}

// HavePostgres returns an error that says how to install PostgreSQL, or nil if it is
// installed.
func HavePostgres() error {
	_, err := postgresProgram("initdb")
	return err
}

// NewPostgres starts a server. The caller must Close it.
func NewPostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	if err := HavePostgres(); err != nil {
		return nil, err
	}
	owner, err := ServerAccount("postgres")
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrNoPostgres, err)
	}
	s := &Postgres{opts: o, owner: owner}
	err = s.create(ctx, "initdb", "-U", PostgresUser, "-A", "trust", "--no-sync", "--no-instructions", "--locale=C.UTF-8", "-E", "UTF8")
	if err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	return s, nil
}

// create makes the directory, has a program fill it with data, and starts the server.
func (s *Postgres) create(ctx context.Context, program string, args ...string) (err error) {
	if s.Dir, err = Dir(s.opts.Parent, "psi-pg-", s.owner); err != nil {
		return err
	}
	if err = s.run(ctx, program, append([]string{"-D", s.data()}, args...)...); err == nil {
		s.port, err = ReservePort()
	}
	if err == nil {
		err = s.Start(ctx)
	}
	if err != nil {
		s.Close()
	}
	return err
}

func (s *Postgres) data() string { return filepath.Join(s.Dir, "data") }

// command runs a program of PostgreSQL as the owner of the files.
func (s *Postgres) command(ctx context.Context, bin string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), bin, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	return cmd
}

// Start starts a stopped server and returns once it answers.
func (s *Postgres) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		return nil
	}
	bin, err := postgresProgram("postgres")
	if err != nil {
		return err
	}
	set := []string{
		"listen_addresses=127.0.0.1", "port=" + strconv.Itoa(s.port.Number), "unix_socket_directories=" + s.Dir,
		"max_connections=200", "shared_buffers=128MB", "max_wal_size=2GB", "timezone=UTC", "logging_collector=off",
	}
	if !s.opts.Durable {
		set = append(set, "fsync=off", "full_page_writes=off", "synchronous_commit=off")
	}
	args := []string{"-D", s.data()}
	for _, kv := range append(set, s.opts.Settings...) {
		args = append(args, "-c", kv)
	}
	// Orphaned, it must end at once with its children.
	if s.proc, err = Start(s.command(ctx, bin, args...), filepath.Join(s.Dir, "log"), syscall.SIGQUIT); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err = s.proc.WaitUntil(ctx, func(ctx context.Context) error {
		c, err := pgx.Connect(ctx, s.URL("postgres"))
		if err != nil {
			return err
		}
		return c.Close(ctx)
	})
	if err != nil {
		s.proc.Terminate(syscall.SIGKILL)
		s.proc = nil
	}
	return err
}

// Stop ends the server without waiting for clients (fast shutdown).
func (s *Postgres) Stop() { s.end(syscall.SIGINT) }

// Kill ends the server at once, as a crash would (immediate shutdown).
func (s *Postgres) Kill() { s.end(syscall.SIGQUIT) }

func (s *Postgres) end(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		s.proc.Terminate(sig)
		s.proc = nil
	}
}

// PID is the id of the postmaster, 0 while the server is stopped.
func (s *Postgres) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return 0
	}
	return s.proc.PID
}

// Close stops the server, removes its files and releases its port.
func (s *Postgres) Close() {
	s.Stop()
	if s.port != nil {
		s.port.Close()
	}
	_ = os.RemoveAll(s.Dir) // in the system's directory for temporary files
}

// Log returns the server's log.
func (s *Postgres) Log() string { return readLog(filepath.Join(s.Dir, "log")) }

// URL returns the address of a database over the unix socket.
func (s *Postgres) URL(database string) string { return postgresURL(s.Dir, s.port.Number, database) }

func postgresURL(dir string, port int, database string) string {
	q := url.Values{"host": {dir}, "port": {strconv.Itoa(port)}, "user": {PostgresUser}}
	return (&url.URL{Scheme: "postgres", Path: "/" + database, RawQuery: q.Encode()}).String()
}

// TCPURL returns the address of a database over loopback, for use with a proxy.
func (s *Postgres) TCPURL(database string) string {
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", PostgresUser, s.port.Addr(), database)
}

// Exec runs statements in a database as the superuser.
func (s *Postgres) Exec(ctx context.Context, database string, statements ...string) error {
	c, err := pgx.Connect(ctx, s.URL(database))
	if err != nil {
		return err
	}
	defer c.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the answer is in
	for _, sql := range statements {
		if _, err := c.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// postgresProgram returns the path of a PostgreSQL program, of the newest version.
func postgresProgram(name string) (string, error) {
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
		if best, err = exec.LookPath(name); err != nil {
			return "", fmt.Errorf("%w (%w)", ErrNoPostgres, err)
		}
	}
	return best, nil
}

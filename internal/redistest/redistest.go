// Package redistest starts throwaway Redis servers for tests: a single one, a
// Sentinel set-up, a Cluster. They listen on free loopback ports, keep their
// files in a directory of their own, and end with the test, each by its own
// process id. It is for tests and drills only, and must never touch a server
// that it did not start.
package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ErrMissing means that redis-server is not installed.
var ErrMissing = errors.New("redis-server is not installed: apt-get install -y redis-server")

// Server is one redis-server process.
type Server struct {
	// Addr is its host:port; it stays the same over Restart.
	Addr string
	// Dir holds its files.
	Dir string

	args []string
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
}

// Start starts a server that ends with the test; see New.
func Start(tb testing.TB, config ...string) *Server {
	tb.Helper()
	s, err := New(tb.Context(), config...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s
}

// New starts a server without persistence, then applies the config: lines of
// redis.conf, such as "appendonly yes". Call Close in the end.
func New(ctx context.Context, config ...string) (*Server, error) {
	return start(ctx, config, "--save", "")
}

// AOF is the config of a server that has on disk what it answered.
var AOF = []string{"appendonly yes", "appendfsync always"}

func start(ctx context.Context, config []string, args ...string) (*Server, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrMissing, err)
	}
	dir, err := os.MkdirTemp("", "psi-redis-")
	if err != nil {
		return nil, fmt.Errorf("start redis: %w", err)
	}
	var last error
	for range 5 { // somebody else may take the port first
		s := &Server{Dir: dir}
		if err := s.prepare(path, config, args); err != nil {
			last = err
			break
		}
		if last = s.Restart(ctx); last == nil {
			return s, nil
		}
		s.Kill()
	}
	os.RemoveAll(dir)
	return nil, fmt.Errorf("start redis: %w", last)
}

// prepare writes the config file. Redis refuses to do its work as root, so a
// root's server runs as the user that apt made for it.
func (s *Server) prepare(path string, config, args []string) error {
	port, err := FreePort()
	if err != nil {
		return err
	}
	bus, err := FreePort()
	if err != nil {
		return err
	}
	s.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	lines := []string{
		"port " + strconv.Itoa(port), "bind 127.0.0.1", "dir " + s.Dir, "daemonize no", "logfile redis.log",
	}
	for _, l := range config {
		if l == "cluster-enabled yes" {
			l += "\ncluster-port " + strconv.Itoa(bus)
		}
		lines = append(lines, l)
	}
	conf := filepath.Join(s.Dir, "redis.conf")
	if err := os.WriteFile(conf, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	s.args = append([]string{path, conf}, args...)
	return nil
}

// FreePort returns a loopback port that nobody listens on.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it does not block
	if err != nil {
		return 0, fmt.Errorf("find a port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// URL is what redis_url wants.
func (s *Server) URL() string { return "redis://" + s.Addr }

// Restart starts the server on the files and the port that it had, and returns
// when it answers.
func (s *Server) Restart(ctx context.Context) error {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), s.args[0], s.args[1:]...)
	cmd.Dir = s.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Getuid() == 0 {
		cred, err := own(s.Dir)
		if err != nil {
			return err
		}
		cmd.SysProcAttr.Credential = cred
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd, s.done = cmd, make(chan struct{})
	go func(done chan struct{}) {
		_ = cmd.Wait() // it is killed
		close(done)
	}(s.done)
	return s.await(ctx)
}

// own hands a directory to the redis user.
func own(dir string) (*syscall.Credential, error) {
	u, err := user.Lookup("redis")
	if err != nil {
		return nil, fmt.Errorf("the user of apt's redis-server: %w: %w", ErrMissing, err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	for _, path := range []string{dir, filepath.Join(dir, "redis.conf")} {
		if err := os.Chown(path, uid, gid); err != nil {
			return nil, err
		}
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil //nolint:gosec // ids are small
}

func (s *Server) await(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	giveUp := time.NewTimer(20 * time.Second)
	defer giveUp.Stop()
	for {
		if answer, err := s.Do(ctx, "PING"); err == nil && answer == "PONG" {
			return nil
		}
		select {
		case <-tick.C:
		case <-giveUp.C:
			return fmt.Errorf("%s does not answer:\n%s", s.Addr, s.Log())
		case <-s.done:
			return fmt.Errorf("%s ended:\n%s", s.Addr, s.Log())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Log returns what the server wrote to its log.
func (s *Server) Log() string {
	text, err := os.ReadFile(filepath.Join(s.Dir, "redis.log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Signal sends a signal to the process: SIGSTOP and SIGCONT make it hang.
func (s *Server) Signal(sig os.Signal) error { return s.cmd.Process.Signal(sig) }

// Kill ends the process the hard way, as kill -9 and the OOM killer do, and
// waits for its end.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended
	<-s.done
}

// Close kills the server and removes its files.
func (s *Server) Close() {
	s.Kill()
	os.RemoveAll(s.Dir)
}

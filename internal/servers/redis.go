package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ErrNoRedis means that redis-server is not installed.
var ErrNoRedis = errors.New("redis-server is not installed: apt-get install -y redis-server")

// RedisAOF is the config of a Redis that answers a write only once it is on disk.
var RedisAOF = []string{"appendonly yes", "appendfsync always"}

// RedisOptions configure NewRedis.
type RedisOptions struct {
	// Parent is the directory to create its directory in; "" is the system's for temporary
	// files.
	Parent string
	// Config are lines of redis.conf, such as "appendonly yes". Without any, nothing is
	// persisted.
	Config []string
	// Sentinel starts it as a Sentinel.
	Sentinel bool
}

// Redis is a redis-server.
type Redis struct {
	// Addr is its host:port; Restart keeps it.
	Addr string
	// Dir holds its files.
	Dir string

	args      []string
	owner     *syscall.Credential
	port, bus *Port

	mu   sync.Mutex
	proc *Process
}

// HaveRedis returns an error that says how to install redis-server, or nil if it is
// installed.
func HaveRedis() error {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return fmt.Errorf("%w (%w)", ErrNoRedis, err)
	}
	return nil
}

// NewRedis starts a server. The caller must Close it.
func NewRedis(ctx context.Context, o RedisOptions) (*Redis, error) {
	if err := HaveRedis(); err != nil {
		return nil, err
	}
	owner, err := ServerAccount("redis")
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrNoRedis, err)
	}
	dir, err := Dir(o.Parent, "psi-redis-", owner)
	if err != nil {
		return nil, fmt.Errorf("start redis: %w", err)
	}
	r := &Redis{Dir: dir, owner: owner}
	if err = r.configure(o); err == nil {
		err = r.Restart(ctx)
	}
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("start redis: %w", err)
	}
	return r, nil
}

// configure reserves its ports and writes its config file.
func (r *Redis) configure(o RedisOptions) error {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return err
	}
	if r.port, err = ReservePort(); err != nil {
		return err
	}
	if r.bus, err = ReservePort(); err != nil {
		return err
	}
	r.Addr = r.port.Addr()
	lines := []string{
		"port " + strconv.Itoa(r.port.Number), "bind 127.0.0.1", "dir " + r.Dir, "daemonize no", "logfile redis.log",
	}
	for _, l := range o.Config {
		if l == "cluster-enabled yes" {
			l += "\ncluster-port " + strconv.Itoa(r.bus.Number)
		}
		lines = append(lines, l)
	}
	conf := filepath.Join(r.Dir, "redis.conf")
	if err := os.WriteFile(conf, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	r.args = []string{path, conf, "--save", ""}
	if o.Sentinel {
		r.args = []string{path, conf, "--sentinel"}
	}
	return chown(r.owner, conf)
}

// URL returns the server's address in the form of redis_url.
func (r *Redis) URL() string { return "redis://" + r.Addr }

// Restart starts the server on its files and port, and returns once it answers.
func (r *Redis) Restart(ctx context.Context) error {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), r.args[0], r.args[1:]...)
	cmd.Dir = r.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: r.owner}
	p, err := Start(cmd, filepath.Join(r.Dir, "output"), syscall.SIGKILL)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.proc = p
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	err = p.WaitUntil(ctx, func(ctx context.Context) error {
		answer, err := r.Do(ctx, "PING")
		if err == nil && answer != "PONG" {
			err = fmt.Errorf("PING: %s", answer)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, r.Log())
	}
	return nil
}

// Log returns the server's log.
func (r *Redis) Log() string { return readLog(filepath.Join(r.Dir, "redis.log")) }

func (r *Redis) process() *Process {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.proc
}

// PID returns its process id.
func (r *Redis) PID() int { return r.process().PID }

// Signal sends a signal to the process: SIGSTOP and SIGCONT make it hang.
func (r *Redis) Signal(sig syscall.Signal) error { return r.process().Signal(sig) }

// Kill ends the process with SIGKILL, as the OOM killer does, and waits for its end.
func (r *Redis) Kill() {
	if p := r.process(); p != nil {
		p.Terminate(syscall.SIGKILL)
	}
}

// Close kills the server, removes its files and releases its port.
func (r *Redis) Close() {
	r.Kill()
	for _, p := range []*Port{r.port, r.bus} {
		if p != nil {
			p.Close()
		}
	}
	_ = os.RemoveAll(r.Dir) // in the system's directory for temporary files
}

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/psivisionhub/psi-router/internal/servers"
)

// Roles of processes, as in serve --role.
const (
	RoleAll     = "all"
	RoleWebhook = "webhook"
	RoleWorker  = "worker"
)

const (
	startTimeout = time.Minute
	stopTimeout  = 40 * time.Second
	readyPause   = 2 * time.Millisecond // short, because bench/figures measures a start with it
)

// Node is one process of the router, with a supervisor.
type Node struct {
	cluster *Cluster
	Name    string
	Role    string
	dir     string
	port    *servers.Port // nil for a worker

	mu   sync.Mutex
	proc *servers.Process // nil while the process is down on purpose
}

// Start starts the process unless it runs.
func (m *Node) Start(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.proc != nil || m.cluster.ctx.Err() != nil {
		return nil
	}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return fmt.Errorf("start %s: %w", m.Name, err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), m.cluster.o.Program, "serve", "--config", m.cluster.config(), "--role", m.Role,
		"--hurry", strconv.FormatFloat(m.cluster.o.BackoffSpeedup, 'f', -1, 64))
	cmd.Args[0] = "psi-router"
	cmd.Dir = m.dir
	// The operator's own configuration must not reach the process.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + m.dir, "TMPDIR=" + os.TempDir(), "PSI_DATA_DIR=" + m.dir}
	if m.port != nil {
		cmd.Env = append(cmd.Env, "PSI_LISTEN="+m.port.Addr())
	}
	p, err := servers.Start(cmd, m.logFile(), syscall.SIGKILL)
	if err != nil {
		return err
	}
	m.proc = p
	m.cluster.work.Go(func() { m.supervise(p) })
	return nil
}

func (m *Node) logFile() string { return m.dir + ".log" }

// supervise waits for the end of a process. If the end was not intended, it notes it and
// starts the process again.
func (m *Node) supervise(p *servers.Process) {
	<-p.Done()
	m.mu.Lock()
	unwanted := m.proc == p
	if unwanted {
		m.proc = nil
	}
	m.mu.Unlock()
	if !unwanted || m.cluster.ctx.Err() != nil {
		return
	}
	m.cluster.Note(fmt.Sprintf("%s ended unexpectedly (%v): %s", m.Name, p.Err(), m.lastLine(p)))
	if !sleep(m.cluster.ctx, time.Second) {
		return
	}
	if err := m.Start(m.cluster.ctx); err != nil {
		m.cluster.Note(err.Error())
	}
}

// lastLine returns the last line that a process wrote.
func (m *Node) lastLine(p *servers.Process) string {
	text := strings.TrimSpace(p.Output())
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// Signal sends the process a signal.
func (m *Node) Signal(sig syscall.Signal) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.proc == nil {
		return fmt.Errorf("%s is not running", m.Name)
	}
	return m.proc.Signal(sig)
}

// Kill ends the process with a signal that it cannot handle.
func (m *Node) Kill(sig syscall.Signal) {
	m.mu.Lock()
	p := m.proc
	m.proc = nil
	m.mu.Unlock()
	if p != nil {
		p.Terminate(sig)
	}
}

// Stop ends the process with SIGTERM. A late end or an exit code other than 0 is an error.
func (m *Node) Stop() error {
	m.mu.Lock()
	p := m.proc
	m.proc = nil
	m.mu.Unlock()
	if p == nil {
		return nil
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("%s ended unexpectedly: %w", m.Name, err)
	}
	select {
	case <-p.Done():
	case <-time.After(stopTimeout):
		p.Terminate(syscall.SIGKILL)
		return fmt.Errorf("%s did not end within %v of SIGTERM: %s", m.Name, stopTimeout, m.lastLine(p))
	}
	if p.Err() != nil {
		return fmt.Errorf("%s failed after SIGTERM (%w): %s", m.Name, p.Err(), m.lastLine(p))
	}
	return nil
}

// Ready waits until the process is ready.
func (m *Node) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, errors.New("timed out after a minute"))
	defer cancel()
	for {
		err := m.checkReady(ctx)
		if err == nil {
			return nil
		}
		if !sleep(ctx, readyPause) {
			return fmt.Errorf("%s is not ready: %w: %w; its log is %s", m.Name, context.Cause(ctx), err, m.logFile())
		}
	}
}

// checkReady asks /readyz, on the address of the process or on its admin socket.
func (m *Node) checkReady(ctx context.Context) error {
	if m.PID() == 0 {
		return errors.New("it is not running")
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if m.port != nil {
				return (&net.Dialer{}).DialContext(ctx, "tcp", m.port.Addr())
			}
			return m.DialAdmin(ctx)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://router/readyz", nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz answers %s", res.Status)
	}
	return nil
}

// DialAdmin connects to the admin socket of the process.
func (m *Node) DialAdmin(ctx context.Context) (net.Conn, error) {
	name := "admin.sock"
	if m.Role != RoleAll {
		name = fmt.Sprintf("%s-%d.sock", m.Role, m.PID())
	}
	return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(m.dir, name))
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

package stage

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

// Roles of processes, as serve knows them.
const (
	RoleAll     = "all"
	RoleWebhook = "webhook"
	RoleWorker  = "worker"
)

const (
	startTimeout = time.Minute
	stopTimeout  = 40 * time.Second
)

// Member is one process of the router, with the supervisor that it would have.
type Member struct {
	stage *Stage
	Name  string
	Role  string
	dir   string
	port  *servers.Port // nil for a worker

	mu   sync.Mutex
	proc *servers.Process // nil while it is down on purpose
}

// Start starts it, unless it runs.
func (m *Member) Start(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.proc != nil || m.stage.ctx.Err() != nil {
		return nil
	}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return fmt.Errorf("start %s: %w", m.Name, err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), m.stage.o.Program, "serve", "--config", m.stage.config(), "--role", m.Role,
		"--hurry", strconv.FormatFloat(m.stage.o.Hurry, 'f', -1, 64))
	cmd.Args[0] = "psi-router"
	cmd.Dir = m.dir
	// Nothing of the operator's own configuration may reach it.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + m.dir, "TMPDIR=" + os.TempDir(), "PSI_DATA_DIR=" + m.dir}
	if m.port != nil {
		cmd.Env = append(cmd.Env, "PSI_LISTEN="+m.port.Addr())
	}
	p, err := servers.Start(cmd, m.log(), syscall.SIGKILL)
	if err != nil {
		return err
	}
	m.proc = p
	m.stage.work.Go(func() { m.attend(p) })
	return nil
}

func (m *Member) log() string { return m.dir + ".log" }

// attend waits for the end of a process. One that nobody wanted is noted, and
// the process started again, as a supervisor does.
func (m *Member) attend(p *servers.Process) {
	<-p.Done()
	m.mu.Lock()
	unwanted := m.proc == p
	if unwanted {
		m.proc = nil
	}
	m.mu.Unlock()
	if !unwanted || m.stage.ctx.Err() != nil {
		return
	}
	m.stage.Note(fmt.Sprintf("%s ended by itself (%v): %s", m.Name, p.Err(), m.last(p)))
	if !sleep(m.stage.ctx, time.Second) {
		return
	}
	if err := m.Start(m.stage.ctx); err != nil {
		m.stage.Note(err.Error())
	}
}

// last is the last line that a process wrote.
func (m *Member) last(p *servers.Process) string {
	text := strings.TrimSpace(p.Output())
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// Signal sends it a signal.
func (m *Member) Signal(sig syscall.Signal) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.proc == nil {
		return fmt.Errorf("%s does not run", m.Name)
	}
	return m.proc.Signal(sig)
}

// End ends it with a signal that leaves it no choice.
func (m *Member) End(sig syscall.Signal) {
	m.mu.Lock()
	p := m.proc
	m.proc = nil
	m.mu.Unlock()
	if p != nil {
		p.Terminate(sig)
	}
}

// Stop asks it to end. That it does so late or badly is an error.
func (m *Member) Stop() error {
	m.mu.Lock()
	p := m.proc
	m.proc = nil
	m.mu.Unlock()
	if p == nil {
		return nil
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("%s ended by itself: %w", m.Name, err)
	}
	select {
	case <-p.Done():
	case <-time.After(stopTimeout):
		p.Terminate(syscall.SIGKILL)
		return fmt.Errorf("%s did not end within %v of SIGTERM: %s", m.Name, stopTimeout, m.last(p))
	}
	if p.Err() != nil {
		return fmt.Errorf("%s ended badly after SIGTERM (%w): %s", m.Name, p.Err(), m.last(p))
	}
	return nil
}

// Ready waits until it can work.
func (m *Member) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, errors.New("waited for a minute"))
	defer cancel()
	for {
		err := m.ask(ctx)
		if err == nil {
			return nil
		}
		if !sleep(ctx, 50*time.Millisecond) {
			return fmt.Errorf("%s is not ready: %w: %w; its log is %s", m.Name, context.Cause(ctx), err, m.log())
		}
	}
}

// ask asks whether it is ready: on its address, or on its admin socket.
func (m *Member) ask(ctx context.Context) error {
	m.mu.Lock()
	p := m.proc
	m.mu.Unlock()
	if p == nil {
		return errors.New("it does not run")
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if m.port != nil {
				return (&net.Dialer{}).DialContext(ctx, "tcp", m.port.Addr())
			}
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(m.dir, fmt.Sprintf("%s-%d.sock", m.Role, p.PID)))
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

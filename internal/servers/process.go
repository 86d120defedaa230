// Package servers starts throwaway programs: a Redis, a PostgreSQL, or any other. They
// listen on free loopback ports, keep their files in directories of their own, and are
// ended by process id: when told to, and when the process that started them dies in
// whatever way. It is for tests and drills, and must never touch a server that it did not
// start.
package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// Process is a running program.
type Process struct {
	// PID is the id of the process and of its process group.
	PID int

	name string
	log  string
	done chan struct{}
	err  error // set once done
}

// Start starts a program that appends its output to the file log. The program gets a
// process group of its own, so that a Ctrl-C at the terminal does not reach it. If this
// process dies first, the program gets the signal orphan.
func Start(cmd *exec.Cmd, log string, orphan syscall.Signal) (*Process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Pdeathsig = true, orphan
	p := &Process{name: filepath.Base(cmd.Path), log: log, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel takes the end of the thread that started the child for the end of the
		// parent, so this thread stays, locked to this goroutine.
		runtime.LockOSThread()
		defer out.Close()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	p.PID = cmd.Process.Pid
	return p, nil
}

// Done is closed once the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns the error with which the process ended; nil for exit code 0 or while it runs.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Signal sends a signal to the process. It returns os.ErrProcessDone once the process has
// ended.
func (p *Process) Signal(sig syscall.Signal) error {
	select {
	case <-p.done:
		return os.ErrProcessDone
	default:
	}
	if err := syscall.Kill(p.PID, sig); err != nil {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	return nil
}

// Terminate sends a signal that ends the process, and waits until it has ended.
func (p *Process) Terminate(sig syscall.Signal) {
	_ = p.Signal(sig) // it may just have ended
	<-p.done
}

// Output returns the process's output so far.
func (p *Process) Output() string { return readLog(p.log) }

// readLog returns a log, or why it cannot be read.
func readLog(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// WaitUntil calls try until it succeeds, the process ends, or ctx does.
func (p *Process) WaitUntil(ctx context.Context, try func(context.Context) error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended: %w\n%s", p.name, errors.Join(p.err, err), p.Output())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w: %w\n%s", p.name, context.Cause(ctx), err, p.Output())
		case <-tick.C:
		}
	}
}

// ServerAccount returns the user that apt created for a server that refuses to run as root;
// nil if this process is not root.
func ServerAccount(name string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("as root, the server's apt user is needed: %w", err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// Dir creates a directory below parent ("": the system's for temporary files) that owner
// owns and everybody may enter.
func Dir(parent, prefix string, owner *syscall.Credential) (string, error) {
	dir, err := os.MkdirTemp(parent, prefix)
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // the sockets are for everybody
		return "", err
	}
	return dir, chown(owner, dir)
}

func chown(owner *syscall.Credential, path string) error {
	if owner == nil {
		return nil
	}
	return os.Chown(path, int(owner.Uid), int(owner.Gid))
}

package pgtest

import (
	"fmt"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
)

// owner is who the servers run as: they refuse root.
func owner() (uid, gid int, err error) {
	if os.Geteuid() != 0 {
		return os.Geteuid(), os.Getegid(), nil
	}
	u, err := osuser.Lookup("postgres")
	if err != nil {
		return 0, 0, missing("postgresql")
	}
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		return 0, 0, err
	}
	gid, err = strconv.Atoi(u.Gid)
	return uid, gid, err
}

// makeDir makes a directory that the servers own.
func makeDir(prefix string) (string, error) {
	uid, gid, err := owner()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // the sockets are for everybody
		return "", err
	}
	return dir, os.Chown(dir, uid, gid)
}

// command runs a program as the owner. When this process dies, so does it.
func command(bin string, args ...string) *exec.Cmd {
	cmd := exec.Command(bin, args...) //nolint:noctx // it outlives any one test
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGQUIT}
	if os.Geteuid() == 0 {
		if uid, gid, err := owner(); err == nil {
			cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)} //nolint:gosec // ids are small
		}
	}
	return cmd
}

// process is a server that runs.
type process struct {
	name string
	log  string
	pid  int
	done chan struct{}
	err  error // how it ended, once done
}

// run starts a server that writes to the file.
func run(log string, cmd *exec.Cmd) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = out, out
	p := &process{name: filepath.Base(cmd.Path), log: log, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel ends the child with the thread that made it, so this one stays.
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
	p.pid = cmd.Process.Pid
	return p, nil
}

func (p *process) signal(s syscall.Signal) {
	select {
	case <-p.done:
		return
	default:
	}
	_ = syscall.Kill(p.pid, s) // it may just have ended
	<-p.done
}

// interrupt ends it in order, without waiting for clients.
func (p *process) interrupt() { p.signal(syscall.SIGINT) }

// quit ends it at once, children and all.
func (p *process) quit() { p.signal(syscall.SIGQUIT) }

// kill ends what did not come up.
func (p *process) kill() { p.signal(syscall.SIGKILL) }

func (p *process) said() string {
	out, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(out)
}

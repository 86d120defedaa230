package deploy

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/porttest"
	"github.com/psivisionhub/psi-router/internal/programtest"
)

// TestUnits verifies the units with systemd-analyze.
func TestUnits(t *testing.T) {
	t.Parallel()
	analyze := programtest.Find(t, "systemd-analyze")
	dir := t.TempDir()
	files, err := filepath.Glob("systemd/*.*")
	if err != nil || len(files) != 6 {
		t.Fatalf("got %v %v, want six units", files, err)
	}
	var units []string
	for _, file := range files {
		text := readShipped(t, file)
		if strings.HasSuffix(file, ".service") {
			text = replaceAll(t, text, "/usr/local/bin/psi-router ", "/bin/true ")
		}
		name := strings.Replace(filepath.Base(file), "@.", "@3002.", 1)
		units = append(units, write(t, filepath.Join(dir, name), text))
	}
	out := command(t, analyze, append([]string{"verify", "--man=no", "--recursive-errors=no"}, units...)...)
	if strings.Contains(out, dir) {
		t.Errorf("systemd-analyze verify:\n%s", out)
	}
	for _, unit := range units {
		if strings.HasSuffix(unit, ".service") {
			command(t, analyze, "security", "--no-pager", "--offline=true", "--threshold=20", unit) // of 100
		}
	}
}

// TestSupervisorsWaitForTheDrain compares the process managers' stop timeouts with the
// program's.
func TestSupervisorsWaitForTheDrain(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load(config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	number := func(file, pattern string, unit time.Duration) time.Duration {
		t.Helper()
		found := regexp.MustCompile(pattern).FindStringSubmatch(readShipped(t, file))
		if found == nil {
			t.Fatalf("%s has no %s", file, pattern)
		}
		n, err := strconv.Atoi(found[1])
		if err != nil {
			t.Fatal(err)
		}
		return time.Duration(n) * unit
	}
	for what, got := range map[string]time.Duration{
		"psi-router.service":         number("systemd/psi-router.service", `TimeoutStopSec=(\d+)s`, time.Second),
		"psi-router-web@.service":    number("systemd/psi-router-web@.service", `TimeoutStopSec=(\d+)s`, time.Second),
		"psi-router-worker@.service": number("systemd/psi-router-worker@.service", `TimeoutStopSec=(\d+)s`, time.Second),
		"PM2":                        number("pm2/ecosystem.config.js", `kill_timeout: (\d+)`, time.Millisecond),
		"docker":                     number("docker/compose.yml", `stop_grace_period: (\d+)s`, time.Second),
	} {
		if least := cfg.DrainTimeout.D() + 10*time.Second; got < least {
			t.Errorf("%s kills after %v, want at least %v", what, got, least)
		}
	}
}

// TestNotify acts as systemd: the program reports that it is ready, alive and stopping.
func TestNotify(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	path := filepath.Join(s.dir, "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	hear := func(want string) {
		t.Helper()
		if err := socket.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1024)
		for {
			n, err := socket.Read(buf)
			if err != nil {
				t.Fatalf("%s never came: %v", want, err)
			}
			if string(buf[:n]) == want {
				return
			}
		}
	}
	p := s.spawn(exec.Command(program(t), "serve", "--config", s.config), porttest.Addr(t), "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=300000")
	hear("READY=1")
	if err := get(t.Context(), http.DefaultClient, "http://"+p.addr+"/readyz", nil); err != nil {
		t.Errorf("it reported that it is ready: %v", err)
	}
	hear("WATCHDOG=1")
	hear("WATCHDOG=1")
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	hear("STOPPING=1")
	<-p.Done()
	if p.Err() != nil {
		t.Errorf("%v\n%s", p.Err(), p.Output())
	}
}

// TestSocketActivation: systemd-socket-activate starts the program on the first request.
func TestSocketActivation(t *testing.T) {
	t.Parallel()
	activate := programtest.Find(t, "systemd-socket-activate")
	s, addr := newSite(t), porttest.Addr(t)
	// The configuration names another address: the socket wins.
	p := s.spawn(exec.Command(activate, "--listen="+addr, "--setenv=HOME", "--setenv=PSI_LISTEN", program(t), "serve", "--config", s.config), porttest.Addr(t))
	c := client(t, addr, false)
	eventually(t, "the answer", func() error {
		_, err := postSigned(c, "http://"+addr+"/webhook", message(1, 1))
		return err
	})
	if got, err := postSigned(c, "http://"+addr+"/webhook", message(1, 2)); err != nil || got.status != http.StatusOK {
		t.Errorf("got %d %s %v\n%s", got.status, got.body, err, p.Output())
	}
}

// TestRestartBehindASocket restarts the only process while people write. The test owns the
// socket, as systemd would: no post is refused.
func TestRestartBehindASocket(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // Listen does not block
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	start := func() *process {
		file, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, program(t), "serve", "--config", s.config)
		cmd.ExtraFiles = []*os.File{file}
		p := s.spawn(cmd, addr, "LISTEN_FDS=1")
		p.ready()
		return p
	}
	p := start()
	stop := startLoad(t, client(t, addr, false), "http://"+addr+"/webhook")
	for range 2 {
		p.stop()
		p = start()
	}
	t.Logf("%d requests, none refused", stop())
}

// TestConfigurationMistakeIsFinal: an error that a restart cannot fix has the exit code on
// which the process managers do not restart.
func TestConfigurationMistakeIsFinal(t *testing.T) {
	t.Parallel()
	dir, bin := t.TempDir(), program(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, "serve", "--config", write(t, filepath.Join(dir, "psi.yaml"), "listn: here\n"))
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 2 {
		t.Errorf("got %v, want exit code 2\n%s", err, out)
	}
	for file, want := range map[string]string{
		"systemd/psi-router.service": "RestartPreventExitStatus=2", "systemd/psi-router-web@.service": "RestartPreventExitStatus=2",
		"systemd/psi-router-worker@.service": "RestartPreventExitStatus=2", "pm2/ecosystem.config.js": "stop_exit_codes: [2]",
	} {
		if !strings.Contains(readShipped(t, file), want) {
			t.Errorf("%s has no %s", file, want)
		}
	}
}

package supervisor

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// systemd listens as systemd does.
type systemd struct {
	t    *testing.T
	conn *net.UnixConn
	addr *net.UnixAddr
}

func newSystemd(t *testing.T) *systemd {
	t.Helper()
	addr := &net.UnixAddr{Net: "unixgram", Name: filepath.Join(t.TempDir(), "notify")}
	conn, err := net.ListenUnixgram("unixgram", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", addr.Name)
	return &systemd{t, conn, addr}
}

func (s *systemd) next() string {
	s.t.Helper()
	buf := make([]byte, 4096)
	n, err := s.conn.Read(buf)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(buf[:n])
}

// rest returns the messages not read yet.
func (s *systemd) rest() (listeners []string) {
	s.t.Helper()
	const end = "THE END"
	c, err := net.DialUnix("unixgram", nil, s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(end)); err != nil {
		s.t.Fatal(err)
	}
	for word := s.next(); word != end; word = s.next() {
		listeners = append(listeners, word)
	}
	return listeners
}

func supervisor(t *testing.T) *Supervisor {
	t.Helper()
	s, err := FromEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNotifiesSystemd(t *testing.T) {
	d := newSystemd(t)
	s := supervisor(t)
	for _, err := range []error{s.Ready(), s.Status("waiting: a\nb"), s.Status(""), s.Stopping()} {
		if err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff(d.rest(), []string{"READY=1", "STATUS=waiting: a; b", "STATUS=", "STOPPING=1"}); diff != "" {
		t.Errorf("(-got +want)\n%s", diff)
	}
	d.conn.Close()
	if err := s.Ready(); err == nil {
		t.Error("systemd is gone: got no error")
	}
}

// TestNobody: without a process manager nothing happens, without errors.
func TestWithoutSupervisor(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	for name, s := range map[string]*Supervisor{"nil": nil, "none": supervisor(t)} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		l, err := s.Listener()
		if l != nil {
			t.Errorf("%s: got a socket", name)
		}
		asked := func(context.Context) error { t.Errorf("%s: asked", name); return nil }
		if err := errors.Join(err, s.Ready(), s.Status("x"), s.Stopping(), s.FeedWatchdog(ctx, asked, nil)); err != nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestWatchdog: the watchdog is fed while the process is healthy, and not while it is
// unhealthy or the check is late.
func TestWatchdog(t *testing.T) {
	d := newSystemd(t)
	t.Setenv("WATCHDOG_USEC", "30000")
	s := supervisor(t)
	watch := func(healthy func(context.Context) error, warn func(error)) (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.FeedWatchdog(ctx, healthy, warn) }()
		return func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	stop := watch(func(context.Context) error { return nil }, func(err error) { t.Error(err) })
	for range 3 {
		if got := d.next(); got != "WATCHDOG=1" {
			t.Errorf("got %q", got)
		}
	}
	stop()
	d.rest()
	for what, healthy := range map[string]func(context.Context) error{
		"sick":  func(context.Context) error { return errors.New("sick") },
		"hangs": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		warned := make(chan error)
		over := make(chan struct{})
		stop := watch(healthy, func(err error) {
			select {
			case warned <- err:
			case <-over:
			}
		})
		for range 3 {
			if err := <-warned; !strings.Contains(err.Error(), "watchdog not fed") {
				t.Errorf("%s: got %v", what, err)
			}
		}
		close(over)
		stop()
		if listeners := d.rest(); len(listeners) > 0 {
			t.Errorf("%s: systemd heard %q", what, listeners)
		}
	}
}

func TestWrongWatchdog(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "soon")
	if _, err := FromEnvironment(); err == nil || !strings.Contains(err.Error(), "WATCHDOG_USEC") {
		t.Errorf("got %v", err)
	}
}

// TestSocketOfSystemd passes real sockets to another process.
func TestSocketOfSystemd(t *testing.T) {
	t.Parallel()
	stream := func() *os.File { return file(t, listener(t)) }
	gram, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gram.Close() })
	for what, tc := range map[string]struct {
		files      []*os.File
		fds, words string
	}{
		"none":           {nil, "", "no socket"},
		"two":            {[]*os.File{stream(), stream()}, "2", "got 2, want one stream socket"},
		"a datagram one": {[]*os.File{file(t, gram)}, "1", "want one stream socket"},
	} {
		out, err := supervised(t, "serve one", tc.files, "LISTEN_FDS="+tc.fds)
		if err != nil {
			out = err.Error()
		}
		if !strings.Contains(out, tc.words) {
			t.Errorf("%s: got %s", what, out)
		}
	}

	// The connection waits in the socket before the process starts.
	l := listener(t)
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	out, err := supervised(t, "serve one", []*os.File{file(t, l)}, "LISTEN_FDS=1")
	if err != nil {
		t.Fatal(err)
	}
	if out != l.Addr().String() {
		t.Errorf("it serves %s, want %s", out, l.Addr())
	}
	if said, err := io.ReadAll(c); err != nil || string(said) != "hola" {
		t.Errorf("got %q, %v", said, err)
	}
}

func listener(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// file returns a socket as another process gets it.
func file(t *testing.T, socket any) *os.File {
	t.Helper()
	f, err := socket.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

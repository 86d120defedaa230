package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/psivisionhub/psi-router/internal/admission"
	"github.com/psivisionhub/psi-router/internal/sanitize"
)

// Limits of a request before its body. No client of ours is slower or sends larger headers;
// nginx does not wait longer either.
const (
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
	headerBytes   = 16 << 10
)

// newServer serves trusted clients: the operator at the admin socket.
func (a *App) newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytes,
		ErrorLog: log.New(serverLog{a.log}, "", 0), //nolint:forbidigo // net/http knows no other; it ends in slog
	}
}

// newPublicServer serves everybody who reaches the listener, within bounds: it drops
// stalled clients and limits connections. It also bounds what HTTP/2 buffers for a
// connection that is not read.
func (a *App) newPublicServer(h http.Handler, l net.Listener) (*http.Server, net.Listener) {
	connections := a.admission.Connections(admission.ProcessLimits())
	s := a.newServer(connections.Handler(admission.Pace(h)))
	s.ConnContext = connections.Context
	s.HTTP2 = &http.HTTP2Config{
		MaxConcurrentStreams: 64, MaxReceiveBufferPerConnection: 64 << 10, MaxReceiveBufferPerStream: 64 << 10,
		SendPingTimeout: idleTimeout / 2, WriteByteTimeout: 4 * headerTimeout,
	}
	return s, connections.Listener(l)
}

// serverLog gets net/http's complaints. Failed TLS handshakes are dropped: a public port
// has hundreds a day.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Write(line []byte) (int, error) {
	level := slog.LevelWarn
	if bytes.Contains(line, []byte("TLS handshake error")) {
		level = slog.LevelDebug
	}
	l.log.Log(context.Background(), level, "http server", "error", sanitize.Text(string(bytes.TrimSpace(line))))
	return len(line), nil
}

// listen opens the public address, unless systemd has opened it. A port in use is the
// commonest problem of a first start, so its error has the fix.
func (a *App) listen(ctx context.Context) (net.Listener, error) {
	l, err := a.opts.Supervisor.Listener()
	if l != nil || err != nil {
		return l, err
	}
	if l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", a.cfg.Listen); err != nil {
		return nil, fmt.Errorf("listen on %s: %w; stop what uses the port, or set listen (PSI_LISTEN) to another address", a.cfg.Listen, err)
	}
	return l, nil
}

// SocketName is the name of the admin socket in data_dir.
const SocketName = "admin.sock"

// maxSocketPath is the longest path of a unix socket in bytes (Linux; other systems allow a
// few less).
const maxSocketPath = 103

// SocketPath returns a path to the socket of the given name in dir. If its own path is too
// long, it leads through the open directory in /proc. Call release once nobody dials or
// listens there any more.
func SocketPath(dir, name string) (path string, release func(), err error) {
	path = filepath.Join(dir, name)
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	d, err := os.Open(dir) //nolint:gosec // data_dir is the operator's to name
	if errors.Is(err, os.ErrNotExist) {
		return path, func() {}, nil // no socket can be there
	}
	if err != nil {
		return "", nil, fmt.Errorf("open data_dir: %w", err)
	}
	short := fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), name)
	if _, err := os.Stat(filepath.Dir(short)); err != nil {
		d.Close()
		return "", nil, fmt.Errorf("data_dir %s: its path is too long for the admin socket, which has room for %d bytes: choose a shorter one", dir, maxSocketPath-len(name)-1)
	}
	return short, func() { d.Close() }, nil
}

// listenAdmin opens the operator's socket, for its owner only. If another process serves it
// already, as in an installation of several processes, this one gets its own socket beside
// it, named for its role and process id.
func listenAdmin(ctx context.Context, dir, role string) (net.Listener, error) {
	name := SocketName
	if socketAnswers(ctx, dir, name) || role == roleWorker {
		name = fmt.Sprintf("%s-%d.sock", role, os.Getpid())
	}
	if err := removeStaleSockets(ctx, dir); err != nil {
		return nil, err
	}
	path, release, err := SocketPath(dir, name)
	if err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		release()
		return nil, fmt.Errorf("open admin socket: %w", err)
	}
	if err := os.Chmod(filepath.Join(dir, name), 0o600); err != nil {
		l.Close()
		release()
		return nil, fmt.Errorf("protect admin socket: %w", err)
	}
	return adminListener{l, release}, nil
}

// adminListener closes the directory after the socket, whose file is removed by the path
// that it was opened with.
type adminListener struct {
	net.Listener
	release func()
}

func (l adminListener) Close() error {
	err := l.Listener.Close()
	l.release()
	return err
}

// removeStaleSockets removes the sockets of killed processes.
func removeStaleSockets(ctx context.Context, dir string) error {
	all, err := filepath.Glob(filepath.Join(dir, "*.sock"))
	if err != nil {
		return fmt.Errorf("look for old admin sockets: %w", err)
	}
	for _, path := range all {
		if socketAnswers(ctx, dir, filepath.Base(path)) {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove old admin socket: %w", err)
		}
	}
	return nil
}

// socketAnswers reports whether a process listens on the socket.
func socketAnswers(ctx context.Context, dir, name string) bool {
	path, release, err := SocketPath(dir, name)
	if err != nil {
		return false
	}
	defer release()
	c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

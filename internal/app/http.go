package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Time limits of a client's side of a request. Meta posts up to 3 MB and takes
// a second or two; event streams have no end, so writing has no limit.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 30 * time.Second
	idleTimeout   = 2 * time.Minute
)

func (a *App) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout,
	}
}

// listen opens the address. A port that is taken is the commonest problem of a
// first start, so it is said in words.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w; stop what uses the port, or set listen (PSI_LISTEN) to another address", addr, err)
	}
	return l, nil
}

// SocketName is the admin socket within data_dir.
const SocketName = "admin.sock"

// listenAdmin opens the operator's socket, for its owner only. Where another
// process serves it already, as in an installation of several, this one gets a
// socket of its own beside it, named for its role and process id.
func listenAdmin(ctx context.Context, dir, role string) (net.Listener, error) {
	path := filepath.Join(dir, SocketName)
	if answers(ctx, path) || role == roleWorker {
		path = filepath.Join(dir, fmt.Sprintf("%s-%d.sock", role, os.Getpid()))
	}
	if err := sweepSockets(ctx, dir); err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("open admin socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("protect admin socket: %w", err)
	}
	return l, nil
}

// sweepSockets removes sockets that processes left behind when they were killed.
func sweepSockets(ctx context.Context, dir string) error {
	all, err := filepath.Glob(filepath.Join(dir, "*.sock"))
	if err != nil {
		return fmt.Errorf("look for old admin sockets: %w", err)
	}
	for _, path := range all {
		if answers(ctx, path) {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove old admin socket: %w", err)
		}
	}
	return nil
}

// answers reports whether a process listens on the socket.
func answers(ctx context.Context, path string) bool {
	c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

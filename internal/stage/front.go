package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/psivisionhub/psi-router/internal/servers"
)

// Front stands before the webhook processes as a load balancer does: it gives
// each connection to the next one that answers. It knows nothing of HTTP.
type Front struct {
	listener net.Listener
	behind   []string // addresses
	turn     atomic.Uint64
	ctx      context.Context //nolint:containedctx // lives as long as the front
	cancel   context.CancelFunc
	work     sync.WaitGroup

	mu   sync.Mutex
	open map[string]int // connections, by address
}

func newFront(behind []string) (*Front, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it does not block
	if err != nil {
		return nil, fmt.Errorf("open the front: %w", err)
	}
	f := &Front{listener: l, behind: behind, open: map[string]int{}}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	f.work.Go(f.accept)
	return f, nil
}

// URL is where it listens.
func (f *Front) URL() string { return "http://" + f.listener.Addr().String() }

// close breaks every connection.
func (f *Front) close() {
	f.cancel()
	f.listener.Close()
	f.work.Wait()
}

func (f *Front) accept() {
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.work.Go(func() { f.serve(c) })
	}
}

func (f *Front) serve(client net.Conn) {
	defer client.Close()
	server, addr := f.dial()
	if server == nil {
		return
	}
	defer server.Close()
	f.count(addr, 1)
	defer f.count(addr, -1)
	stop := context.AfterFunc(f.ctx, func() { client.Close(); server.Close() })
	defer stop()
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(server, client)
		server.Close()
	})
	_, _ = io.Copy(client, server)
	client.Close()
	up.Wait()
}

func (f *Front) count(addr string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open[addr] += n
}

// serves reports whether connections go to the address now.
func (f *Front) serves(addr string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open[addr] > 0
}

// dial connects to the next process that takes the connection.
func (f *Front) dial() (net.Conn, string) {
	d := net.Dialer{Timeout: time.Second}
	first := f.turn.Add(1)
	for i := range uint64(len(f.behind)) {
		addr := f.behind[(first+i)%uint64(len(f.behind))]
		if c, err := d.DialContext(f.ctx, "tcp", addr); err == nil {
			return c, addr
		}
	}
	return nil, ""
}

// Outlet serves a handler on one address, which can go away and come back.
type Outlet struct {
	handler http.Handler
	port    *servers.Port
	server  *http.Server
	served  sync.WaitGroup
}

func newOutlet(ctx context.Context, h http.Handler) (*Outlet, error) {
	port, err := servers.ReservePort()
	if err != nil {
		return nil, err
	}
	o := &Outlet{handler: h, port: port}
	if err := o.Open(ctx); err != nil {
		port.Close()
		return nil, err
	}
	return o, nil
}

// Open listens, always on the same address.
func (o *Outlet) Open(ctx context.Context) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.port.Addr())
	if err != nil {
		return fmt.Errorf("listen as WhatsApp or the CRM: %w", err)
	}
	server := &http.Server{Handler: o.handler, ReadHeaderTimeout: 5 * time.Second}
	o.server = server
	o.served.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			l.Close()
		}
	})
	return nil
}

// Close breaks every connection.
func (o *Outlet) Close() {
	if o.server != nil {
		o.server.Close()
		o.served.Wait()
	}
}

// end closes it for good.
func (o *Outlet) end() {
	o.Close()
	o.port.Close()
}

package cluster

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

// Proxy is the load balancer of the webhook processes: it forwards each connection to
// the next process that accepts it. It knows nothing of HTTP.
type Proxy struct {
	listener net.Listener
	backends []string // addresses
	turn     atomic.Uint64
	ctx      context.Context //nolint:containedctx // lives as long as the proxy
	cancel   context.CancelFunc
	work     sync.WaitGroup

	mu   sync.Mutex
	open map[string]int // number of connections, by address
}

func newProxy(behind []string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // Listen does not block
	if err != nil {
		return nil, fmt.Errorf("open the proxy: %w", err)
	}
	p := &Proxy{listener: l, backends: behind, open: map[string]int{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.work.Go(p.accept)
	return p, nil
}

// URL is the address of the proxy.
func (p *Proxy) URL() string { return "http://" + p.listener.Addr().String() }

// close stops the proxy and breaks every connection.
func (p *Proxy) close() {
	p.cancel()
	p.listener.Close()
	p.work.Wait()
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.serve(c) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	server, addr := p.dial()
	if server == nil {
		return
	}
	defer server.Close()
	p.count(addr, 1)
	defer p.count(addr, -1)
	stop := context.AfterFunc(p.ctx, func() { client.Close(); server.Close() })
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

func (p *Proxy) count(addr string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[addr] += n
}

// busy reports whether the address has open connections.
func (p *Proxy) busy(addr string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open[addr] > 0
}

// dial connects to the next process that accepts the connection.
func (p *Proxy) dial() (net.Conn, string) {
	d := net.Dialer{Timeout: time.Second}
	first := p.turn.Add(1)
	for i := range uint64(len(p.backends)) {
		addr := p.backends[(first+i)%uint64(len(p.backends))]
		if c, err := d.DialContext(p.ctx, "tcp", addr); err == nil {
			return c, addr
		}
	}
	return nil, ""
}

// Server serves a handler on one address, and can be closed and opened again.
type Server struct {
	handler http.Handler
	port    *servers.Port
	server  *http.Server
	served  sync.WaitGroup
}

func newServer(ctx context.Context, h http.Handler) (*Server, error) {
	port, err := servers.ReservePort()
	if err != nil {
		return nil, err
	}
	o := &Server{handler: h, port: port}
	if err := o.Open(ctx); err != nil {
		port.Close()
		return nil, err
	}
	return o, nil
}

// Open listens on the address of the server.
func (o *Server) Open(ctx context.Context) error {
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

// Close stops listening and breaks every connection.
func (o *Server) Close() {
	if o.server != nil {
		o.server.Close()
		o.served.Wait()
	}
}

// closeForGood closes the server and gives up its address.
func (o *Server) closeForGood() {
	o.Close()
	o.port.Close()
}

package admission

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// maxRejecting is how many connections beyond the limits get a 503 at a time; any more are
// closed at once.
const maxRejecting = 32

// Limits of connections.
type Limits struct {
	All  int // of everybody
	Each int // of one address that is not exempt
}

// Connections limits the open connections, in all and per address.
type Connections struct {
	control *Control
	limits  Limits
	now     func() time.Time

	mu        sync.Mutex
	all       int
	rejecting int // connections that get a 503
	peers     map[netip.Addr]int
}

// Connections returns a limit without connections.
func (c *Control) Connections(limits Limits) *Connections {
	return &Connections{control: c, limits: limits, now: time.Now, peers: map[netip.Addr]int{}}
}

// Listener returns l with the limit. Unix sockets are not limited: the file's permissions guard
// them.
func (c *Connections) Listener(l net.Listener) net.Listener { return limitedListener{l, c} }

type limitedListener struct {
	net.Listener
	limit *Connections
}

// Accept implements net.Listener.
func (l limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		tcp, ok := conn.(*net.TCPConn)
		if !ok {
			return conn, nil
		}
		if place := l.limit.enter(peerOf(tcp)); place != nil {
			return &limitedConn{TCPConn: tcp, connSlot: place}, nil
		}
		_ = tcp.Close()
	}
}

// limitedConn holds its slot until it is closed. It has all methods of *net.TCPConn.
type limitedConn struct {
	*net.TCPConn
	*connSlot
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	c.leave()
	return c.TCPConn.Close()
}

// connSlot is one connection's share of the limits.
type connSlot struct {
	over  bool // beyond the limit: it only gets a 503
	leave func()
}

// enter returns the slot of a connection; nil if it is to be closed at once.
func (c *Connections) enter(addr netip.Addr) *connSlot {
	now := c.now()
	exempt := c.control.Exempt(addr, now)
	peer := addressKey(addr)
	c.mu.Lock()
	over := c.all >= c.limits.All || !exempt && c.peers[peer] >= c.limits.Each
	told := over && c.rejecting < maxRejecting
	switch {
	case told:
		c.rejecting++
	case !over:
		c.all++
		c.peers[peer]++
	}
	c.mu.Unlock()
	if over {
		c.control.Refusals.Note(addr, now, "too many connections")
	}
	switch {
	case told:
		return &connSlot{over: true, leave: sync.OnceFunc(c.rejected)}
	case over:
		return nil
	}
	return &connSlot{leave: sync.OnceFunc(func() { c.closed(peer) })}
}

func (c *Connections) rejected() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rejecting--
}

func (c *Connections) closed(peer netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.peers[peer]--; c.peers[peer] == 0 {
		delete(c.peers, peer)
	}
}

type overKey struct{}

// Context is a server's ConnContext. It marks connections beyond the limit for Handler.
func (c *Connections) Context(ctx context.Context, conn net.Conn) context.Context {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if l, ok := conn.(*limitedConn); ok && l.over {
		return context.WithValue(ctx, overKey{}, true)
	}
	return ctx
}

// Handler answers 503 on connections beyond the limit, and closes them.
func (c *Connections) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Value(overKey{}) != nil {
			refuseFull(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

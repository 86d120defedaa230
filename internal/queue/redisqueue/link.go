package redisqueue

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// links are the connections of one engine. A slow answer delays the calls behind it on its
// connection, so enqueueing, exchanges and blocking reads have connections of their own.
type links struct {
	enqueue, exchange, block rueidis.Client
	waitAOF                  bool // the server has WAITAOF
}

func (l *links) close() {
	for _, c := range []rueidis.Client{l.enqueue, l.exchange, l.block} {
		if c != nil {
			c.Close()
		}
	}
}

// connector makes the links once.
type connector struct {
	mu             sync.Mutex
	current        atomic.Pointer[links]
	dials          atomic.Int64 // connections made for enqueueing
	inspectedDials atomic.Int64 // dials at the last check of the settings
	inspectMu      sync.Mutex
	failedAt       time.Time
	err            atomic.Pointer[error] // of the last attempt
	closed         bool
}

// reconnectPause is how long the result of a failed attempt is reused.
const reconnectPause = 200 * time.Millisecond

func (c *connector) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if l := c.current.Load(); l != nil {
		l.close()
	}
}

// connect returns the links that Open or Ready has made.
func (e *Engine) connect(ctx context.Context) (*links, error) {
	if e.closed.Load() {
		return nil, queue.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := &e.connector
	if l := c.current.Load(); l != nil {
		return l, nil
	}
	return nil, fmt.Errorf("%w: %w", queue.ErrUnavailable, *c.err.Load())
}

// dialOnce makes the links if there are none yet.
func (e *Engine) dialOnce(ctx context.Context) error {
	if e.closed.Load() {
		return queue.ErrClosed
	}
	c := &e.connector
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.current.Load() != nil:
		return nil
	case c.closed:
		return queue.ErrClosed
	case time.Since(c.failedAt) < reconnectPause:
		return *c.err.Load()
	}
	ctx, cancel := e.withTimeout(ctx)
	defer cancel()
	l, err := e.dial(ctx)
	if err != nil {
		c.failedAt = time.Now()
		c.err.Store(&err)
		return err
	}
	c.current.Store(l)
	return nil
}

func (e *Engine) dial(ctx context.Context) (l *links, err error) {
	l = &links{}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	o := e.opts.Client
	o.DisableRetry = true // a call whose answer was lost may have taken effect
	o.DisableCache = true
	o.ClientName = cmp.Or(o.ClientName, "psi-router")
	o.Dialer.Timeout = cmp.Or(o.Dialer.Timeout, min(e.opts.Timeout, 2*time.Second))
	o.ConnWriteTimeout = cmp.Or(o.ConnWriteTimeout, e.opts.Timeout)
	o.PipelineMultiplex = -1
	o.ReadBufferEachConn, o.WriteBufferEachConn = 1<<17, 1<<17
	o.ClusterOption.MaxMovedRedirections = cmp.Or(o.ClusterOption.MaxMovedRedirections, 8)
	o.ClusterOption.ShardsRefreshInterval = cmp.Or(o.ClusterOption.ShardsRefreshInterval, 10*time.Second)
	if o.Sentinel.MasterSet != "" {
		o.Sentinel.TopologyRefreshInterval = cmp.Or(o.Sentinel.TopologyRefreshInterval, 2*time.Second)
	}
	// Pipelining keeps a reader on the connection: it notices the end of the connection
	// before the next call does, and releases a call whose context ends.
	o.AlwaysPipelining = true
	door := o
	e.connector.countDials(&door)
	if l.enqueue, err = rueidis.NewClient(door); err != nil {
		return l, err
	}
	if l.exchange, err = rueidis.NewClient(o); err != nil {
		return l, err
	}
	o.AlwaysPipelining = false
	o.ReadBufferEachConn, o.WriteBufferEachConn, o.RingScaleEachConn = 1<<12, 1<<12, 8
	if l.block, err = rueidis.NewClient(o); err != nil {
		return l, err
	}
	n := e.connector.dials.Load()
	if err := e.inspect(ctx, l); err != nil {
		return l, err
	}
	e.connector.inspectedDials.Store(n)
	if err := e.checkSchemas(ctx, l); err != nil {
		return l, err
	}
	for name, limit := range e.opts.Limits {
		if err := e.limit(ctx, l, name, limit); err != nil {
			return l, fmt.Errorf("limit queue %s: %w", name, err)
		}
	}
	return l, nil
}

// verifyServers checks the settings again after a new connection, which may lead to another
// server.
func (e *Engine) verifyServers(ctx context.Context, l *links) error {
	c := &e.connector
	if c.inspectedDials.Load() == c.dials.Load() {
		return nil
	}
	c.inspectMu.Lock()
	defer c.inspectMu.Unlock()
	n := c.dials.Load()
	if c.inspectedDials.Load() == n {
		return nil
	}
	if err := e.inspect(ctx, l); err != nil {
		if errors.Is(err, ErrSetup) {
			e.opts.Log.Error("redis settings changed: nothing is accepted until they are fixed", "error", err)
			return fmt.Errorf("%w: %w", queue.ErrUnavailable, err)
		}
		return err
	}
	c.inspectedDials.Store(n)
	return nil
}

// countDials makes a client count its connections.
func (c *connector) countDials(o *rueidis.ClientOption) {
	if o.DialFn != nil {
		return
	}
	dial := o.DialCtxFn
	o.DialCtxFn = func(ctx context.Context, addr string, d *net.Dialer, t *tls.Config) (net.Conn, error) {
		c.dials.Add(1)
		switch {
		case dial != nil:
			return dial(ctx, addr, d, t)
		case t != nil:
			return (&tls.Dialer{NetDialer: d, Config: t}).DialContext(ctx, "tcp", addr)
		}
		return d.DialContext(ctx, "tcp", addr)
	}
}

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

// links are the connections of one engine. A slow answer delays what is behind it
// on its connection, so doors, workers and who blocks have their own.
type links struct {
	enqueue, exchange, block rueidis.Client
	waitAOF                  bool // the server can say what its disk has
}

func (l *links) close() {
	for _, c := range []rueidis.Client{l.enqueue, l.exchange, l.block} {
		if c != nil {
			c.Close()
		}
	}
}

// linker makes the links when they are first needed.
type linker struct {
	mu     sync.Mutex
	now    atomic.Pointer[links]
	dials  atomic.Int64 // connections that doors have made
	looked atomic.Int64 // how many there were when the settings were last looked at
	look   sync.Mutex
	failed time.Time
	err    error
	closed bool
}

// pause is how long a failed connect answers for its followers too.
const pause = 200 * time.Millisecond

func (k *linker) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	if l := k.now.Load(); l != nil {
		l.close()
	}
}

// connect returns the links; without them it tries to make them.
func (e *Engine) connect(ctx context.Context) (*links, error) {
	if e.shut.Load() {
		return nil, queue.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	k := &e.links
	if l := k.now.Load(); l != nil {
		return l, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch l := k.now.Load(); {
	case l != nil:
		return l, nil
	case k.closed:
		return nil, queue.ErrClosed
	case time.Since(k.failed) < pause:
		return nil, k.err
	}
	ctx, cancel := e.bound(ctx)
	defer cancel()
	l, err := e.dial(ctx)
	if err != nil {
		k.failed, k.err = time.Now(), err
		return nil, err
	}
	k.now.Store(l)
	return l, nil
}

func (e *Engine) dial(ctx context.Context) (l *links, err error) {
	l = &links{}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	o := e.option
	o.DisableRetry = true // a call whose answer was lost has perhaps been done
	o.DisableCache = true
	o.ClientName = cmp.Or(o.ClientName, "psi-router")
	o.Dialer.Timeout = cmp.Or(o.Dialer.Timeout, min(e.timeout, 2*time.Second))
	o.ConnWriteTimeout = cmp.Or(o.ConnWriteTimeout, e.timeout)
	o.PipelineMultiplex = -1
	o.ReadBufferEachConn, o.WriteBufferEachConn = 1<<17, 1<<17
	o.ClusterOption.MaxMovedRedirections = cmp.Or(o.ClusterOption.MaxMovedRedirections, 8)
	o.ClusterOption.ShardsRefreshInterval = cmp.Or(o.ClusterOption.ShardsRefreshInterval, 10*time.Second)
	if o.Sentinel.MasterSet != "" {
		o.Sentinel.TopologyRefreshInterval = cmp.Or(o.Sentinel.TopologyRefreshInterval, 2*time.Second)
	}
	// A reader at all times: it sees a connection end before the next call does,
	// and lets go of a call whose context ends.
	o.AlwaysPipelining = true
	door := o
	e.links.counted(&door)
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
	n := e.links.dials.Load()
	if err := e.inspect(ctx, l); err != nil {
		return l, err
	}
	e.links.looked.Store(n)
	return l, e.versions(ctx, l)
}

// trusted looks at the settings again when there is a new connection: what
// answers there may be another server.
func (e *Engine) trusted(ctx context.Context, l *links) error {
	k := &e.links
	if k.looked.Load() == k.dials.Load() {
		return nil
	}
	k.look.Lock()
	defer k.look.Unlock()
	n := k.dials.Load()
	if k.looked.Load() == n {
		return nil
	}
	if err := e.inspect(ctx, l); err != nil {
		if errors.Is(err, ErrSetup) {
			e.log.Error("redis has changed: nothing is accepted until it is set right", "error", err)
			return fmt.Errorf("%w: %w", queue.ErrUnavailable, err)
		}
		return err
	}
	k.looked.Store(n)
	return nil
}

// counted makes a client count its connections.
func (k *linker) counted(o *rueidis.ClientOption) {
	if o.DialFn != nil {
		return
	}
	dial := o.DialCtxFn
	o.DialCtxFn = func(ctx context.Context, addr string, d *net.Dialer, t *tls.Config) (net.Conn, error) {
		k.dials.Add(1)
		switch {
		case dial != nil:
			return dial(ctx, addr, d, t)
		case t != nil:
			return (&tls.Dialer{NetDialer: d, Config: t}).DialContext(ctx, "tcp", addr)
		}
		return d.DialContext(ctx, "tcp", addr)
	}
}

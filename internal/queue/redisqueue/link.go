package redisqueue

import (
	"cmp"
	"context"
	"errors"
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
	doubt  atomic.Bool // a connection failed: it may be another server now
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
	if l.enqueue, err = rueidis.NewClient(o); err != nil {
		return l, err
	}
	if l.exchange, err = rueidis.NewClient(o); err != nil {
		return l, err
	}
	o.ReadBufferEachConn, o.WriteBufferEachConn, o.RingScaleEachConn = 1<<12, 1<<12, 8
	if l.block, err = rueidis.NewClient(o); err != nil {
		return l, err
	}
	return l, e.inspect(ctx, l)
}

// trusted looks at the settings again after a connection has failed: what answers
// now may be another server.
func (e *Engine) trusted(ctx context.Context, l *links) error {
	if !e.links.doubt.Load() {
		return nil
	}
	if err := e.inspect(ctx, l); err != nil {
		if errors.Is(err, ErrSetup) {
			e.log.Error("redis has changed: nothing is accepted until it is set right", "error", err)
		}
		return err
	}
	e.links.doubt.Store(false)
	return nil
}

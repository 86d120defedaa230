// Package redisqueue is the queue engine on Redis 7 for any number of processes, over a
// single server, Sentinel, or Cluster (all keys of a queue are in one slot). Every
// operation is one Lua script, so it is atomic and uses the server's clock. It must never
// decide from memory, never repeat a call whose outcome is unknown, and never answer an
// Enqueue before it is as durable as promised.
//
// Two things it does not do. Settlements wait for no replica, so a done job may come again
// after a failover. And a queue should be paused while its Cluster slot is moved, because a
// call in the middle of the move fails with queue.ErrUnavailable.
package redisqueue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// schemaVersion is the version of the data in Redis. Since 2, long entries are in a hash of
// their own; the entries of 1 are still read.
const schemaVersion = 2

// ErrSetup means that the server's settings do not fit; the error says how to change them.
var ErrSetup = errors.New("redis is not set up for this queue")

// Options configure an Engine.
type Options struct {
	// URL is the address of Redis as rueidis.ParseURL reads it: several addr for Cluster,
	// master_set for Sentinel.
	URL string
	// Client is used instead of URL if it has an InitAddress.
	Client rueidis.ClientOption
	// Durability is what Enqueue waits for: "fsync" (default) for the disk, "replica" for a
	// replica, "relaxed" for nothing. fsync needs appendfsync always (or Redis 7.2),
	// replica needs appendonly yes.
	Durability string
	// Prefix is the prefix of every key, "psi" if empty.
	Prefix string
	// MaxDepth is the most jobs of one queue; 0 is no limit.
	MaxDepth int
	// Window is the dedupe window: the shortest time that an ID is remembered, 24 h if 0.
	Window time.Duration
	// MaxDelay is the longest delay or lease, 1 h if 0.
	MaxDelay time.Duration
	// Timeout bounds one call to Redis; 5 s if 0.
	Timeout time.Duration
	// Limits are set at the start, as by SetLimit.
	Limits map[string]queue.Limit
	// Lazy makes Open succeed even if Redis cannot be reached: every method returns
	// queue.ErrUnavailable until Ready has returned nil.
	Lazy bool
	// Now is a clock for tests; nil means the server's.
	Now func() time.Time
	// Log gets what happens between calls; nil discards it.
	Log *slog.Logger
}

// Engine implements queue.Engine.
type Engine struct {
	opts      Options
	clock     clock
	scripts   scripts
	connector connector
	// longestBlock is the length of one blocking read, and so the delay of a wake-up that
	// is lost with the process that took it. blockGrace is how much later the answer may be
	// before the connection counts as dead.
	longestBlock, blockGrace time.Duration

	mu       sync.Mutex
	states   map[string]*queueState
	closed   atomic.Bool
	lifetime context.Context // ends with Close
	cancel   context.CancelFunc
	work     sync.WaitGroup // listeners
	close    func() error
}

var _ queue.Engine = (*Engine)(nil)

// Open connects and checks the server's settings. It returns ErrSetup with the fix if they
// do not allow the durability, and queue.ErrUnavailable if no server answers.
func Open(ctx context.Context, o Options) (*Engine, error) {
	e, err := build(o)
	if err != nil {
		return nil, fmt.Errorf("open queue: %w", err)
	}
	if err = e.dialOnce(ctx); err == nil {
		return e, nil
	}
	if o.Lazy && !errors.Is(err, ErrSetup) {
		e.opts.Log.Error("redis cannot be reached: going on without it", "error", err)
		return e, nil
	}
	return nil, errors.Join(fmt.Errorf("open queue: %w", queueError("connect", err)), e.Close())
}

// Ready connects, and returns nil once the queue can be used; see Options.Lazy.
func (e *Engine) Ready(ctx context.Context) error {
	return e.wrapError(ctx, "connect", e.dialOnce(ctx))
}

func build(o Options) (*Engine, error) {
	o.Durability = cmp.Or(o.Durability, "fsync")
	o.Prefix = cmp.Or(o.Prefix, "psi")
	o.Window = cmp.Or(o.Window, 24*time.Hour)
	o.MaxDelay = cmp.Or(o.MaxDelay, time.Hour)
	o.Timeout = cmp.Or(o.Timeout, 5*time.Second)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler)).With("part", "redisqueue")
	var err error
	if len(o.Client.InitAddress) == 0 {
		if o.Client, err = rueidis.ParseURL(o.URL); err != nil {
			return nil, fmt.Errorf("redis_url: %w", err)
		}
	}
	e := &Engine{
		opts: o, clock: newClock(o.Now), states: map[string]*queueState{}, longestBlock: 5 * time.Second, blockGrace: 2 * time.Second,
	}
	switch e.opts.Durability {
	case "fsync", "replica", "relaxed":
	default:
		return nil, fmt.Errorf("durability is %q: it must be fsync, replica or relaxed", e.opts.Durability)
	}
	if strings.ContainsAny(e.opts.Prefix, "{}") {
		return nil, fmt.Errorf("prefix %q: braces have a meaning in the names of Redis Cluster", e.opts.Prefix)
	}
	if e.scripts, err = loadScripts(); err != nil {
		return nil, err
	}
	e.lifetime, e.cancel = context.WithCancel(context.Background())
	e.close = sync.OnceValue(e.shutdown)
	return e, nil
}

// Close implements queue.Queue.
func (e *Engine) Close() error { return e.close() }

func (e *Engine) shutdown() error {
	e.mu.Lock()
	e.closed.Store(true)
	states := slices.Collect(maps.Values(e.states))
	e.mu.Unlock()
	e.cancel()
	for _, q := range states {
		q.batcher.Close(context.Background())
	}
	e.work.Wait()
	e.connector.close()
	return nil
}

// startWork registers work that Close waits for. It returns false if the engine is closed.
func (e *Engine) startWork() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed.Load() {
		return false
	}
	e.work.Add(1)
	return true
}

// queueState is a process's state of one queue.
type queueState struct {
	e       *Engine
	name    string
	keys    []string
	base    string
	batcher *enqueueBatcher
	waker   waker

	registered atomic.Bool
	maybeNew   atomic.Bool                 // created by this process, or by a call whose answer was lost
	limit      atomic.Pointer[queue.Limit] // last set by this process
}

// escape keeps a queue's name from ending its hash tag.
var escape = strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D")

func (e *Engine) state(name string) *queueState {
	e.mu.Lock()
	defer e.mu.Unlock()
	q := e.states[name]
	if q == nil {
		q = &queueState{e: e, name: name, base: "{" + e.opts.Prefix + ":" + escape.Replace(name) + "}"}
		for _, k := range []string{":meta", ":due", ":heads", ":state", ":mark", ":dead", ":bodies"} {
			q.keys = append(q.keys, q.base+k)
		}
		q.batcher = q.newBatcher()
		e.states[name] = q
	}
	return q
}

// registryKey is the set of all queues' names, deadCounterKey the counter of dead letters.
func (e *Engine) registryKey() string    { return "{" + e.opts.Prefix + "}:queues" }
func (e *Engine) deadCounterKey() string { return "{" + e.opts.Prefix + "}:letters" }

// register adds the queue to the registry, where Stats finds it.
func (q *queueState) register(ctx context.Context, c doer) error {
	if q.registered.Load() {
		return nil
	}
	if err := c.Do(ctx, c.B().Sadd().Key(q.e.registryKey()).Member(q.name).Build()).Error(); err != nil {
		return err
	}
	q.registered.Store(true)
	return nil
}

// call runs fn with the links, for as long as one call may take, and wraps its error.
func (e *Engine) call(ctx context.Context, what string, fn func(ctx context.Context, l *links) error) error {
	l, err := e.connect(ctx)
	if err == nil {
		call, cancel := e.withTimeout(ctx)
		defer cancel()
		err = fn(call, l)
	}
	return e.wrapError(ctx, what, err)
}

// withTimeout gives a call its deadline.
func (e *Engine) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, e.opts.Timeout)
}

// wrapError returns an error in terms of package queue.
func (e *Engine) wrapError(ctx context.Context, what string, err error) error {
	switch {
	case err == nil:
		return nil
	case e.closed.Load():
		return fmt.Errorf("%s: %w", what, queue.ErrClosed)
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	return queueError(what, err)
}

func queueError(what string, err error) error {
	if r, ok := rueidis.IsRedisErr(err); ok && strings.HasPrefix(r.Error(), "NEWER ") {
		return fmt.Errorf("%s: %w: %w: %s", what, queue.ErrUnavailable, ErrSetup, strings.TrimPrefix(r.Error(), "NEWER "))
	}
	if errors.Is(err, ErrSetup) || errors.Is(err, queue.ErrUnavailable) || errors.Is(err, queue.ErrNotFound) || errors.Is(err, queue.ErrFull) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %w: %w", what, queue.ErrUnavailable, err)
}

// jitter spreads a pause, so that processes do not all come back at once.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2) }

// Package redisqueue is the queue engine on Redis 7, for any number of processes:
// a single server, Sentinel, or Cluster (all of a queue lies in one slot). Every
// operation is one Lua script, so it happens as a whole, by the server's clock.
// It must never decide by what it remembers, never repeat a call whose outcome it
// does not know, and never answer an Enqueue before it is as durable as promised.
//
// What it leaves to others: settlements wait for no replica, so after a failover a
// job that was done may come again; and a queue should be paused while the slot of
// a Cluster that it lies in is moved, because a call that meets it half way is
// refused with queue.ErrUnavailable.
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

// schemaVersion is the version of what is kept in Redis: since 2 long entries are in a hash
// of their own. What 1 wrote is read as it is.
const schemaVersion = 2

// ErrSetup means that the server's settings do not allow what is asked of it;
// the error says how to change them.
var ErrSetup = errors.New("redis is not set up for this queue")

// Options describe one engine.
type Options struct {
	// URL is where Redis is, as rueidis.ParseURL reads it: several addr for
	// Cluster, master_set for Sentinel.
	URL string
	// Client is used instead of URL when it has an InitAddress.
	Client rueidis.ClientOption
	// Durability is what Enqueue waits for: "fsync" (default), until the disk
	// has it; "replica", until a replica has it; "relaxed", for nothing. Servers
	// need appendfsync always (or Redis 7.2) for the first, appendonly yes for
	// the second.
	Durability string
	// Prefix begins every key, "psi" if empty.
	Prefix string
	// MaxDepth is how many jobs one queue may hold; 0 is no limit.
	MaxDepth int
	// Window is how long an ID is remembered at least, 24 h if 0.
	Window time.Duration
	// MaxDelay is the longest delay or lease, 1 h if 0.
	MaxDelay time.Duration
	// Timeout bounds one call to Redis, 5 s if 0.
	Timeout time.Duration
	// Limits are set before anything else is done, as by SetLimit.
	Limits map[string]queue.Limit
	// Lazy makes Open succeed when Redis cannot be reached: every method answers
	// queue.ErrUnavailable until Ready has returned nil.
	Lazy bool
	// Now is a clock for tests; nil is the server's own.
	Now func() time.Time
	// Log is for what happens between calls; nil discards it.
	Log *slog.Logger
}

// Engine implements queue.Engine.
type Engine struct {
	option     rueidis.ClientOption
	durability string
	prefix     string
	maxDepth   int
	window     time.Duration
	maxDelay   time.Duration
	timeout    time.Duration
	limits     map[string]queue.Limit
	clock      clock
	log        *slog.Logger
	scripts    scripts

	connector connector
	// longestBlock is how long one blocking read lasts, and what a wake-up costs
	// that got lost with the process that had taken it; blockGrace is how much
	// later its answer may be before the connection counts as dead.
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

// Open connects and looks at the server's settings. It refuses with ErrSetup and
// the cure when they do not carry the durability that is asked for, and with
// queue.ErrUnavailable when nothing answers.
func Open(ctx context.Context, o Options) (*Engine, error) {
	e, err := build(o)
	if err != nil {
		return nil, fmt.Errorf("open queue: %w", err)
	}
	if err = e.dialOnce(ctx); err == nil {
		return e, nil
	}
	if o.Lazy && !errors.Is(err, ErrSetup) {
		e.log.Error("redis cannot be reached: going on without it", "error", err)
		return e, nil
	}
	return nil, errors.Join(fmt.Errorf("open queue: %w", queueError("connect", err)), e.Close())
}

// Ready connects, and returns nil when the queue can be used; see Options.Lazy.
func (e *Engine) Ready(ctx context.Context) error {
	return e.wrapError(ctx, "connect", e.dialOnce(ctx))
}

func build(o Options) (*Engine, error) {
	e := &Engine{
		option: o.Client, durability: cmp.Or(o.Durability, "fsync"), prefix: cmp.Or(o.Prefix, "psi"),
		maxDepth: o.MaxDepth, window: cmp.Or(o.Window, 24*time.Hour), maxDelay: cmp.Or(o.MaxDelay, time.Hour),
		timeout: cmp.Or(o.Timeout, 5*time.Second), limits: o.Limits, clock: newClock(o.Now), log: o.Log, states: map[string]*queueState{},
		longestBlock: 5 * time.Second, blockGrace: 2 * time.Second,
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	e.log = e.log.With("part", "redisqueue")
	var err error
	if len(e.option.InitAddress) == 0 {
		if e.option, err = rueidis.ParseURL(o.URL); err != nil {
			return nil, fmt.Errorf("redis_url: %w", err)
		}
	}
	switch e.durability {
	case "fsync", "replica", "relaxed":
	default:
		return nil, fmt.Errorf("durability is %q: it must be fsync, replica or relaxed", e.durability)
	}
	if strings.ContainsAny(e.prefix, "{}") {
		return nil, fmt.Errorf("prefix %q: braces have a meaning in the names of Redis Cluster", e.prefix)
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

// startWork registers work that Close waits for; false when it is too late.
func (e *Engine) startWork() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed.Load() {
		return false
	}
	e.work.Add(1)
	return true
}

// queueState is what a process keeps of one queue.
type queueState struct {
	e       *Engine
	name    string
	keys    []string
	base    string
	batcher *enqueueBatcher
	waker   waker

	registered atomic.Bool
	maybeNew   atomic.Bool                 // made by this process, or by a call whose answer was lost
	limit      atomic.Pointer[queue.Limit] // as this process set it last
}

// escape keeps a queue's name from ending its hash tag.
var escape = strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D")

func (e *Engine) state(name string) *queueState {
	e.mu.Lock()
	defer e.mu.Unlock()
	q := e.states[name]
	if q == nil {
		q = &queueState{e: e, name: name, base: "{" + e.prefix + ":" + escape.Replace(name) + "}"}
		for _, k := range []string{":meta", ":due", ":heads", ":state", ":mark", ":dead", ":bodies"} {
			q.keys = append(q.keys, q.base+k)
		}
		q.batcher = q.newBatcher()
		e.states[name] = q
	}
	return q
}

// registryKey is the set of all queues' names, deadCounterKey the counter of dead letters.
func (e *Engine) registryKey() string    { return "{" + e.prefix + "}:queues" }
func (e *Engine) deadCounterKey() string { return "{" + e.prefix + "}:letters" }

// register notes the queue where Stats finds it.
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

// withTimeout gives a call its deadline.
func (e *Engine) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, e.timeout)
}

// wrapError names an error in the words of package queue.
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

// jitter spreads a pause, so that processes do not come back all at once.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2) }

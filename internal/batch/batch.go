// Package batch answers the requests of many callers with one call: group commit.
// Requests that come while a call is under way, or shortly after it started, go with
// the next one. It must never lose a request, answer one twice or know what it asks.
package batch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Errors of requests without a call.
var (
	ErrClosed = errors.New("the batcher is closed")
	ErrFull   = errors.New("too many requests wait")
)

// Options say how requests are batched. Call is needed.
type Options[Req, Res any] struct {
	// Call answers a batch, in its order; its error answers every request. Its context
	// ends with the one that Close was given, and no result asks for a retry after that.
	Call func(ctx context.Context, batch []Req) ([]Result[Res], error)
	// Split reports whether an error may be the fault of one request. The batch is then
	// called in halves, until that request stands alone. Optional.
	Split func(error) bool
	// Max is how many requests one call takes, or what they weigh together; a request
	// that weighs more goes alone. 0 is no limit.
	Max   int
	Weigh func(Req) int
	// Every is the shortest time between the starts of two calls; Full requests do not
	// wait for it to pass. 0 disables both.
	Every time.Duration
	Full  int
	// Parallel is how many calls may be under way (default 1). Another one starts only
	// when each of them has lasted StuckAfter: small calls cost more than one large call.
	Parallel   int
	StuckAfter time.Duration
	// Room returns how many requests may be in calls now. Whoever makes room calls Wake.
	// It must not use the Batcher. Optional.
	Room func() int
	// MaxWaiting limits the requests that wait for a call; 0 is no limit.
	MaxWaiting int
}

// Result is the answer to one request.
type Result[Res any] struct {
	Value Res
	Err   error
	// RetryAfter, when set, makes the request wait so long for another call instead of
	// answering it. Nobody waits behind it.
	RetryAfter time.Duration
}

// Batcher batches requests. It is safe for concurrent use.
type Batcher[Req, Res any] struct {
	opts   Options[Req, Res]
	ctx    context.Context // of the calls
	cancel context.CancelFunc

	mu       sync.Mutex
	waiting  []*Pending[Req, Res]
	retrying int         // requests whose RetryAfter has not passed
	inCalls  int         // requests in calls
	running  int         // calls under way
	stuck    int         // those of them that have lasted StuckAfter
	started  time.Time   // the last call
	timer    *time.Timer // ends a pause
	closing  bool
	closed   bool          // closing, and nothing is left
	drained  chan struct{} // closed then
}

// New returns a Batcher. It panics without a Call.
func New[Req, Res any](o Options[Req, Res]) *Batcher[Req, Res] {
	if o.Call == nil {
		panic("batch: a batcher needs a call")
	}
	o.Parallel = max(o.Parallel, 1)
	b := &Batcher[Req, Res]{opts: o, drained: make(chan struct{})}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.timer = time.AfterFunc(time.Hour, b.Wake)
	b.timer.Stop()
	return b
}

// Submit adds a request.
func (b *Batcher[Req, Res]) Submit(req Req) *Pending[Req, Res] { return b.SubmitAll(req)[0] }

// SubmitAll adds requests that may all go with the same call.
func (b *Batcher[Req, Res]) SubmitAll(reqs ...Req) []*Pending[Req, Res] {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]*Pending[Req, Res], len(reqs))
	for i, req := range reqs {
		p := &Pending[Req, Res]{b: b, req: req, done: make(chan struct{})}
		all[i] = p
		switch {
		case b.closed:
			p.answer(Result[Res]{Err: ErrClosed})
		case b.opts.MaxWaiting > 0 && len(b.waiting) >= b.opts.MaxWaiting:
			p.answer(Result[Res]{Err: ErrFull})
		default:
			b.waiting = append(b.waiting, p)
		}
	}
	b.advance()
	return all
}

// Wake makes the Batcher ask for Room again.
func (b *Batcher[Req, Res]) Wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advance()
}

// Close answers the submitted requests, without pauses, and returns when none is left;
// later requests get ErrClosed. When ctx ends, the context of the calls ends too. The
// remaining requests are still handed to Call, which decides their answer.
func (b *Batcher[Req, Res]) Close(ctx context.Context) {
	stop := context.AfterFunc(ctx, b.cancel)
	defer stop()
	b.mu.Lock()
	b.closing = true
	b.advance()
	b.mu.Unlock()
	<-b.drained
	b.cancel()
}

// advance starts the next call if it is due, or sees that nothing is left. b.mu is held.
func (b *Batcher[Req, Res]) advance() {
	if b.closing && !b.closed && len(b.waiting)+b.running+b.retrying == 0 {
		b.closed = true
		close(b.drained)
	}
	if b.running > b.stuck || b.running >= b.opts.Parallel {
		return
	}
	n := b.next()
	if n == 0 {
		return
	}
	if pause := b.pause(n); pause > 0 {
		b.timer.Reset(pause)
		return
	}
	b.running++
	b.started = time.Now()
	go b.run()
}

// next returns how many of the waiting requests the next call takes.
func (b *Batcher[Req, Res]) next() int {
	n := len(b.waiting)
	if b.opts.Room != nil && n > 0 {
		n = max(0, min(n, b.opts.Room()-b.inCalls))
	}
	if b.opts.Max == 0 {
		return n
	}
	if b.opts.Weigh == nil {
		return min(n, b.opts.Max)
	}
	weight := 0
	for i, p := range b.waiting[:n] {
		if weight += b.opts.Weigh(p.req); weight > b.opts.Max && i > 0 {
			return i
		}
	}
	return n
}

// pause returns how long a call of n requests waits for more of them: a call costs as much
// as several requests do. The first call after an idle period does not wait.
func (b *Batcher[Req, Res]) pause(n int) time.Duration {
	if b.closing || b.opts.Full > 0 && n >= b.opts.Full {
		return 0
	}
	return b.opts.Every - time.Since(b.started)
}

// take takes the next batch. Requests that came while the goroutine of the call was
// starting go with it.
func (b *Batcher[Req, Res]) take() []*Pending[Req, Res] {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.next()
	batch := b.waiting[:n:n]
	if b.waiting = b.waiting[n:]; len(b.waiting) == 0 {
		b.waiting = nil
	}
	b.inCalls += n
	return batch
}

// run makes one call.
func (b *Batcher[Req, Res]) run() {
	batch := b.take()
	notStuck := func() bool { return true }
	if b.opts.Parallel > 1 {
		notStuck = time.AfterFunc(b.opts.StuckAfter, func() { b.countStuck(1) }).Stop
	}
	if len(batch) > 0 { // else all were withdrawn
		b.call(batch)
	}
	if !notStuck() {
		b.countStuck(-1)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running--
	b.inCalls -= len(batch)
	b.advance()
}

func (b *Batcher[Req, Res]) countStuck(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stuck += n
	b.advance()
}

// call answers a batch, in halves if one request may be the cause of a refusal.
func (b *Batcher[Req, Res]) call(batch []*Pending[Req, Res]) {
	results, err := b.try(batch)
	if err != nil && len(batch) > 1 && b.opts.Split != nil && b.opts.Split(err) {
		half := len(batch) / 2
		b.call(batch[:half])
		b.call(batch[half:])
		return
	}
	for i, p := range batch {
		switch {
		case err != nil:
			p.answer(Result[Res]{Err: err})
		case results[i].RetryAfter > 0:
			b.retry(p, results[i].RetryAfter)
		default:
			p.answer(results[i])
		}
	}
}

func (b *Batcher[Req, Res]) try(batch []*Pending[Req, Res]) (results []Result[Res], err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	reqs := make([]Req, len(batch))
	for i, p := range batch {
		reqs[i] = p.req
	}
	if results, err = b.opts.Call(b.ctx, reqs); err == nil && len(results) != len(reqs) {
		err = fmt.Errorf("%d answers to %d requests", len(results), len(reqs))
	}
	return results, err
}

// retry makes a request wait again after a while, or at once when the calls' context ends.
func (b *Batcher[Req, Res]) retry(p *Pending[Req, Res], after time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.retrying++
	go func() {
		select {
		case <-time.After(after):
		case <-b.ctx.Done():
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.retrying--
		b.waiting = append(b.waiting, p)
		b.advance()
	}()
}

// Pending is a request on its way.
type Pending[Req, Res any] struct {
	b      *Batcher[Req, Res]
	req    Req
	done   chan struct{}
	result Result[Res]
}

func (p *Pending[Req, Res]) answer(r Result[Res]) {
	p.result = r
	close(p.done)
}

// Done is closed when the request is answered: Wait then returns the answer at once.
func (p *Pending[Req, Res]) Done() <-chan struct{} { return p.done }

// Wait returns the answer. When ctx ends, a request that no call has taken is withdrawn;
// one that a call has taken is awaited, however long that lasts.
func (p *Pending[Req, Res]) Wait(ctx context.Context) (Res, error) {
	select {
	case <-p.done:
	case <-ctx.Done():
		if p.b.withdraw(p) {
			p.answer(Result[Res]{Err: context.Cause(ctx)})
		}
		<-p.done
	}
	return p.result.Value, p.result.Err
}

func (b *Batcher[Req, Res]) withdraw(p *Pending[Req, Res]) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.waiting, p)
	if i < 0 {
		return false
	}
	b.waiting = slices.Delete(b.waiting, i, i+1)
	b.advance()
	return true
}

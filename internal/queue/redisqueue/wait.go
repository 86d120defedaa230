package redisqueue

import (
	"context"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// waker wakes the process's waiters of one queue. While there are some, one
// listener blocks on the queue's mark in Redis.
type waker struct {
	mu      sync.Mutex
	waiting map[chan struct{}]bool // false: woken
	running bool
	due     time.Time // nothing before this, as far as was known at asOf
	asOf    time.Time
}

// learn notes what a call has said about the next job.
func (w *waker) learn(began time.Time, next time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.due, w.asOf = began.Add(next), began
}

// known is for how long nothing will be due; not known when that was long ago.
func (w *waker) known(fresh time.Duration) (time.Duration, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if left := time.Until(w.due); left > 0 && time.Since(w.asOf) < fresh {
		return left, true
	}
	return 0, false
}

// Wait implements queue.Queue.
func (e *Engine) Wait(ctx context.Context, name string, limit time.Duration) error {
	end := time.NewTimer(limit)
	defer end.Stop()
	p := e.part(name)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		woken, err := p.join()
		if err != nil {
			return e.fail(ctx, "wait", err)
		}
		left, err := p.left(ctx)
		if err != nil || left <= 0 {
			p.leave(woken)
			return e.fail(ctx, "wait", err)
		}
		again := time.NewTimer(min(left, e.longestBlock))
		select {
		case <-woken:
			again.Stop()
			return nil
		case <-again.C: // looked at again
			p.leave(woken)
			continue
		case <-end.C:
		case <-ctx.Done():
		case <-e.live.Done():
		}
		again.Stop()
		if p.leave(woken) {
			return nil
		}
		if e.shut.Load() {
			return e.fail(ctx, "wait", queue.ErrClosed)
		}
		return ctx.Err()
	}
}

// left is for how long nothing will be due.
func (p *part) left(ctx context.Context) (time.Duration, error) {
	if left, ok := p.waker.known(p.e.longestBlock); ok {
		return left, nil
	}
	l, err := p.e.connect(ctx)
	if err != nil {
		return 0, err
	}
	ctx, cancel := p.e.bound(ctx)
	defer cancel()
	began := time.Now()
	m, err := p.run(ctx, l.exchange, p.e.scripts.peek).AsIntSlice()
	if err != nil {
		return 0, err
	}
	if len(m) == 0 { // no such queue
		return p.e.longestBlock, nil
	}
	left := p.e.clock.span(min(m[0], p.e.clock.ticks(p.e.maxDelay)))
	p.waker.learn(began, left)
	return left, nil
}

// join registers a waiter. Its channel is closed to wake it.
func (p *part) join() (chan struct{}, error) {
	w := &p.waker
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.running {
		if !p.e.begin() {
			return nil, queue.ErrClosed
		}
		w.running = true
		go p.listen()
	}
	if w.waiting == nil {
		w.waiting = map[chan struct{}]bool{}
	}
	ch := make(chan struct{})
	w.waiting[ch] = true
	return ch, nil
}

// leave takes a waiter out, and says whether it was woken meanwhile.
func (p *part) leave(ch chan struct{}) (woken bool) {
	w := &p.waker
	w.mu.Lock()
	defer w.mu.Unlock()
	woken = !w.waiting[ch]
	delete(w.waiting, ch)
	return woken
}

// wake wakes all waiters, and says whether there were any. Whoever finds more to
// do than it can take leaves the mark for others.
func (w *waker) wake() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	any := len(w.waiting) > 0
	for ch := range w.waiting {
		close(ch)
		delete(w.waiting, ch)
	}
	w.due = time.Time{}
	return any
}

// listen blocks on the mark as long as somebody waits.
func (p *part) listen() {
	defer p.e.work.Done()
	for fails := 0; ; {
		p.waker.mu.Lock()
		if len(p.waker.waiting) == 0 || p.e.live.Err() != nil {
			p.waker.running = false
			p.waker.mu.Unlock()
			return
		}
		p.waker.mu.Unlock()
		switch took, err := p.block(); {
		case err != nil:
			fails++
			pause := time.NewTimer(jitter(min(50*time.Millisecond<<min(fails, 5), time.Second)))
			select {
			case <-pause.C:
			case <-p.e.live.Done():
				pause.Stop()
			}
		case took && !p.waker.wake():
			p.nudge()
		default:
			fails = 0
		}
	}
}

// block takes the mark, or returns false after a while. The connection is given
// up when the answer does not come in time.
func (p *part) block() (took bool, err error) {
	l, err := p.e.connect(p.e.live)
	if err != nil {
		return false, err
	}
	// Not a deadline: a call that has one cannot be cancelled while it reads.
	ctx, cancel := context.WithCancel(p.e.live)
	defer cancel()
	late := time.AfterFunc(p.e.longestBlock+p.e.blockGrace, cancel)
	defer late.Stop()
	cmd := l.block.B().Bzpopmin().Key(p.keys[4]).Timeout(p.e.longestBlock.Seconds()).Build()
	err = l.block.Do(ctx, cmd).Error()
	if rueidis.IsRedisNil(err) {
		return false, nil
	}
	return err == nil, err
}

// nudge gives a wake-up back that nobody here can use.
func (p *part) nudge() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.e.live), min(p.e.timeout, time.Second))
	defer cancel()
	l := p.e.links.now.Load() // also when the engine is about to end
	if l == nil {
		return
	}
	if err := p.run(ctx, l.exchange, p.e.scripts.nudge).Error(); err != nil {
		p.e.log.Warn("a wake-up could not be given back: it may come some seconds late", "queue", p.name, "error", err)
	}
}

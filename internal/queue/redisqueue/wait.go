package redisqueue

import (
	"context"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// waker wakes this process's waiters of one queue. While there are waiters, one listener
// blocks on the queue's wake key in Redis.
type waker struct {
	mu      sync.Mutex
	waiting map[chan struct{}]bool // false: woken
	running bool
	due     time.Time // time of the next job, as known at asOf
	asOf    time.Time
}

// noteDue records when the next job is due, as a call reported it.
func (w *waker) noteDue(began time.Time, next time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.due, w.asOf = began.Add(next), began
}

// knownWait returns the time until the next job is due; ok is false if that was reported
// longer than fresh ago.
func (w *waker) knownWait(fresh time.Duration) (time.Duration, bool) {
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
	q := e.state(name)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		woken, err := q.addWaiter()
		if err != nil {
			return e.wrapError(ctx, "wait", err)
		}
		left, err := q.untilDue(ctx)
		if err != nil || left <= 0 {
			q.removeWaiter(woken)
			return e.wrapError(ctx, "wait", err)
		}
		again := time.NewTimer(min(left, e.longestBlock))
		select {
		case <-woken:
			again.Stop()
			return nil
		case <-again.C: // check again
			q.removeWaiter(woken)
			continue
		case <-end.C:
		case <-ctx.Done():
		case <-e.lifetime.Done():
		}
		again.Stop()
		if q.removeWaiter(woken) {
			return nil
		}
		if e.closed.Load() {
			return e.wrapError(ctx, "wait", queue.ErrClosed)
		}
		return ctx.Err()
	}
}

// untilDue returns the time until the next job is due.
func (q *queueState) untilDue(ctx context.Context) (time.Duration, error) {
	if left, ok := q.waker.knownWait(q.e.longestBlock); ok {
		return left, nil
	}
	l, err := q.e.connect(ctx)
	if err != nil {
		return 0, err
	}
	ctx, cancel := q.e.withTimeout(ctx)
	defer cancel()
	began := time.Now()
	m, err := q.run(ctx, l.exchange, q.e.scripts.nextDue).AsIntSlice()
	if err != nil {
		return 0, err
	}
	if len(m) == 0 { // no such queue
		return q.e.longestBlock, nil
	}
	left := q.e.clock.duration(min(m[0], q.e.clock.ticks(q.e.opts.MaxDelay)))
	q.waker.noteDue(began, left)
	return left, nil
}

// addWaiter registers a waiter. Its channel is closed to wake it.
func (q *queueState) addWaiter() (chan struct{}, error) {
	w := &q.waker
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.running {
		if !q.e.startWork() {
			return nil, queue.ErrClosed
		}
		w.running = true
		go q.listen()
	}
	if w.waiting == nil {
		w.waiting = map[chan struct{}]bool{}
	}
	ch := make(chan struct{})
	w.waiting[ch] = true
	return ch, nil
}

// removeWaiter removes a waiter and reports whether it was woken meanwhile.
func (q *queueState) removeWaiter(ch chan struct{}) (woken bool) {
	w := &q.waker
	w.mu.Lock()
	defer w.mu.Unlock()
	woken = !w.waiting[ch]
	delete(w.waiting, ch)
	return woken
}

// wake wakes all waiters and reports whether there were any. A waiter that finds more jobs
// than it can take leaves the wake key for others.
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

// listen blocks on the wake key as long as there are waiters.
func (q *queueState) listen() {
	defer q.e.work.Done()
	for fails := 0; ; {
		q.waker.mu.Lock()
		if len(q.waker.waiting) == 0 || q.e.lifetime.Err() != nil {
			q.waker.running = false
			q.waker.mu.Unlock()
			return
		}
		q.waker.mu.Unlock()
		switch took, err := q.blockOnWake(); {
		case err != nil:
			fails++
			pause := time.NewTimer(jitter(min(50*time.Millisecond<<min(fails, 5), time.Second)))
			select {
			case <-pause.C:
			case <-q.e.lifetime.Done():
				pause.Stop()
			}
		case took && !q.waker.wake():
			q.rewake()
		default:
			fails = 0
		}
	}
}

// blockOnWake takes the member of the wake key, or returns false after a while. It gives up
// the connection if the answer is late.
func (q *queueState) blockOnWake() (took bool, err error) {
	l, err := q.e.connect(q.e.lifetime)
	if err != nil {
		return false, err
	}
	// Not a deadline: a call with a deadline cannot be cancelled while it reads.
	ctx, cancel := context.WithCancel(q.e.lifetime)
	defer cancel()
	late := time.AfterFunc(q.e.longestBlock+q.e.blockGrace, cancel)
	defer late.Stop()
	cmd := l.block.B().Bzpopmin().Key(q.keys[4]).Timeout(q.e.longestBlock.Seconds()).Build()
	err = l.block.Do(ctx, cmd).Error()
	if rueidis.IsRedisNil(err) {
		return false, nil
	}
	return err == nil, err
}

// rewake puts back a wake-up that no waiter here can use.
func (q *queueState) rewake() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(q.e.lifetime), min(q.e.opts.Timeout, time.Second))
	defer cancel()
	l := q.e.connector.current.Load() // also while the engine is closing
	if l == nil {
		return
	}
	if err := q.run(ctx, l.exchange, q.e.scripts.rewake).Error(); err != nil {
		q.e.opts.Log.Warn("a wake-up could not be put back: it may come some seconds late", "queue", q.name, "error", err)
	}
}

package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// linger is how long the verdicts of a batch that is still running wait for
	// company.
	linger = 2 * time.Millisecond
	// longestWait bounds what a lost wake-up costs.
	longestWait = 5 * time.Second
	// longestCall is how long an exchange may take.
	longestCall = 15 * time.Second
	// patience is how long a suspect may keep everything else waiting.
	patience = time.Second
	// grace is how long handlers get to return once their context ended.
	grace = 3 * time.Second
	// flushes is how often the last verdicts are tried on a queue that is down.
	flushes = 10
)

var (
	errDrained  = errors.New("drained")
	errDeadline = errors.New("the lease is about to run out")
)

// entry is a verdict on its way to the queue. It is sent again after a failed
// exchange while its lease lasts: the token makes a repeat harmless, and
// dropping it would leave the lane waiting for the whole lease.
type entry struct {
	Outcome
	expires  time.Time
	repeated bool
}

// loop is the state of one Run. The first group is shared with handlers.
type loop struct {
	*Runner
	mu     sync.Mutex
	outs   []entry
	open   int     // claims without a verdict
	busy   int     // batches with open claims
	alone  *flight // the suspect that is running
	ripe   bool    // a timer for company is running
	signal chan struct{}

	handlers context.Context // ends when the drain is over
	stop     context.CancelCauseFunc
	flights  sync.WaitGroup

	// The rest belongs to the loop's own goroutine.
	idle    bool // the last claim got all there was, until wakeAt
	wakeAt  time.Time
	more    bool      // the last claim got all that it asked for
	next    time.Time // no exchange begins before
	careful bool      // suspects are about: claim one at a time
	stash   *flight   // a suspect that starts once its fellows are given back
	fails   int
}

func newLoop(ctx context.Context, r *Runner) *loop {
	l := &loop{Runner: r, signal: make(chan struct{}, 1)}
	l.handlers, l.stop = context.WithCancelCause(context.WithoutCancel(ctx))
	return l
}

// take returns the verdicts to carry and how many claims there is room for.
func (l *loop) take() (outs []entry, want int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.signal: // what it tells of is taken here
	default:
	}
	outs, l.outs, l.ripe = l.outs, nil, false
	switch {
	case l.stash != nil || l.busy >= l.Slots:
	case l.careful && l.alone != nil && time.Since(l.alone.began) < patience:
	case l.careful:
		want = 1
	default:
		want = max(0, min(l.Batch, l.InFlight-l.open))
	}
	return outs, want
}

// gather waits until the next exchange may begin.
func (l *loop) gather(ctx context.Context) {
	wait := time.Until(l.next)
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// exchange carries verdicts, and starts what it gets for them.
func (l *loop) exchange(ctx context.Context, outs []entry, want int) error {
	outcomes := make([]Outcome, len(outs))
	for i, e := range outs {
		outcomes[i] = e.Outcome
	}
	// The call must not be cut short when Run is told to stop: what it did
	// would be unknown.
	began, lease := time.Now(), NewLease(l.Lease)
	call, cancel := context.WithTimeout(l.handlers, min(l.Lease/2, longestCall))
	batch, err := l.Queue.Exchange(call, l.Name, outcomes, want, l.Lease)
	cancel()
	if err != nil {
		l.keep(outs)
		return err
	}
	if l.fails > 0 {
		l.Log.Info("queue is back", "failures", l.fails)
		l.fails = 0
	}
	l.count(outs, batch.Refused)
	if s := l.stash; s != nil {
		l.stash = nil
		l.launch(s)
	}
	l.idle = len(batch.Claims) < want
	if want > 0 {
		l.more = len(batch.Claims) == want
	}
	switch {
	case l.more:
		l.next = time.Time{}
	case l.Gather > 0 && len(outs)+len(batch.Claims) > 0:
		l.next = began.Add(Backoff{Base: l.Gather, Cap: l.Gather, Rand: l.Backoff.Rand}.Delay(1))
	}
	l.wakeAt = began.Add(min(max(batch.Next, time.Millisecond), longestWait))
	l.dispatch(ctx, batch.Claims, want, began, lease)
	return nil
}

// keep puts verdicts back whose exchange failed, unless their lease is over.
func (l *loop) keep(outs []entry) {
	now := time.Now()
	outs = slices.DeleteFunc(outs, func(e entry) bool { return !now.Before(e.expires) })
	for i := range outs {
		outs[i].repeated = true
	}
	l.mu.Lock()
	l.outs = append(outs, l.outs...)
	l.mu.Unlock()
}

// count tells people what became of the verdicts.
func (l *loop) count(outs []entry, refused []string) {
	for _, e := range outs {
		switch {
		case !slices.Contains(refused, e.Lane):
			l.Meter.Settled(l.Name, e.Verdict.String())
		case !e.repeated: // a repeat may have been done the first time
			l.Meter.Settled(l.Name, "refused")
			l.Log.Warn("verdict refused: somebody else holds the lease", "lane_verdict", e.Verdict.String())
		}
	}
}

// dispatch starts claims. A suspect may be what killed its worker, so it gets a
// batch of its own, and no second suspect is held while one runs: were the
// process to die again, only the culprit may have an attempt counted.
func (l *loop) dispatch(ctx context.Context, claims []Claim, want int, began time.Time, lease Lease) {
	if ctx.Err() != nil {
		l.release(claims, began, 0)
		return
	}
	var plain, suspects []Claim
	for _, c := range claims {
		if c.Suspect {
			suspects = append(suspects, c)
		} else {
			plain = append(plain, c)
		}
	}
	if len(plain) > 0 || len(claims) < want {
		l.careful = false
	}
	if len(plain) > 0 {
		l.launch(l.flight(plain, began, lease))
	}
	if len(suspects) == 0 {
		return
	}
	l.mu.Lock()
	running := l.alone
	l.mu.Unlock()
	switch {
	case running != nil:
		l.careful = true
		delay := time.Duration(0)
		if time.Since(running.began) >= patience {
			delay = patience
		}
		l.release(suspects, began, delay)
	case len(suspects) == 1:
		l.launch(l.flight(suspects, began, lease))
	default:
		l.careful = true
		l.stash = l.flight(suspects[:1], began, lease)
		l.release(suspects[1:], began, 0)
	}
}

// release gives claims back without counting an attempt.
func (l *loop) release(claims []Claim, began time.Time, delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range claims {
		l.outs = append(l.outs, entry{
			Outcome: Outcome{Lane: c.Lane, Token: c.Token, Verdict: Postpone, Delay: delay},
			expires: began.Add(l.Lease),
		})
	}
}

// sleep waits for a verdict, and where there is room for claims also for them.
func (l *loop) sleep(ctx context.Context, want int) {
	l.idle = false
	if s := l.stash; s != nil { // its fellows' leases have run out meanwhile
		l.stash = nil
		l.launch(s)
		return
	}
	if want == 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case <-l.signal:
		case <-timer.C:
		case <-ctx.Done():
		}
		return
	}
	wait := time.Until(l.wakeAt)
	if wait <= 0 {
		return
	}
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- l.Queue.Wait(waiting, l.Name, wait) }()
	select {
	case err := <-done:
		if err != nil && ctx.Err() == nil {
			l.pause(ctx, err)
		}
	case <-l.signal:
		cancel()
		<-done //nolint:errcheck // it was told to end
	}
}

// pause waits a little after a failure of the queue, longer each time.
func (l *loop) pause(ctx context.Context, err error) {
	if l.fails++; l.fails == 1 {
		l.Log.Error("queue does not answer: waiting for it", "error", err)
	}
	b := Backoff{Base: 100 * time.Millisecond, Cap: longestWait, Rand: l.Backoff.Rand}
	timer := time.NewTimer(b.Delay(l.fails))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// drain lets handlers finish, then ends their context, and carries the last
// verdicts home.
func (l *loop) drain() error {
	end := time.NewTimer(l.Drain)
	defer end.Stop()
	if s := l.stash; s != nil {
		l.stash = nil
		l.release(s.claims, s.began, 0)
	}
	for failures := 0; ; {
		var err error
		if outs, _ := l.take(); len(outs) > 0 {
			err = l.flush(outs)
		}
		l.mu.Lock()
		open, left := l.open, len(l.outs)
		l.mu.Unlock()
		if open == 0 && left == 0 {
			return l.landed()
		}
		again := time.NewTimer(grace / flushes)
		if err == nil {
			again.Stop()
		} else if failures++; open == 0 && failures >= flushes {
			return fmt.Errorf("drain queue %s: %d verdicts lost, their leases will run out: %w", l.Name, left, err)
		}
		select {
		case <-l.signal:
		case <-again.C:
		case <-end.C:
			if l.handlers.Err() != nil {
				return fmt.Errorf("drain queue %s: %d jobs still running: %w", l.Name, open, errDrained)
			}
			l.stop(errDrained)
			end.Reset(grace)
		}
		again.Stop()
	}
}

// flush carries verdicts and claims nothing. It works after the drain's end too.
func (l *loop) flush(outs []entry) error {
	outcomes := make([]Outcome, len(outs))
	for i, e := range outs {
		outcomes[i] = e.Outcome
	}
	call, cancel := context.WithTimeout(context.WithoutCancel(l.handlers), grace)
	defer cancel()
	batch, err := l.Queue.Exchange(call, l.Name, outcomes, 0, l.Lease)
	if err != nil {
		l.keep(outs)
		return err
	}
	l.count(outs, batch.Refused)
	return nil
}

// landed waits for handlers to return once all verdicts are in.
func (l *loop) landed() error {
	l.stop(errDrained)
	done := make(chan struct{})
	go func() { l.flights.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-time.After(grace):
		return fmt.Errorf("drain queue %s: a handler does not return: %w", l.Name, errDrained)
	}
}

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
	// flushDelay is how long the verdicts of a batch that is still running wait for
	// company.
	flushDelay = 2 * time.Millisecond
	// maxWait bounds what a lost wake-up costs.
	maxWait = 5 * time.Second
	// maxCall is how long an exchange may take.
	maxCall = 15 * time.Second
	// suspectPatience is how long a suspect may keep everything else waiting.
	suspectPatience = time.Second
	// grace is how long handlers get to return once their context ended.
	grace = 3 * time.Second
	// drainRetries is how often the last verdicts are tried on a queue that is down.
	drainRetries = 10
)

var (
	errDrained  = errors.New("drained")
	errDeadline = errors.New("the lease is about to run out")
)

// pendingOutcome is a verdict on its way to the queue. It is sent again after a failed
// exchange while its lease lasts: the token makes a repeat harmless, and
// dropping it would leave the lane waiting for the whole lease.
type pendingOutcome struct {
	Outcome
	expires  time.Time
	repeated bool
}

// loop is the state of one Run. The first group is shared with handlers.
type loop struct {
	*Runner
	mu             sync.Mutex
	pending        []pendingOutcome
	openClaims     int         // claims without a verdict
	busyBatches    int         // batches with open claims
	suspectRunning *claimBatch // the suspect that is running
	flushTimed     bool        // the flush timer runs
	wakeup         chan struct{}

	handlerCtx     context.Context // ends when the drain is over
	cancelHandlers context.CancelCauseFunc
	running        sync.WaitGroup

	// The rest belongs to the loop's own goroutine.
	idle       bool // the last claim got all there was, until wakeAt
	wakeAt     time.Time
	backlog    bool        // the last claim got all that it asked for
	notBefore  time.Time   // no exchange begins before
	oneAtATime bool        // suspects are about: claim one at a time
	deferred   *claimBatch // a suspect that starts once its fellows are given back
	failures   int
}

func newLoop(ctx context.Context, r *Runner) *loop {
	l := &loop{Runner: r, wakeup: make(chan struct{}, 1)}
	l.handlerCtx, l.cancelHandlers = context.WithCancelCause(context.WithoutCancel(ctx))
	return l
}

// takePending returns the verdicts to carry and how many claims there is room for.
func (l *loop) takePending() (pending []pendingOutcome, want int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.wakeup: // what it tells of is taken here
	default:
	}
	pending, l.pending, l.flushTimed = l.pending, nil, false
	switch {
	case l.deferred != nil || l.busyBatches >= l.Slots:
	case l.oneAtATime && l.suspectRunning != nil && time.Since(l.suspectRunning.began) < suspectPatience:
	case l.oneAtATime:
		want = 1
	default:
		want = max(0, min(l.Batch, l.InFlight-l.openClaims))
	}
	return pending, want
}

// awaitGather waits until the next exchange may begin.
func (l *loop) awaitGather(ctx context.Context) {
	wait := time.Until(l.notBefore)
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
func (l *loop) exchange(ctx context.Context, pending []pendingOutcome, want int) error {
	outcomes := make([]Outcome, len(pending))
	for i, e := range pending {
		outcomes[i] = e.Outcome
	}
	// The call must not be cut short when Run is told to stop: what it did
	// would be unknown.
	began, lease := time.Now(), NewLease(l.Lease)
	call, cancel := context.WithTimeout(l.handlerCtx, min(l.Lease/2, maxCall))
	batch, err := l.Queue.Exchange(call, l.Name, outcomes, want, l.Lease)
	cancel()
	if err != nil {
		l.putBack(pending)
		return err
	}
	if l.failures > 0 {
		l.Log.Info("queue is back", "failures", l.failures)
		l.failures = 0
	}
	l.reportSettled(pending, batch.Refused)
	if s := l.deferred; s != nil {
		l.deferred = nil
		l.startBatch(s)
	}
	l.idle = len(batch.Claims) < want
	if want > 0 {
		l.backlog = len(batch.Claims) == want
	}
	switch {
	case l.backlog:
		l.notBefore = time.Time{}
	case l.Gather > 0 && len(pending)+len(batch.Claims) > 0:
		l.notBefore = began.Add(Backoff{Base: l.Gather, Cap: l.Gather, Rand: l.Backoff.Rand}.Delay(1))
	}
	l.wakeAt = began.Add(min(max(batch.Next, time.Millisecond), maxWait))
	l.dispatch(ctx, batch.Claims, want, began, lease)
	return nil
}

// putBack puts verdicts back whose exchange failed, unless their lease is over.
func (l *loop) putBack(pending []pendingOutcome) {
	now := time.Now()
	pending = slices.DeleteFunc(pending, func(e pendingOutcome) bool { return !now.Before(e.expires) })
	for i := range pending {
		pending[i].repeated = true
	}
	l.mu.Lock()
	l.pending = append(pending, l.pending...)
	l.mu.Unlock()
}

// reportSettled tells people what became of the verdicts.
func (l *loop) reportSettled(pending []pendingOutcome, refused []string) {
	for _, e := range pending {
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
		l.oneAtATime = false
	}
	if len(plain) > 0 {
		l.startBatch(l.newBatch(plain, began, lease))
	}
	if len(suspects) == 0 {
		return
	}
	l.mu.Lock()
	running := l.suspectRunning
	l.mu.Unlock()
	switch {
	case running != nil:
		l.oneAtATime = true
		delay := time.Duration(0)
		if time.Since(running.began) >= suspectPatience {
			delay = suspectPatience
		}
		l.release(suspects, began, delay)
	case len(suspects) == 1:
		l.startBatch(l.newBatch(suspects, began, lease))
	default:
		l.oneAtATime = true
		l.deferred = l.newBatch(suspects[:1], began, lease)
		l.release(suspects[1:], began, 0)
	}
}

// release gives claims back without counting an attempt.
func (l *loop) release(claims []Claim, began time.Time, delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range claims {
		l.pending = append(l.pending, pendingOutcome{
			Outcome: Outcome{Lane: c.Lane, Token: c.Token, Verdict: Postpone, Delay: delay},
			expires: began.Add(l.Lease),
		})
	}
}

// awaitWork waits for a verdict, and where there is room for claims also for them.
func (l *loop) awaitWork(ctx context.Context, want int) {
	l.idle = false
	if s := l.deferred; s != nil { // its fellows' leases have run out meanwhile
		l.deferred = nil
		l.startBatch(s)
		return
	}
	if want == 0 {
		timer := time.NewTimer(suspectPatience)
		defer timer.Stop()
		select {
		case <-l.wakeup:
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
			l.backOff(ctx, err)
		}
	case <-l.wakeup:
		cancel()
		<-done //nolint:errcheck // it was told to end
	}
}

// backOff waits a little after a failure of the queue, longer each time.
func (l *loop) backOff(ctx context.Context, err error) {
	if l.failures++; l.failures == 1 {
		l.Log.Error("queue does not answer: waiting for it", "error", err)
	}
	b := Backoff{Base: 100 * time.Millisecond, Cap: maxWait, Rand: l.Backoff.Rand}
	timer := time.NewTimer(b.Delay(l.failures))
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
	if s := l.deferred; s != nil {
		l.deferred = nil
		l.release(s.claims, s.began, 0)
	}
	for failures := 0; ; {
		var err error
		if pending, _ := l.takePending(); len(pending) > 0 {
			err = l.flush(pending)
		}
		l.mu.Lock()
		open, left := l.openClaims, len(l.pending)
		l.mu.Unlock()
		if open == 0 && left == 0 {
			return l.awaitHandlers()
		}
		again := time.NewTimer(grace / drainRetries)
		if err == nil {
			again.Stop()
		} else if failures++; open == 0 && failures >= drainRetries {
			return fmt.Errorf("drain queue %s: %d verdicts lost, their leases will run out: %w", l.Name, left, err)
		}
		select {
		case <-l.wakeup:
		case <-again.C:
		case <-end.C:
			if l.handlerCtx.Err() != nil {
				return fmt.Errorf("drain queue %s: %d jobs still running: %w", l.Name, open, errDrained)
			}
			l.cancelHandlers(errDrained)
			end.Reset(grace)
		}
		again.Stop()
	}
}

// flush carries verdicts and claims nothing. It works after the drain's end too.
func (l *loop) flush(pending []pendingOutcome) error {
	outcomes := make([]Outcome, len(pending))
	for i, e := range pending {
		outcomes[i] = e.Outcome
	}
	call, cancel := context.WithTimeout(context.WithoutCancel(l.handlerCtx), grace)
	defer cancel()
	batch, err := l.Queue.Exchange(call, l.Name, outcomes, 0, l.Lease)
	if err != nil {
		l.putBack(pending)
		return err
	}
	l.reportSettled(pending, batch.Refused)
	return nil
}

// awaitHandlers waits for handlers to return once all verdicts are in.
func (l *loop) awaitHandlers() error {
	l.cancelHandlers(errDrained)
	done := make(chan struct{})
	go func() { l.running.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-time.After(grace):
		return fmt.Errorf("drain queue %s: a handler does not return: %w", l.Name, errDrained)
	}
}

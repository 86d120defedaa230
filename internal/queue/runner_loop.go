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
	// flushDelay is how long an outcome of an unfinished batch waits to be sent together
	// with others.
	flushDelay = 2 * time.Millisecond
	// maxWait bounds the delay that a lost wake-up causes.
	maxWait = 5 * time.Second
	// maxCall is the timeout of an exchange.
	maxCall = 15 * time.Second
	// suspectPatience is how long a suspect may keep all other jobs waiting.
	suspectPatience = time.Second
	// grace is how long handlers may take to return after their context ended.
	grace = 3 * time.Second
	// drainRetries is how many times drain retries to settle the last outcomes.
	drainRetries = 10
)

var (
	errDrained  = errors.New("drained")
	errDeadline = errors.New("the lease is about to run out")
)

// pendingOutcome is an outcome to be sent to the queue. After a failed exchange it is sent
// again while its lease lasts: the token makes a repeat harmless, and a dropped outcome
// would block its lane for the rest of the lease.
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
	idle       bool // nothing more is due until wakeAt
	wakeAt     time.Time
	backlog    bool        // the last claim got as many jobs as it asked for
	notBefore  time.Time   // earliest time of the next exchange
	oneAtATime bool        // there are suspects: claim one job at a time
	deferred   *claimBatch // a suspect to start once the claims beside it are released
	failures   int
}

func newLoop(ctx context.Context, r *Runner) *loop {
	l := &loop{Runner: r, wakeup: make(chan struct{}, 1)}
	l.handlerCtx, l.cancelHandlers = context.WithCancelCause(context.WithoutCancel(ctx))
	return l
}

// takePending returns the outcomes to send and how many claims there is room for.
func (l *loop) takePending() (pending []pendingOutcome, want int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.wakeup: // its outcomes are taken here
	default:
	}
	pending, l.pending, l.flushTimed = l.pending, nil, false
	switch {
	case l.deferred != nil || l.busyBatches >= l.opts.Slots:
	case l.oneAtATime && l.suspectRunning != nil && time.Since(l.suspectRunning.began) < suspectPatience:
	case l.oneAtATime:
		want = 1
	default:
		want = max(0, min(l.opts.Batch, l.opts.InFlight-l.openClaims))
	}
	return pending, want
}

// awaitGather waits until the next exchange may begin; see RunnerOptions.Gather.
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

// exchange sends outcomes and starts the claims that it gets.
func (l *loop) exchange(ctx context.Context, pending []pendingOutcome, want int) error {
	outcomes := make([]Outcome, len(pending))
	for i, e := range pending {
		outcomes[i] = e.Outcome
	}
	// The call must outlive the end of Run's context: if it were cut short, its effect
	// would be unknown.
	began, lease := time.Now(), NewLease(l.opts.Lease)
	call, cancel := context.WithTimeout(l.handlerCtx, min(l.opts.Lease/2, maxCall))
	batch, err := l.opts.Queue.Exchange(call, l.opts.Name, outcomes, want, l.opts.Lease)
	cancel()
	if err != nil {
		l.putBack(pending)
		return err
	}
	if l.failures > 0 {
		l.opts.Log.Info("queue is back", "failures", l.failures)
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
	case l.opts.Gather > 0 && len(pending)+len(batch.Claims) > 0:
		l.notBefore = began.Add(Backoff{Base: l.opts.Gather, Cap: l.opts.Gather, Rand: l.opts.Backoff.Rand}.Delay(1))
	}
	l.wakeAt = began.Add(min(max(batch.Next, time.Millisecond), maxWait))
	l.dispatch(ctx, batch.Claims, want, began, lease)
	return nil
}

// putBack keeps the outcomes of a failed exchange, except those whose lease is over.
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

// reportSettled counts settled outcomes and logs refused ones.
func (l *loop) reportSettled(pending []pendingOutcome, refused []string) {
	for _, e := range pending {
		switch {
		case !slices.Contains(refused, e.Lane):
			l.opts.Meter.Settled(l.opts.Name, e.Verdict.String())
		case !e.repeated: // a repeat may have been done the first time
			l.opts.Meter.Settled(l.opts.Name, "refused")
			l.opts.Log.Warn("verdict refused: somebody else holds the lease", "lane_verdict", e.Verdict.String())
		}
	}
}

// dispatch starts claims. A suspect may have killed its worker, so it gets a batch of its
// own, and no second suspect is held while one runs: if the process dies again, only the
// culprit may have an attempt counted.
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

// release returns claims to the queue without counting an attempt.
func (l *loop) release(claims []Claim, began time.Time, delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range claims {
		l.pending = append(l.pending, pendingOutcome{
			Outcome: Outcome{Lane: c.Lane, Token: c.Token, Verdict: Postpone, Delay: delay},
			expires: began.Add(l.opts.Lease),
		})
	}
}

// awaitWork waits for an outcome and, if there is room for claims, for due jobs.
func (l *loop) awaitWork(ctx context.Context, want int) {
	l.idle = false
	if s := l.deferred; s != nil { // the leases of the claims beside it have run out by now
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
	go func() { done <- l.opts.Queue.Wait(waiting, l.opts.Name, wait) }()
	select {
	case err := <-done:
		if err != nil && ctx.Err() == nil {
			l.backOff(ctx, err)
		}
	case <-l.wakeup:
		cancel()
		<-done //nolint:errcheck // its context was canceled
	}
}

// backOff waits after a failure of the queue, longer each time.
func (l *loop) backOff(ctx context.Context, err error) {
	if l.failures++; l.failures == 1 {
		l.opts.Log.Error("queue does not answer: waiting for it", "error", err)
	}
	b := Backoff{Base: 100 * time.Millisecond, Cap: maxWait, Rand: l.opts.Backoff.Rand}
	timer := time.NewTimer(b.Delay(l.failures))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// drain lets handlers finish, then ends their context, and sends the last outcomes.
func (l *loop) drain() error {
	end := time.NewTimer(l.opts.Drain)
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
			return fmt.Errorf("drain queue %s: %d verdicts lost, their leases will run out: %w", l.opts.Name, left, err)
		}
		select {
		case <-l.wakeup:
		case <-again.C:
		case <-end.C:
			if l.handlerCtx.Err() != nil {
				return fmt.Errorf("drain queue %s: %d jobs still running: %w", l.opts.Name, open, errDrained)
			}
			l.cancelHandlers(errDrained)
			end.Reset(grace)
		}
		again.Stop()
	}
}

// flush sends outcomes and claims nothing. It works after the drain's end too.
func (l *loop) flush(pending []pendingOutcome) error {
	outcomes := make([]Outcome, len(pending))
	for i, e := range pending {
		outcomes[i] = e.Outcome
	}
	call, cancel := context.WithTimeout(context.WithoutCancel(l.handlerCtx), grace)
	defer cancel()
	batch, err := l.opts.Queue.Exchange(call, l.opts.Name, outcomes, 0, l.opts.Lease)
	if err != nil {
		l.putBack(pending)
		return err
	}
	l.reportSettled(pending, batch.Refused)
	return nil
}

// awaitHandlers waits until all handlers have returned.
func (l *loop) awaitHandlers() error {
	l.cancelHandlers(errDrained)
	done := make(chan struct{})
	go func() { l.running.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-time.After(grace):
		return fmt.Errorf("drain queue %s: a handler does not return: %w", l.opts.Name, errDrained)
	}
}

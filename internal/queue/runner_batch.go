package queue

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"time"
)

// claimBatch is a batch that a handler works on.
type claimBatch struct {
	claims    []Claim
	settled   []bool
	unsettled int
	began     time.Time // when it was claimed
	lease     Lease     // of its claims
}

func (l *loop) newBatch(claims []Claim, began time.Time, lease Lease) *claimBatch {
	return &claimBatch{claims: claims, settled: make([]bool, len(claims)), unsettled: len(claims), began: began, lease: lease}
}

// startBatch hands a batch to the handler.
func (l *loop) startBatch(b *claimBatch) {
	l.mu.Lock()
	l.openClaims += len(b.claims)
	l.busyBatches++
	if b.claims[0].Suspect {
		l.suspectRunning = b
	}
	l.mu.Unlock()
	l.running.Go(func() { l.runBatch(b) })
}

func (l *loop) runBatch(b *claimBatch) {
	ctx, cancel := context.WithDeadlineCause(WithLease(l.handlerCtx, b.lease), b.began.Add(l.opts.Lease*5/6), errDeadline)
	defer cancel()
	began := time.Now()
	var work []int
	for i, c := range b.claims {
		if l.opts.MaxAttempts > 0 && c.Attempt > l.opts.MaxAttempts {
			l.settle(ctx, b, i, Outcome{Verdict: Retry, Err: fmt.Sprintf("its lease ran out %d times: it may be what stops workers", c.Attempt-1)})
			continue
		}
		work = append(work, i)
	}
	if len(work) > 0 {
		l.handleClaims(ctx, b, work)
		l.opts.Meter.Batch(l.opts.Name, len(work), time.Since(began))
	}
}

// handleClaims runs the handler over claims of a batch and settles what it left open. When
// it panicked over several claims, each is tried alone, so that only the culprit has an
// attempt counted.
func (l *loop) handleClaims(ctx context.Context, b *claimBatch, which []int) {
	if ctx.Err() != nil { // too late to begin: no attempt is counted
		for _, i := range which {
			l.settle(ctx, b, i, Outcome{Verdict: Postpone})
		}
		return
	}
	why := "handler returned without a verdict"
	if panicked := l.callHandler(ctx, b, which); panicked != "" {
		why = panicked
	}
	var left []int
	l.mu.Lock()
	for _, i := range which {
		if !b.settled[i] {
			left = append(left, i)
		}
	}
	l.mu.Unlock()
	if ended := context.Cause(ctx); ended != nil {
		why = ended.Error()
	}
	for _, i := range left {
		switch {
		case len(which) == 1:
			l.settle(ctx, b, i, Outcome{Verdict: Retry, Err: why})
		case ctx.Err() != nil: // one of many was slow, and nobody knows which
			l.settle(ctx, b, i, Outcome{Verdict: Postpone, Delay: l.opts.Backoff.Delay(1), Err: why})
		default:
			l.handleClaims(ctx, b, []int{i})
		}
	}
}

// callHandler runs the handler once and returns its panic, or "".
func (l *loop) callHandler(ctx context.Context, b *claimBatch, which []int) (panicked string) {
	defer func() {
		if p := recover(); p != nil {
			panicked = fmt.Sprintf("panic: %v", p)
			l.opts.Log.Error("handler panicked", "jobs", len(which), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	batch := make([]Claim, len(which))
	for n, i := range which {
		batch[n] = b.claims[i]
	}
	l.opts.Handler.Handle(ctx, batch, func(n int, o Outcome) { l.settle(ctx, b, which[n], o) })
	return ""
}

// settle records the verdict for one claim; only the first one counts.
func (l *loop) settle(ctx context.Context, b *claimBatch, i int, o Outcome) {
	l.mu.Lock()
	twice := b.settled[i]
	b.settled[i] = true
	l.mu.Unlock()
	if twice {
		l.opts.Log.Error("handler settled a job twice: the first verdict stands", "verdict", o.Verdict.String())
		return
	}
	c := b.claims[i]
	o = l.applyRetryPolicy(ctx, b, c, o)
	o.Lane, o.Token, o.Err = c.Lane, c.Token, truncate(o.Err)

	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending = append(l.pending, pendingOutcome{Outcome: o, expires: b.began.Add(l.opts.Lease)})
	l.openClaims--
	if b.unsettled--; b.unsettled == 0 {
		l.busyBatches--
		if l.suspectRunning == b {
			l.suspectRunning = nil
		}
		l.wake()
	} else if !l.flushTimed {
		l.flushTimed = true
		time.AfterFunc(flushDelay, l.flushDue)
	}
}

// truncate shortens an error for storage.
func truncate(s string) string {
	const most = 1000
	if len(s) > most {
		s = s[:most]
	}
	return strings.ToValidUTF8(s, "?")
}

// flushDue wakes the loop to send outcomes of an unfinished batch, unless an exchange took
// them first.
func (l *loop) flushDue() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.flushTimed {
		l.wake()
	}
}

func (l *loop) wake() {
	select {
	case l.wakeup <- struct{}{}:
	default:
	}
}

// applyRetryPolicy sets the back-off of a Retry, or makes it Dead if the attempts are used
// up.
func (l *loop) applyRetryPolicy(ctx context.Context, b *claimBatch, c Claim, o Outcome) Outcome {
	if o.Verdict < Done || o.Verdict > Dead {
		o.Verdict, o.Err = Retry, "handler gave no verdict"
	}
	if o.Verdict != Retry {
		return o
	}
	if l.handlerCtx.Err() != nil || b.lease.Left() <= 0 { // cut short by the drain or by a suspension: the job's next run counts
		o.Verdict, o.Delay = Postpone, 0
		return o
	}
	if l.opts.MaxAttempts > 0 && c.Attempt >= l.opts.MaxAttempts {
		o.Verdict, o.Delay = Dead, 0
		if err := l.callBurier(ctx, c, o.Err); err != nil {
			l.opts.Log.Warn("a job that is to be given up could not be kept: it comes again", "error", err)
			o.Verdict = Postpone
			o.Delay = l.opts.Backoff.Delay(c.Attempt)
		}
		return o
	}
	if o.Delay <= 0 {
		o.Delay = l.opts.Backoff.Delay(c.Attempt)
	}
	return o
}

// callBurier asks the handler before a job is buried.
func (l *loop) callBurier(ctx context.Context, c Claim, why string) (err error) {
	b, ok := l.opts.Handler.(Burier)
	if !ok {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	// The handler's time may be over: what is left of the lease must do.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(grace, l.opts.Lease/10))
	defer cancel()
	return b.Bury(ctx, c, why)
}

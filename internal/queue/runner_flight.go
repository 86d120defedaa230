package queue

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"time"
)

// flight is one batch in the hands of the handler.
type flight struct {
	claims  []Claim
	settled []bool
	left    int
	began   time.Time // when its claim was asked for
	lease   Lease     // the same, by all clocks
}

func (l *loop) flight(claims []Claim, began time.Time, lease Lease) *flight {
	return &flight{claims: claims, settled: make([]bool, len(claims)), left: len(claims), began: began, lease: lease}
}

// launch hands a batch to the handler.
func (l *loop) launch(f *flight) {
	l.mu.Lock()
	l.open += len(f.claims)
	l.busy++
	if f.claims[0].Suspect {
		l.alone = f
	}
	l.mu.Unlock()
	l.flights.Go(func() { l.fly(f) })
}

func (l *loop) fly(f *flight) {
	ctx, cancel := context.WithDeadlineCause(WithLease(l.handlers, f.lease), f.began.Add(l.Lease*5/6), errDeadline)
	defer cancel()
	began := time.Now()
	var work []int
	for i, c := range f.claims {
		if l.MaxAttempts > 0 && c.Attempt > l.MaxAttempts {
			l.settle(ctx, f, i, Outcome{Verdict: Retry, Err: fmt.Sprintf("its lease ran out %d times: it may be what stops workers", c.Attempt-1)})
			continue
		}
		work = append(work, i)
	}
	if len(work) > 0 {
		l.work(ctx, f, work)
		l.Meter.Batch(l.Name, len(work), time.Since(began))
	}
}

// work runs the handler over some claims of a flight and settles what it left.
// When it panicked over several, each is tried alone, so that only the culprit
// has an attempt counted.
func (l *loop) work(ctx context.Context, f *flight, which []int) {
	if ctx.Err() != nil { // too late to begin: nobody is to blame
		for _, i := range which {
			l.settle(ctx, f, i, Outcome{Verdict: Postpone})
		}
		return
	}
	why := "handler returned without a verdict"
	if panicked := l.call(ctx, f, which); panicked != "" {
		why = panicked
	}
	var left []int
	l.mu.Lock()
	for _, i := range which {
		if !f.settled[i] {
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
			l.settle(ctx, f, i, Outcome{Verdict: Retry, Err: why})
		case ctx.Err() != nil: // one of many was slow, and nobody knows which
			l.settle(ctx, f, i, Outcome{Verdict: Postpone, Delay: l.Backoff.Delay(1), Err: why})
		default:
			l.work(ctx, f, []int{i})
		}
	}
}

// call runs the handler once and returns what it panicked with, or "".
func (l *loop) call(ctx context.Context, f *flight, which []int) (panicked string) {
	defer func() {
		if p := recover(); p != nil {
			panicked = fmt.Sprintf("panic: %v", p)
			l.Log.Error("handler panicked", "jobs", len(which), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	batch := make([]Claim, len(which))
	for n, i := range which {
		batch[n] = f.claims[i]
	}
	l.Handler.Handle(ctx, batch, func(n int, o Outcome) { l.settle(ctx, f, which[n], o) })
	return ""
}

// settle takes the verdict for one claim, the first one only.
func (l *loop) settle(ctx context.Context, f *flight, i int, o Outcome) {
	l.mu.Lock()
	twice := f.settled[i]
	f.settled[i] = true
	l.mu.Unlock()
	if twice {
		l.Log.Error("handler settled a job twice: the first verdict stands", "verdict", o.Verdict.String())
		return
	}
	c := f.claims[i]
	o = l.judge(ctx, f, c, o)
	o.Lane, o.Token, o.Err = c.Lane, c.Token, short(o.Err)

	l.mu.Lock()
	defer l.mu.Unlock()
	l.outs = append(l.outs, entry{Outcome: o, expires: f.began.Add(l.Lease)})
	l.open--
	if f.left--; f.left == 0 {
		l.busy--
		if l.alone == f {
			l.alone = nil
		}
		l.poke()
	} else if !l.ripe {
		l.ripe = true
		time.AfterFunc(linger, l.ripen)
	}
}

// short keeps an error fit to be stored.
func short(s string) string {
	const most = 1000
	if len(s) > most {
		s = s[:most]
	}
	return strings.ToValidUTF8(s, "?")
}

// ripen sends verdicts of an unfinished batch on their way, unless they have
// left with others.
func (l *loop) ripen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ripe {
		l.poke()
	}
}

func (l *loop) poke() {
	select {
	case l.signal <- struct{}{}:
	default:
	}
}

// judge gives a Retry its back-off, or ends it when its attempts are used up.
func (l *loop) judge(ctx context.Context, f *flight, c Claim, o Outcome) Outcome {
	if o.Verdict < Done || o.Verdict > Dead {
		o.Verdict, o.Err = Retry, "handler gave no verdict"
	}
	if o.Verdict != Retry {
		return o
	}
	if l.handlers.Err() != nil || f.lease.Left() <= 0 { // cut short by the drain, or by a standstill: its successor's turn
		o.Verdict, o.Delay = Postpone, 0
		return o
	}
	if l.MaxAttempts > 0 && c.Attempt >= l.MaxAttempts {
		o.Verdict, o.Delay = Dead, 0
		if err := l.bury(ctx, c, o.Err); err != nil {
			l.Log.Warn("a job that is to be given up could not be kept: it comes again", "error", err)
			o.Verdict = Postpone
			o.Delay = l.Backoff.Delay(c.Attempt)
		}
		return o
	}
	if o.Delay <= 0 {
		o.Delay = l.Backoff.Delay(c.Attempt)
	}
	return o
}

// bury gives the handler the last word on a job.
func (l *loop) bury(ctx context.Context, c Claim, why string) (err error) {
	b, ok := l.Handler.(Burier)
	if !ok {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	// The handler's time may be over: what is left of the lease must do.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(grace, l.Lease/10))
	defer cancel()
	return b.Bury(ctx, c, why)
}

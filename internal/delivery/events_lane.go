package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
)

// eventOutageThreshold is how many consecutive failures, of any conversations, make the
// fault the endpoint's.
const eventOutageThreshold = 3

// refusedProbe is for an endpoint that refuses every request: often it is only being
// deployed.
var refusedProbe = queue.Backoff{Base: 5 * time.Second, Cap: 2 * time.Minute}

// pushConversation posts the events of one conversation, moves its cursor, and returns what
// its lane does next.
func (e *Events) pushConversation(ctx context.Context, c queue.Claim, list []store.Event) queue.Outcome {
	var began time.Time
	posted := 0
	for {
		if len(list) == 0 {
			return queue.Outcome{Verdict: queue.Done}
		}
		if e.acquireSlot(ctx, eventSlotTimeout) != nil {
			return queue.Outcome{Verdict: queue.Postpone, Delay: outageDelay}
		}
		if began.IsZero() {
			began = time.Now()
		}
		out, n := e.postEvents(ctx, c, list, began, &posted)
		<-e.slots
		if n > 0 {
			cursor := store.Cursor{Conversation: c.Lane, Seq: list[n-1].Seq}
			if err := e.moveCursor(ctx, cursor); err != nil {
				// The events come again: delivery is at least once.
				e.opts.Log.Warn("cursor not written: events will come twice", "conversation", c.Lane, "error", err)
				if errors.Is(err, store.ErrUnavailable) {
					e.hold.Trip(ctx, storeUnavailable, err.Error(), queue.Backoff{}, 0)
				}
				return queue.Outcome{Verdict: queue.Postpone, Delay: outageDelay, Err: err.Error()}
			}
		}
		switch {
		case out.Verdict != 0:
			return out
		case n < len(list) || posted > 0 && len(list) == eventPage:
			return e.yieldLane(ctx, c)
		case len(list) < eventPage:
			return queue.Outcome{Verdict: queue.Done}
		}
		// None of the events was wanted: that costs no turn.
		var err error
		if list, err = e.opts.Store.PendingEvents(ctx, e.opts.Name, []string{c.Lane}, eventPage); err != nil {
			return queue.Outcome{Verdict: queue.Postpone, Delay: outageDelay, Err: err.Error()}
		}
	}
}

// postEvents posts the wanted events of the list until its turn is over, and returns how
// many of the list are done. The zero Outcome means success.
func (e *Events) postEvents(ctx context.Context, c queue.Claim, list []store.Event, began time.Time, posted *int) (out queue.Outcome, n int) {
	for _, ev := range list {
		switch {
		case ev.Pos == 0:
			return queue.Outcome{Verdict: queue.Postpone, Delay: unnumbered}, n
		case !e.opts.Wants.Match(ev):
			n++
			continue
		case *posted > 0 && (e.opts.Rate.Rate > 0 || time.Since(began) > eventTurn || e.hold.Held()), ctx.Err() != nil:
			return queue.Outcome{}, n // a rate counts jobs: one event each
		}
		if out := e.postEvent(ctx, c, ev); out.Verdict != 0 {
			return out, n
		}
		*posted++
		n++
	}
	return queue.Outcome{}, n
}

// yieldLane lets the other lanes have a turn before this one continues. A new job has no
// failed attempts of the old one.
func (e *Events) yieldLane(ctx context.Context, c queue.Claim) queue.Outcome {
	if c.Attempt > 1 && ctx.Err() == nil {
		if _, err := e.opts.Queue.Enqueue(ctx, []queue.Job{{Queue: job.EventQueue(e.opts.Name), Lane: c.Lane}}); err == nil {
			return queue.Outcome{Verdict: queue.Done}
		}
	}
	return queue.Outcome{Verdict: queue.Postpone}
}

// postEvent posts an event. The zero Outcome means that it was taken.
func (e *Events) postEvent(ctx context.Context, c queue.Claim, ev store.Event) queue.Outcome {
	began, call := time.Now(), stallLease(e.opts.PostTimeout)
	err := e.post(ctx, ev)
	took := time.Since(began)
	if err == nil {
		e.answered()
		e.hold.Clear(began)
		e.opts.Meter.Pushed(e.opts.Name, "taken", took)
		e.opts.Log.Debug("event taken", "id", ev.ID, "type", ev.Type, "conversation", ev.Conversation, "seq", ev.Seq, "ms", took.Milliseconds())
		return queue.Outcome{}
	}
	if ctx.Err() != nil || stalled(ctx, call) || errors.Is(err, httpcall.ErrNotBegun) {
		// The drain is over, or it was too late: not the endpoint's fault.
		return queue.Outcome{Verdict: queue.Postpone}
	}
	f, ok := errors.AsType[*outbound.Failure](err)
	if !ok {
		f = &outbound.Failure{Class: outbound.Retry, Detail: fmt.Sprintf("unclassified error %T", err)}
	}
	e.opts.Meter.Pushed(e.opts.Name, string(f.Class), took)
	e.opts.Log.Warn("event not taken", "id", ev.ID, "type", ev.Type, "conversation", ev.Conversation, "seq", ev.Seq,
		"class", f.Class, "code", f.Code, "detail", f.Detail, "attempt", c.Attempt, "ms", took.Milliseconds())
	switch f.Class {
	case outbound.Throttle:
		return e.holdEndpoint(ctx, f, "the endpoint cannot be reached, or asks for less", queue.Backoff{})
	case outbound.Auth:
		return e.holdEndpoint(ctx, f, "the endpoint refuses us: a person must look at its address, secret and permission", refusedProbe)
	}
	if e.failed() {
		return e.holdEndpoint(ctx, f, "the endpoint takes no event", queue.Backoff{})
	}
	return queue.Outcome{Verdict: queue.Retry, Delay: max(f.Wait, e.opts.Backoff.Delay(c.Attempt)), Err: f.Detail}
}

// post calls the pusher and turns a panic into an error.
func (e *Events) post(ctx context.Context, ev store.Event) (err error) {
	defer func() {
		if r := recover(); r != nil {
			e.opts.Log.Error("pusher panicked", "id", ev.ID, "panic", fmt.Sprint(r))
			err = &outbound.Failure{Class: outbound.Retry, Detail: "the pusher panicked"}
		}
	}()
	ctx, cancel := context.WithTimeout(httpcall.WithGate(ctx, e.gate(ctx, e.opts.PostTimeout)), e.opts.PostTimeout)
	defer cancel()
	return e.opts.Pusher.Push(ctx, ev)
}

// holdEndpoint holds the whole endpoint. The lane comes back after those that were
// postponed with it, so that the next probe is of another conversation.
func (e *Events) holdEndpoint(ctx context.Context, f *outbound.Failure, why string, b queue.Backoff) queue.Outcome {
	e.hold.Trip(ctx, why, f.Detail, b, f.Wait)
	return queue.Outcome{Verdict: queue.Postpone, Delay: 2 * outageDelay, Err: f.Detail}
}

func (e *Events) answered() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failing = 0
}

// failed counts a failure and reports whether so many came in a row that the fault is the
// endpoint's.
func (e *Events) failed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failing++
	return e.failing >= eventOutageThreshold
}

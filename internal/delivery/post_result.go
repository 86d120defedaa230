package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

const (
	// maxPairDelay bounds the wait for a person who gets too many messages (4^4 s).
	maxPairDelay = 256 * time.Second
	// outageThreshold is how many conversations in a row must fail, without a clear answer
	// in between, for the fault to be the line's.
	outageThreshold = 3
)

// authProbe is for a line that needs a person to fix it.
var authProbe = queue.Backoff{Base: 30 * time.Second, Cap: 10 * time.Minute}

// postResult is the result of a post, for its row and for its lane.
type postResult struct {
	name   string // for logs and metrics
	status store.Status
	reason router.Reason
	id     string
	waID   string // the phone by which WhatsApp knows the recipient, "" for no change
	code   int
	detail string
	// unbegun is set when nothing was sent: the row stays queued without an attempt.
	unbegun bool
	// lane is what the lane does while the row stays queued; the zero Outcome if the row is
	// over and the next one may go.
	lane queue.Outcome
	// rowOnly is set when only this message, or its person, has to wait.
	rowOnly bool
}

// notBegun is the result of a row that is given back unchanged. It is nobody's fault.
func (s *Sends) notBegun(detail string) postResult {
	return postResult{
		name: string(outbound.NotBegun), status: store.Queued, detail: detail, unbegun: true,
		lane: queue.Outcome{Verdict: queue.Postpone, Err: detail},
	}
}

// forNotice returns the result for a notice. A wait of its own must not delay an answer:
// the notice releases its lane, and the pump's sweep of pending rows wakes it again within
// two minutes. See unit.Unit.Claim.
func (r postResult) forNotice() postResult {
	if r.rowOnly {
		r.lane = queue.Outcome{Verdict: queue.Done}
	}
	return r
}

// classify turns a sender's error into a postResult. If this process stalled in the call,
// the error counts for its message and says nothing about the line.
func (s *Sends) classify(ctx context.Context, c queue.Claim, row string, call queue.Lease, began time.Time, id string, err error) postResult {
	if err == nil {
		s.health.answered(c.Lane)
		s.refusals.accepted(began)
		s.hold.Clear(began)
		return postResult{name: "sent", status: store.Sent, id: id}
	}
	f, ok := errors.AsType[*outbound.Failure](err)
	if !ok {
		// Its text may hold anything, so it is not shown.
		f = &outbound.Failure{Class: outbound.Uncertain, Detail: fmt.Sprintf("unclassified error %T", err)}
	}
	still := stalled(ctx, call)
	if f.Class == outbound.NotBegun || still && f.Class != outbound.Permanent && f.Class != outbound.Uncertain {
		return s.notBegun(f.Detail)
	}
	r := postResult{name: string(f.Class), status: store.Queued, code: f.Code, detail: f.Detail}
	switch f.Class {
	case outbound.Permanent:
		s.health.answered(c.Lane)
		s.hold.Clear(began)
		r.status, r.reason = store.Failed, router.Refused
	case outbound.Pair:
		s.hold.Clear(began)
		r.lane, r.rowOnly = queue.Outcome{Verdict: queue.Postpone, Delay: max(f.Wait, s.health.pairDelay(c.Lane)), Err: f.Error()}, true
	case outbound.Throttle:
		r.lane = s.holdLine(ctx, f, "sending is throttled or WhatsApp is down", queue.Backoff{})
	case outbound.Auth:
		r.lane = s.holdLine(ctx, f, "WhatsApp refuses our token, permission or account: a person must act", authProbe)
	case outbound.Unknown:
		return s.judgeRefusal(ctx, c.Lane, row, f, r)
	case outbound.Retry:
		if s.health.failed(c.Lane) {
			r.lane = s.holdLine(ctx, f, "nothing can be sent", queue.Backoff{})
			break
		}
		if c.Attempt >= s.opts.MaxAttempts {
			r.status, r.reason = store.Failed, router.Refused
			r.detail = fmt.Sprintf("gave up after %d attempts: %s", c.Attempt, f.Detail)
			s.health.forget(c.Lane)
			break
		}
		r.lane, r.rowOnly = queue.Outcome{Verdict: queue.Retry, Delay: max(f.Wait, s.opts.Backoff.Delay(c.Attempt)), Err: f.Error()}, true
	default: // uncertain
		r.name = string(outbound.Uncertain)
		r.status, r.reason = store.Uncertain, router.UncertainFor
		if !still && s.health.failed(c.Lane) {
			s.holdLine(ctx, f, "answers do not come: what is sent becomes uncertain", queue.Backoff{})
		}
	}
	return r
}

// holdLine holds the whole line and gives the lane back uncounted. The lane comes back
// after those that were postponed with it, so that the next probe is of another
// conversation: a refusal of one message must not stop all others. A longer wait that may
// concern one message applies to that message alone.
func (s *Sends) holdLine(ctx context.Context, f *outbound.Failure, why string, b queue.Backoff) queue.Outcome {
	least, delay := f.Wait, 2*outageDelay
	if f.Class == outbound.Retry || f.Class == outbound.Unknown {
		least, delay = 0, max(delay, f.Wait)
	}
	s.hold.Trip(ctx, why, fmt.Sprintf("%s (code %d)", f.Detail, f.Code), b, least)
	return queue.Outcome{Verdict: queue.Postpone, Delay: delay, Err: f.Error()}
}

// lineHealth remembers, for this process, who gets too many messages, and which
// conversations have failed since the line last gave an answer.
type lineHealth struct {
	mu      sync.Mutex
	pairs   map[string]int
	failing map[string]bool
	busy    map[string]int // consecutive times that its contact was locked
}

// pairDelay returns how long a conversation waits after one more pair refusal.
func (h *lineHealth) pairDelay(conversation string) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.failing)
	wait := time.Second
	for range h.pairs[conversation] {
		wait = min(4*wait, maxPairDelay)
	}
	h.pairs[conversation]++
	return wait
}

// busyInARow counts one more time that the contact was locked, and returns how many in a
// row.
func (h *lineHealth) busyInARow(conversation string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.busy[conversation]++
	return h.busy[conversation]
}

// contactFree ends that count.
func (h *lineHealth) contactFree(conversation string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.busy, conversation)
}

// failed notes an unclear failure, and reports whether so many conversations have them that
// the fault is the line's.
func (h *lineHealth) failed(conversation string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failing == nil {
		h.failing = map[string]bool{}
	}
	if len(h.failing) < outageThreshold {
		h.failing[conversation] = true
	}
	return len(h.failing) >= outageThreshold
}

// answered notes that the line works.
func (h *lineHealth) answered(conversation string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.failing)
	delete(h.pairs, conversation)
}

// forget drops the state of a conversation that has nothing more to send.
func (h *lineHealth) forget(conversation string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.pairs, conversation)
	delete(h.failing, conversation)
}

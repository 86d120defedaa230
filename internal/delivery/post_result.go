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
	// maxPairDelay bounds the wait for a person who gets too much (4^4 s).
	maxPairDelay = 256 * time.Second
	// outageThreshold is how many conversations in a row must fail, without an answer
	// that makes sense in between, for the fault to be the line's.
	outageThreshold = 3
)

// authProbe is how a line is probed that a human must put right.
var authProbe = queue.Backoff{Base: 30 * time.Second, Cap: 10 * time.Minute}

// postResult is what a post came to: for its row, and for its lane.
type postResult struct {
	name   string // for logs and metrics
	status store.Status
	reason router.Reason
	id     string
	waID   string // by which WhatsApp knows the recipient, "" for no change
	code   int
	detail string
	// unbegun is set when nothing left: the row stays queued, and it was no attempt.
	unbegun bool
	// lane is what the lane does while the row stays queued; the zero Outcome
	// when the row is over and the next one may go.
	lane queue.Outcome
	// rowOnly is set when it is this message, or its person, that has to wait.
	rowOnly bool
}

// notBegun is the result of a row that is given back as it was. It is nobody's fault.
func (s *Sends) notBegun(detail string) postResult {
	return postResult{
		name: string(outbound.NotBegun), status: store.Queued, detail: detail, unbegun: true,
		lane: queue.Outcome{Verdict: queue.Postpone, Err: detail},
	}
}

// forNotice is the result for a notice. What it alone must wait for keeps nobody's
// answer back: it lets its lane go, and the pump's walk over what is pending wakes it
// again within two minutes. See unit.Unit.Claim.
func (r postResult) forNotice() postResult {
	if r.rowOnly {
		r.lane = queue.Outcome{Verdict: queue.Done}
	}
	return r
}

// classify turns what a sender said of a row into a postResult. What a call says in which this
// process stood still is true of its message, and says nothing about the line.
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

// holdLine holds the whole line and gives the lane back uncounted. It comes back
// after those that were postponed beside it, so that the next probe is another
// conversation's: what one message alone is refused for must not stop them all. Nor
// must the wait that comes with what may be one message's: that one alone waits so long.
func (s *Sends) holdLine(ctx context.Context, f *outbound.Failure, why string, b queue.Backoff) queue.Outcome {
	least, delay := f.Wait, 2*outageDelay
	if f.Class == outbound.Retry || f.Class == outbound.Unknown {
		least, delay = 0, max(delay, f.Wait)
	}
	s.hold.Trip(ctx, why, fmt.Sprintf("%s (code %d)", f.Detail, f.Code), b, least)
	return queue.Outcome{Verdict: queue.Postpone, Delay: delay, Err: f.Error()}
}

// lineHealth remembers, for this process, who gets too much and which
// conversations have failed since the line last gave an answer.
type lineHealth struct {
	mu      sync.Mutex
	pairs   map[string]int
	failing map[string]bool
	busy    map[string]int // how often its contact was in somebody else's hands, in a row
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

// busyInARow returns how often in a row the contact of a conversation was held.
func (h *lineHealth) busyInARow(conversation string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.busy[conversation]++
	return h.busy[conversation]
}

// contactFree says that it is no more.
func (h *lineHealth) contactFree(conversation string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.busy, conversation)
}

// failed notes a failure that says nothing clear, and reports whether so many
// conversations have them that the fault is the line's.
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

// forget drops what is known of a conversation that has nothing more to send.
func (h *lineHealth) forget(conversation string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.pairs, conversation)
	delete(h.failing, conversation)
}

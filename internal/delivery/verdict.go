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
	// longestPair bounds the wait for a person who gets too much (4^4 s).
	longestPair = 256 * time.Second
	// streak is how many conversations in a row must fail, without an answer
	// that makes sense in between, for the fault to be the line's.
	streak = 3
)

// authProbe is how a line is probed that a human must put right.
var authProbe = queue.Backoff{Base: 30 * time.Second, Cap: 10 * time.Minute}

// verdict is what a post came to: for its row, and for its lane.
type verdict struct {
	name   string // for logs and metrics
	status store.Status
	reason router.Reason
	id     string
	waID   string // by which WhatsApp knows the recipient, "" for no news
	code   int
	detail string
	// unbegun is set when nothing left: the row stays queued, and it was no attempt.
	unbegun bool
	// lane is what the lane does while the row stays queued; the zero Outcome
	// when the row is over and the next one may go.
	lane queue.Outcome
	// alone is set when it is this message, or its person, that has to wait.
	alone bool
}

// notBegun is the verdict on a row that is given back as it was. It is nobody's fault.
func (s *Sends) notBegun(detail string) verdict {
	return verdict{
		name: string(outbound.NotBegun), status: store.Queued, detail: detail, unbegun: true,
		lane: queue.Outcome{Verdict: queue.Postpone, Err: detail},
	}
}

// notice is the verdict on a notice. What it alone must wait for keeps nobody's
// answer back: it lets its lane go, and the pump's walk over what is pending wakes it
// again within two minutes. See store.Unit.Claim.
func (v verdict) notice() verdict {
	if v.alone {
		v.lane = queue.Outcome{Verdict: queue.Done}
	}
	return v
}

// judge turns what a sender said of a row into a verdict. What a call says in which this
// process stood still is true of its message, and says nothing about the line.
func (s *Sends) judge(ctx context.Context, c queue.Claim, row string, call queue.Lease, began time.Time, id string, err error) verdict {
	if err == nil {
		s.trouble.answered(c.Lane)
		s.suspects.accepted(began)
		s.hold.Clear(began)
		return verdict{name: "sent", status: store.Sent, id: id}
	}
	f, ok := errors.AsType[*outbound.Failure](err)
	if !ok {
		// Its text may hold anything, so it is not shown.
		f = &outbound.Failure{Class: outbound.Uncertain, Detail: fmt.Sprintf("unclassified error %T", err)}
	}
	still := stood(ctx, call)
	if f.Class == outbound.NotBegun || still && f.Class != outbound.Permanent && f.Class != outbound.Uncertain {
		return s.notBegun(f.Detail)
	}
	v := verdict{name: string(f.Class), status: store.Queued, code: f.Code, detail: f.Detail}
	switch f.Class {
	case outbound.Permanent:
		s.trouble.answered(c.Lane)
		s.hold.Clear(began)
		v.status, v.reason = store.Failed, router.Refused
	case outbound.Pair:
		s.hold.Clear(began)
		v.lane, v.alone = queue.Outcome{Verdict: queue.Postpone, Delay: max(f.Wait, s.trouble.pair(c.Lane)), Err: f.Error()}, true
	case outbound.Throttle:
		v.lane = s.stop(ctx, f, "sending is throttled or WhatsApp is down", queue.Backoff{})
	case outbound.Auth:
		v.lane = s.stop(ctx, f, "WhatsApp refuses our token, permission or account: a person must act", authProbe)
	case outbound.Unknown:
		return s.suspected(ctx, c.Lane, row, f, v)
	case outbound.Retry:
		if s.trouble.failed(c.Lane) {
			v.lane = s.stop(ctx, f, "nothing can be sent", queue.Backoff{})
			break
		}
		if c.Attempt >= s.MaxAttempts {
			v.status, v.reason = store.Failed, router.Refused
			v.detail = fmt.Sprintf("gave up after %d attempts: %s", c.Attempt, f.Detail)
			s.trouble.forget(c.Lane)
			break
		}
		v.lane, v.alone = queue.Outcome{Verdict: queue.Retry, Delay: max(f.Wait, s.Backoff.Delay(c.Attempt)), Err: f.Error()}, true
	default: // uncertain
		v.name = string(outbound.Uncertain)
		v.status, v.reason = store.Uncertain, router.UncertainFor
		if !still && s.trouble.failed(c.Lane) {
			s.stop(ctx, f, "answers do not come: what is sent becomes uncertain", queue.Backoff{})
		}
	}
	return v
}

// stop holds the whole line and gives the lane back uncounted. It comes back
// after those that were postponed beside it, so that the next probe is another
// conversation's: what one message alone is refused for must not stop them all. Nor
// must the wait that comes with what may be one message's: that one alone waits so long.
func (s *Sends) stop(ctx context.Context, f *outbound.Failure, why string, b queue.Backoff) queue.Outcome {
	least, delay := f.Wait, 2*pause
	if f.Class == outbound.Retry || f.Class == outbound.Unknown {
		least, delay = 0, max(delay, f.Wait)
	}
	s.hold.Trip(ctx, why, fmt.Sprintf("%s (code %d)", f.Detail, f.Code), b, least)
	return queue.Outcome{Verdict: queue.Postpone, Delay: delay, Err: f.Error()}
}

// trouble remembers, for this process, who gets too much and which
// conversations have failed since the line last gave an answer.
type trouble struct {
	mu      sync.Mutex
	pairs   map[string]int
	failing map[string]bool
	busy    map[string]int // how often its contact was in somebody else's hands, in a row
}

// pair returns how long a conversation waits after one more pair refusal.
func (t *trouble) pair(conversation string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.failing)
	wait := time.Second
	for range t.pairs[conversation] {
		wait = min(4*wait, longestPair)
	}
	t.pairs[conversation]++
	return wait
}

// held returns how often in a row the contact of a conversation was held.
func (t *trouble) held(conversation string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy[conversation]++
	return t.busy[conversation]
}

// free says that it is no more.
func (t *trouble) free(conversation string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.busy, conversation)
}

// failed notes a failure that says nothing clear, and reports whether so many
// conversations have them that the fault is the line's.
func (t *trouble) failed(conversation string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failing == nil {
		t.failing = map[string]bool{}
	}
	if len(t.failing) < streak {
		t.failing[conversation] = true
	}
	return len(t.failing) >= streak
}

// answered notes that the line works.
func (t *trouble) answered(conversation string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.failing)
	delete(t.pairs, conversation)
}

// forget drops what is known of a conversation that has nothing more to send.
func (t *trouble) forget(conversation string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.pairs, conversation)
	delete(t.failing, conversation)
}

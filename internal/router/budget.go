package router

import (
	"time"

	"github.com/psivisionhub/psi-router/internal/flow"
)

// settle finishes a decision: it applies the budget, and sets FileAt for joinsFile.
func (t *turn) settle(d Decision) Decision {
	d = t.budgeted(d)
	switch {
	case t.class == classMedia && len(d.Replies) > 0:
		d.Next.FileAt = later(t.was.FileAt, t.wroteAt)
	case d.Next.Menu != t.was.Menu:
		d.Next.FileAt = time.Time{} // the next file is about something else
	}
	return d
}

// budgeted keeps a conversation within its hourly budget of automatic messages, so that two
// robots cannot talk for ever. When the budget is used up, a person is offered once; after
// that nothing is sent and nothing changes until old messages leave the hour. A hand-off
// always goes through, as it ends the loop.
func (t *turn) budgeted(d Decision) Decision {
	if len(d.Replies) == 0 {
		return d
	}
	limit := t.flow.Policies.AutoPerHour
	if limit < 1 {
		limit = flow.DefaultAutoPerHour
	}
	auto := recent(d.Next.Auto, t.now)
	used := len(auto)
	if d.Handoff == nil && used >= limit {
		t.next = touched(t.was, t.next)
		if used > limit || t.was.Offered || t.was.State != StateMenu || d.Reason == TemplateButton || d.OptOut || d.OptIn {
			quiet := t.silent(Budget)
			quiet.Label, quiet.OptOut, quiet.OptIn = d.Label, d.OptOut, d.OptIn
			return quiet
		}
		d = t.offer()
	}
	if d.Reason != TemplateButton { // that changes nothing
		d.Next.Offered = d.Reason == OfferPerson
	}
	auto = append(auto, t.now.Unix())
	d.Next.Auto = auto[max(0, len(auto)-(limit+1)):]
	return d
}

// touched returns the conversation as it was, with only the times that touch set.
func touched(was, next Conversation) Conversation {
	was.LastInbound, was.TimeoutAt = next.LastInbound, later(was.TimeoutAt, next.TimeoutAt)
	return was
}

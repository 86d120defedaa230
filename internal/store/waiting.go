package store

import (
	"time"

	"github.com/psivisionhub/psi-router/internal/router"
)

// waitingSince returns since when the person waits for one of ours, once a decision is
// carried out; zero for not at all. Somebody waits from the hand-off on, or from
// their first message after our last one, until one of ours writes (an agent, or
// the phone of the line) or the hand-off ends. A transfer goes on waiting. A
// thank-you asks for nothing, nor does what gets no answer whatever the state
// (reactions, notices, stale and late messages). While disconnected, nobody
// is owed anything.
func (u *Unit) waitingSince(conv *ConversationRow, next router.Conversation, d router.Decision, c cause) time.Time {
	before := conv.Conversation.Conversation
	if next.State != router.StateHandedOff || next.LastHuman.After(before.LastHuman) {
		return time.Time{}
	}
	if !conv.WaitingSince.IsZero() && !d.Closed {
		return conv.WaitingSince
	}
	in := c.inbound()
	asks := d.Handoff != nil || d.Reason == router.HandedOffSilent && in != nil && !u.rules(conv.Line).Thanks(in.Text)
	switch {
	case !asks:
		return time.Time{}
	case in != nil:
		return earlier(u.Now, in.ReceivedAt)
	}
	return u.Now
}

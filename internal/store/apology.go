package store

import (
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/router"
)

// owesApology says that the person who was left gets an apology: once for each word, and only
// for what an outage does. What may have been sent is not repeated in other words, and
// who used up the hour's messages may be a robot.
func (u *Unit) owesApology(conv *ConversationRow) bool {
	ofOutage := []router.Reason{router.Stale, router.Late, router.Invalid, router.Expired, router.Refused}
	tree := u.rules(conv.Line).Flow
	return tree != nil && tree.Policies.AfterOutage != flow.AfterOutageList && tree.Policies.AfterOutage != "" &&
		!conv.Left.Since.IsZero() && !conv.AskedAt.Equal(conv.ApologizedFor) && slices.Contains(ofOutage, conv.Left.Reason)
}

// Apologize fires the timer of an apology, when there is still something to say. What
// is said are notices: they leave behind the answers to who writes now, and do not count
// as an answer.
func (u *Unit) Apologize(conv *ConversationRow) bool {
	if !u.owesApology(conv) || u.isWindowClosedSince(conv.Line, later(conv.LastInbound, conv.AskedAt)) {
		return false
	}
	asked, r := conv.AskedAt, u.rules(conv.Line)
	cmd := router.Command{Kind: router.CommandApologize}
	d := r.Apply(conv.Conversation.Conversation, cmd, u.Now)
	if d.Reason == router.NoEffect {
		return false
	}
	u.applyDecision(conv, d, cause{By: "timer", Notice: true})
	conv.ApologizedFor, conv.Changed = asked, true
	u.addAudit(conv, "timer", cmd)
	return true
}

// lastInboundFor is when the person wrote last, for a message of ours. What came by a detour
// opens the window too, but only an apology knows of it: it changes nothing else.
func (conv *ConversationRow) lastInboundFor(m *MessageRow) time.Time {
	if isAutomatic(m) && m.Notice {
		return later(conv.LastInbound, conv.ApologizedFor)
	}
	return conv.LastInbound
}

// isApologyMoot says that nobody needs an apology any more: the person was answered, by the team
// too that the apology gives them to, or said something since for which there will be
// another one.
func (conv *ConversationRow) isApologyMoot(m *MessageRow) bool {
	due := conv.AskedAt.Equal(conv.ApologizedFor) && conv.AskedAt.After(conv.AnsweredAt)
	return isRouted(conv.State) && !due || conv.LastHuman.After(m.CreatedAt)
}

package store

import (
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/router"
)

// sorry says that the person who was left gets an apology: once for each word, and only
// for what an outage does. What may have been sent is not repeated in other words, and
// who used up the hour's messages may be a robot.
func (b *Book) sorry(t *TalkRow) bool {
	ofOutage := []router.Reason{router.Stale, router.Late, router.Invalid, router.Expired, router.Refused}
	tree := b.rules(t.Line).Flow
	return tree != nil && tree.Policies.AfterOutage != flow.AfterOutageList && tree.Policies.AfterOutage != "" &&
		!t.Left.Since.IsZero() && !t.AskedAt.Equal(t.ApologizedFor) && slices.Contains(ofOutage, t.Left.Reason)
}

// Apologize fires the timer of an apology, when there is still something to say. What
// is said are notices: they leave behind the answers to who writes now, and do not count
// as an answer.
func (b *Book) Apologize(t *TalkRow) bool {
	if !b.sorry(t) || b.shutSince(t.Line, later(t.LastInbound, t.AskedAt)) {
		return false
	}
	asked, r := t.AskedAt, b.rules(t.Line)
	cmd := router.Command{Kind: router.CommandApologize}
	d := r.Apply(t.Conversation.Conversation, cmd, b.Now)
	if d.Reason == router.NoEffect {
		return false
	}
	b.apply(t, d, cause{By: "timer", Notice: true})
	t.ApologizedFor, t.Changed = asked, true
	b.audit(t, "timer", cmd)
	return true
}

// wrote is when the person wrote last, for a message of ours. What came by a detour
// opens the window too, but only an apology knows of it: it changes nothing else.
func (t *TalkRow) wrote(m *MessageRow) time.Time {
	if automatic(m) && m.Notice {
		return later(t.LastInbound, t.ApologizedFor)
	}
	return t.LastInbound
}

// moot says that nobody needs an apology any more: the person was answered, by the team
// too that the apology gives them to, or said something since for which there will be
// another one.
func (t *TalkRow) moot(m *MessageRow) bool {
	due := t.AskedAt.Equal(t.ApologizedFor) && t.AskedAt.After(t.SaidAt)
	return routed(t.State) && !due || t.LastHuman.After(m.CreatedAt)
}

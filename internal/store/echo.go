package store

import (
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
)

// receiveEcho handles what our own side said from another device: a row of its own, and
// a human who took over. What we sent ourselves comes back too on some lines;
// that only confirms its row.
func (u *Unit) receiveEcho(a *inbound.Arrival) Result {
	if m := u.findEchoed(a); m != nil {
		u.markAccepted(m, a.ID)
		r := u.duplicateResult(m, nil)
		r.Reason = router.EchoSent
		return r
	}
	conv, m := u.storeMessage(a)
	m.Reason = router.EchoSent
	u.applyParked(m)
	d := router.Decision{Next: conv.Conversation.Conversation, Reason: router.EchoSent}
	switch {
	case a.Late:
		d.Reason = router.Late
	case u.isStale(a):
		d.Reason = router.Stale
	case !router.Says(a.Content.Type):
		d.Reason = router.System
	default:
		r := u.rules(conv.Line)
		d = r.Apply(conv.Conversation.Conversation, router.Command{Kind: router.CommandAgentSent, Area: conv.LastArea}, u.Now)
		d.Reason = router.EchoSent
	}
	m.Reason = d.Reason
	out := u.applyToMessage(conv, m, d, a, string(AuthorPhone))
	if d.Changed {
		u.addAudit(conv, string(AuthorPhone), router.Command{Kind: router.CommandAgentSent})
	}
	return out
}

// findEchoed returns the row of ours that an echo repeats: by its provider id, or, while
// the answer to its post is still out, by what it says.
func (u *Unit) findEchoed(a *inbound.Arrival) *MessageRow {
	contact := u.lookupContact(a.Person)
	m := u.findOutgoing(contact, a.Line, a.ID, func(m *MessageRow) bool { return m.DedupKey == "" })
	if m != nil || contact == nil {
		return m
	}
	conv := contact.conversations[a.Line]
	if conv == nil {
		return nil
	}
	for _, m := range u.Messages {
		if m.ConversationRow.Survivor() != conv || m.DedupKey != "" || m.ProviderID != "" {
			continue
		}
		if (m.Status == Sending || m.Status == Uncertain) && u.says(m, a) {
			return m
		}
	}
	return nil
}

// wordless is for how long a file without a word of ours may come back as an echo when
// it is not known whether it left: later it is one that somebody sent from the phone.
const wordless = time.Hour

// says reports whether an echo is what the row had to say. A menu that went as text
// begins with its question and goes on with its options. A file without a caption is
// known by its type alone.
func (u *Unit) says(m *MessageRow, a *inbound.Arrival) bool {
	want, text := m.Text, strings.TrimSpace(a.Content.Text)
	if m.Body.Reply != nil {
		want = m.Body.Reply.Text
	}
	if want = strings.TrimSpace(want); want != "" {
		return strings.HasPrefix(text, want)
	}
	return m.Media != nil && m.Type == a.Content.Type && text == "" &&
		(m.Status == Sending || u.Now.Sub(m.CreatedAt) < wordless)
}

package store

import (
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
)

// echo handles what our own side said from another device: a row of its own, and
// a human who took over. What we sent ourselves comes back too on some lines;
// that only confirms its row.
func (b *Book) echo(a *inbound.Arrival) Result {
	if m := b.ours(a); m != nil {
		b.accepted(m, a.ID)
		r := b.repeat(m, nil)
		r.Reason = router.EchoSent
		return r
	}
	t, m := b.store(a)
	m.Reason = router.EchoSent
	b.unpark(m)
	d := router.Decision{Next: t.Conversation.Conversation, Reason: router.EchoSent}
	switch {
	case a.Late:
		d.Reason = router.Late
	case b.stale(a):
		d.Reason = router.Stale
	case !router.Says(a.Content.Type):
		d.Reason = router.System
	default:
		r := b.rules(t.Line)
		d = r.Apply(t.Conversation.Conversation, router.Command{Kind: router.CommandAgentSent, Area: t.LastArea}, b.Now)
		d.Reason = router.EchoSent
	}
	m.Reason = d.Reason
	out := b.decided(t, m, d, a, string(AuthorPhone))
	if d.Changed {
		b.audit(t, string(AuthorPhone), router.Command{Kind: router.CommandAgentSent})
	}
	return out
}

// ours returns the row of ours that an echo repeats: by its provider id, or, while
// the answer to its post is still out, by what it says.
func (b *Book) ours(a *inbound.Arrival) *MessageRow {
	who := b.known(a.Person)
	m := b.ofOurs(who, a.Line, a.ID, func(m *MessageRow) bool { return m.Origin == "" })
	if m != nil || who == nil {
		return m
	}
	t := who.talks[a.Line]
	if t == nil {
		return nil
	}
	for _, m := range b.Messages {
		if m.Talk.final() != t || m.Origin != "" || m.ProviderID != "" {
			continue
		}
		if (m.Status == Sending || m.Status == Uncertain) && b.says(m, a) {
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
func (b *Book) says(m *MessageRow, a *inbound.Arrival) bool {
	want, text := m.Text, strings.TrimSpace(a.Content.Text)
	if m.Body.Reply != nil {
		want = m.Body.Reply.Text
	}
	if want = strings.TrimSpace(want); want != "" {
		return strings.HasPrefix(text, want)
	}
	return m.Media != nil && m.Type == a.Content.Type && text == "" &&
		(m.Status == Sending || b.Now.Sub(m.CreatedAt) < wordless)
}

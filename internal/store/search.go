package store

import (
	"slices"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
)

// Search lists the conversations of which a batch needs the last messages: where
// no message has the id that a target names, so that they have to be looked at
// one by one, and where one that was spooled may have been overtaken.
func (b *Book) Search(batch []inbound.Arrival) []*TalkRow {
	var in []*TalkRow
	for i := range batch {
		a := &batch[i]
		who := b.known(a.Person)
		if who == nil || who.talks[a.Line] == nil {
			continue
		}
		t, id := who.talks[a.Line], target(a)
		unnamed := id != "" && b.own(who, a.Line, id) == nil && stanza(id) != ""
		doubtful := a.Spooled && isMessage(a) && id == "" && t.LastMessageAt.After(a.ReceivedAt) && !t.LastInbound.After(a.ReceivedAt)
		if (unnamed || doubtful) && !slices.Contains(in, t) {
			in = append(in, t)
		}
	}
	return in
}

// overtaken says that an arrival was spooled and something of its conversation
// that came to the door after it has been handled before it. The conversation
// knows when the last message was said, which is before it came, and when the
// last thing happened, which may be a reply: between the two only its messages
// tell. See Search.
func (b *Book) overtaken(a *inbound.Arrival) bool {
	if !a.Spooled {
		return false
	}
	who := b.known(a.Person)
	if who == nil || who.talks[a.Line] == nil {
		return false
	}
	t := who.talks[a.Line]
	return t.LastInbound.After(a.ReceivedAt) || slices.ContainsFunc(b.Messages, func(m *MessageRow) bool {
		return m.Origin != "" && m.Reason != router.Late && m.ReceivedAt.After(a.ReceivedAt) && m.Talk.final() == t
	})
}

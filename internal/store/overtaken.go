package store

import (
	"slices"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/wamid"
)

// NeedRecentMessages lists the conversations of which a batch needs the last messages: where
// no message has the id that a target names, so that they have to be looked at
// one by one, and where one that was spooled may have been overtaken.
func (u *Unit) NeedRecentMessages(batch []inbound.Arrival) []*ConversationRow {
	var in []*ConversationRow
	for i := range batch {
		a := &batch[i]
		contact := u.lookupContact(a.Person)
		if contact == nil || contact.conversations[a.Line] == nil {
			continue
		}
		conv, id := contact.conversations[a.Line], annotationTargetID(a)
		unnamed := id != "" && u.findOwn(contact, a.Line, id) == nil && wamid.Suffix(id) != ""
		doubtful := a.Spooled && isMessage(a) && id == "" && conv.LastMessageAt.After(a.ReceivedAt) && !conv.LastInbound.After(a.ReceivedAt)
		if (unnamed || doubtful) && !slices.Contains(in, conv) {
			in = append(in, conv)
		}
	}
	return in
}

// isOvertaken says that an arrival was spooled and something of its conversation
// that came to the door after it has been handled before it. The conversation
// knows when the last message was said, which is before it came, and when the
// last thing happened, which may be a reply: between the two only its messages
// tell. See NeedRecentMessages.
func (u *Unit) isOvertaken(a *inbound.Arrival) bool {
	if !a.Spooled {
		return false
	}
	contact := u.lookupContact(a.Person)
	if contact == nil || contact.conversations[a.Line] == nil {
		return false
	}
	conv := contact.conversations[a.Line]
	return conv.LastInbound.After(a.ReceivedAt) || slices.ContainsFunc(u.Messages, func(m *MessageRow) bool {
		return m.DedupKey != "" && m.Reason != router.Late && m.ReceivedAt.After(a.ReceivedAt) && m.ConversationRow.Survivor() == conv
	})
}

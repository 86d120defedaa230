package unit

import (
	"slices"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

// Turn handles one arrival.
func (u *Unit) Turn(a *inbound.Arrival) store.Result {
	if !isMessage(a) {
		return u.recordOnly(a)
	}
	if annotationTargetID(a) != "" {
		return u.applyAnnotation(a)
	}
	if m := u.findHandled(a); m != nil {
		return u.duplicateResult(m, a)
	}
	if u.isOvertaken(a) {
		late := *a
		late.Late = true
		a = &late
	}
	if a.Kind == inbound.Echo {
		return u.receiveEcho(a)
	}
	return u.receiveMessage(a)
}

// isMessage reports whether an arrival belongs in a conversation: a person's message, or an
// echo of ours, on a line of ours.
func isMessage(a *inbound.Arrival) bool {
	return (a.Kind == inbound.Message || a.Kind == inbound.Echo) && a.Quarantine == "" && a.Content != nil &&
		a.Line != "" && a.Content.Group == "" && !a.Person.IsZero()
}

// isIdentityChange reports whether an arrival gives a person of a line of ours other names.
func isIdentityChange(a *inbound.Arrival) bool {
	return a.Kind == inbound.Identity && a.Change != nil && a.Quarantine == "" && a.Line != ""
}

// isPreference reports whether an arrival opts a person of a line of ours in or out.
func isPreference(a *inbound.Arrival) bool {
	return a.Kind == inbound.Preference && a.Choice != nil && a.Quarantine == "" && a.Line != "" && !a.Person.IsZero()
}

// annotationTargetID returns the provider id of the message that a reaction, edit or revoke
// is about; "" if the arrival is a message of its own.
func annotationTargetID(a *inbound.Arrival) string {
	if a.Content == nil || a.Kind != inbound.Message && a.Kind != inbound.Echo {
		return ""
	}
	switch a.Content.Type {
	case "reaction", "edit", "revoke":
		if a.Content.TargetID == "" {
			return "?" // its target has no name: still not a message
		}
		return a.Content.TargetID
	}
	return ""
}

// receiveMessage stores a person's message and lets the router decide.
func (u *Unit) receiveMessage(a *inbound.Arrival) store.Result {
	conv, m := u.storeMessage(a)
	in := router.Message{
		Type: a.Content.Type, Text: a.Content.Text, ReplyID: a.Content.ReplyID,
		Form: a.Content.Form, Unseen: isContentUnavailable(a.Content.Error), Stale: u.isStale(a), Late: a.Late, Blocked: conv.ContactRow.Blocked, OptedOut: conv.ContactRow.OptedOut,
		SentAt: a.SentAt, ReceivedAt: a.ReceivedAt,
	}
	if !a.Late && !in.Stale {
		conv.Contact.Address = u.addressOf(a.Person, conv.Contact.Address)
	}
	r := u.rules(conv.Line)
	d := r.Step(conv.Conversation.Conversation, in, u.Now)
	m.Reason = d.Reason
	out := u.applyToMessage(conv, m, d, a, "router")
	u.noteQuestion(conv, m, d)
	return out
}

// isContentUnavailable reports whether a WhatsApp code means that a person wrote something
// that we do not get: a first message that is not available, typical of ads, or a file that
// is too large. Source: the error reference, 131060 and 131052.
func isContentUnavailable(code int) bool { return code == 131060 || code == 131052 }

// storeMessage makes contact, conversation and message of an arrival.
func (u *Unit) storeMessage(a *inbound.Arrival) (*ConversationRow, *MessageRow) {
	contact := u.resolveContact(a.Person)
	conv, opened := u.conversation(contact, a.Line)
	if opened {
		conv.Contact.Address = u.addressOf(a.Person, conv.Contact.Address)
	}
	m := u.newMessage(a, conv)
	u.addNewMessage(m)
	conv.touch(a.ReceivedAt)
	if at, known := u.LastInboundByLine[a.Line]; a.Kind == inbound.Message && a.ReceivedAt.After(at) {
		u.LastInboundByLine[a.Line] = a.ReceivedAt
	} else if opened && !known {
		u.LastInboundByLine[a.Line] = time.Time{} // the line has a conversation, and nobody wrote yet
	}
	return conv, m
}

func (u *Unit) newMessage(a *inbound.Arrival, conv *ConversationRow) *MessageRow {
	m := &MessageRow{ConversationRow: conv, New: true, DedupKey: dedupKey(a)}
	m.Message = store.Message{
		ID: u.NewID(), Direction: directionIn, Author: store.AuthorContact, Type: a.Content.Type, Text: a.Content.Text,
		ReplyID: a.Content.ReplyID, QuotedID: a.Content.QuotedID, ProviderID: providerID(a), Status: store.Received,
		ErrorCode: a.Content.Error, Raw: a.Raw, SentAt: a.SentAt, ReceivedAt: a.ReceivedAt, CreatedAt: u.Now,
	}
	switch {
	case a.Kind == inbound.Echo:
		m.Direction, m.Author, m.Status = directionOut, store.AuthorPhone, store.Sent
	case a.Content.Type == "system":
		m.Author = store.AuthorSystem
	}
	if f := a.Content.Media; f != nil {
		m.Media = &store.Media{Media: *f, State: store.MediaPending}
		m.Media.Inline = "" // it is in Raw
		if f.ID == "" && f.URL == "" && f.Inline == "" {
			m.Media.State, m.Media.Error = store.MediaFailed, "the provider did not say where it is"
		}
	}
	return m
}

const (
	directionIn  = "inbound"
	directionOut = "outbound"
)

func (u *Unit) isStale(a *inbound.Arrival) bool {
	return u.StaleAfter > 0 && !a.SentAt.IsZero() && a.ReceivedAt.Add(-a.Ahead).Sub(a.SentAt) > u.StaleAfter
}

// isOvertaken reports whether a message received later was processed before this spooled
// one. The conversation knows when its last message was written, which is before its
// receipt, and when it last changed, which may be by a reply: between the two only its
// messages tell. See NeedRecentMessages.
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

// applyToMessage turns a decision on a message into rows and the arrival's result.
func (u *Unit) applyToMessage(conv *ConversationRow, m *MessageRow, d router.Decision, a *inbound.Arrival, by string) store.Result {
	r := store.Result{MessageID: m.ID, Conversation: conv.ID, Reason: d.Reason}
	r.Replies = u.applyDecision(conv, d, cause{By: by, Message: m})
	r.State = conv.State
	if r.Replies > 0 {
		r.Wake = wakeFor(conv)
	}
	if m.Media != nil && m.Media.State == store.MediaPending {
		r.Media = &store.MediaRef{MessageID: m.ID, Line: conv.Line, Media: *a.Content.Media}
	}
	return r
}

// duplicateResult is the result of an arrival that was handled before: its wake-ups may
// have been lost.
func (u *Unit) duplicateResult(m *MessageRow, a *inbound.Arrival) store.Result {
	conv := m.ConversationRow.Survivor()
	r := store.Result{MessageID: m.ID, Conversation: conv.ID, Reason: router.Duplicate, Duplicate: true, State: conv.State}
	r.Wake = wakeFor(conv)
	if m.Media != nil && m.Media.State == store.MediaPending {
		r.Media = &store.MediaRef{MessageID: m.ID, Line: conv.Line, Media: m.Media.Media}
		if a != nil && a.Content.Media != nil {
			r.Media.Media = *a.Content.Media
		}
	}
	return r
}

func wakeFor(conv *ConversationRow) *store.Wake {
	if !conv.Pending {
		return nil
	}
	return &store.Wake{Line: conv.Line, Conversation: conv.ID}
}

// Reject stores an arrival that will not be handled. An opt-out in it holds all the same:
// redriven, it would be a duplicate.
func (u *Unit) Reject(a *inbound.Arrival, why string) {
	if !isMessage(a) || annotationTargetID(a) != "" {
		if u.addRecord(a, router.Invalid, why) && isPreference(a) && a.Choice.Stop {
			u.setOptOut(u.resolveContact(a.Person), true, saidAt(u.Now, a.ReceivedAt, a.SentAt))
		}
		return
	}
	if u.findHandled(a) != nil {
		return
	}
	conv, m := u.storeMessage(a)
	m.Reason, m.ErrorDetail = router.Invalid, why
	if a.Kind != inbound.Message {
		return
	}
	u.noteQuestion(conv, m, router.Decision{Reason: router.Invalid})
	if isRouted(conv.State) && u.rules(conv.Line).Stops(m.Text) {
		u.setOptOut(conv.ContactRow, true, saidAt(u.Now, a.ReceivedAt, a.SentAt))
	}
}

// receiveEcho handles a message that our own side wrote from another device: a row of its
// own, and a human took over. Some lines also echo our own messages; that only confirms the
// row.
func (u *Unit) receiveEcho(a *inbound.Arrival) store.Result {
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
	out := u.applyToMessage(conv, m, d, a, string(store.AuthorPhone))
	if d.Changed {
		u.addAudit(conv, string(store.AuthorPhone), router.Command{Kind: router.CommandAgentSent})
	}
	return out
}

// findEchoed returns our row that an echo repeats: by its provider id, or, while its post
// has no answer yet, by its content.
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
		if (m.Status == store.Sending || m.Status == store.Uncertain) && u.says(m, a) {
			return m
		}
	}
	return nil
}

// wordless is how long a file without a caption may come back as an echo when it is unknown
// whether it left: a later echo was sent from the phone.
const wordless = time.Hour

// says reports whether an echo has the row's content. A menu that went as text begins with
// its question and continues with its options. A file without a caption is known by its
// type alone.
func (u *Unit) says(m *MessageRow, a *inbound.Arrival) bool {
	want, text := m.Text, strings.TrimSpace(a.Content.Text)
	if m.Body.Reply != nil {
		want = m.Body.Reply.Text
	}
	if want = strings.TrimSpace(want); want != "" {
		return strings.HasPrefix(text, want)
	}
	return m.Media != nil && m.Type == a.Content.Type && text == "" &&
		(m.Status == store.Sending || u.Now.Sub(m.CreatedAt) < wordless)
}

// saidAt returns when a message was written, as far as that is known. A clock that is ahead
// of ours is not believed.
func saidAt(now, received, sent time.Time) time.Time { return earlier(earlier(now, received), sent) }

func earlier(a, b time.Time) time.Time {
	if !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

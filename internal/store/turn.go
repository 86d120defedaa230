package store

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
)

// LoadSpec is what an engine loads before it lets a Unit handle a batch.
type LoadSpec struct {
	// AliasGroups are those of everybody who may be new, each person's together.
	AliasGroups [][]string
	Aliases     []string // those of AliasGroups: their contacts, and all conversations of those
	// KnownAliases are aliases of people who are only compared: their contacts are loaded
	// where there are any, and nobody is made.
	KnownAliases []string
	ProviderIDs  []ProviderID // messages, with their conversations and contacts
	MessageIDs   []string     // the same
	RecordKeys   []string     // keys that may be recorded
	// Echoes is set when rows that are sending or uncertain in the loaded
	// conversations are needed too.
	Echoes bool
	// Failures is set when a report says that a message failed after all: what was
	// answered before it is needed too. See NeedEarlierAnswers.
	Failures bool
}

// TurnLoadSpec lists what a batch may touch.
func (s *Settings) TurnLoadSpec(batch []inbound.Arrival) LoadSpec {
	var n LoadSpec
	for i := range batch {
		a := &batch[i]
		switch {
		case isMessage(a) && annotationTargetID(a) == "":
			s.addPeople(&n, a.Person)
			n.addProviderID(a.Line, providerID(a))
			n.Echoes = n.Echoes || a.Kind == inbound.Echo
			continue
		case isMessage(a):
			s.addPeople(&n, a.Person)
			n.addProviderID(a.Line, annotationTargetID(a))
		case isIdentityChange(a):
			s.addPeople(&n, a.Change.From, a.Change.To)
		case isPreference(a):
			s.addPeople(&n, a.Person)
		}
		n.RecordKeys = append(n.RecordKeys, recordKey(a), formerKey(a))
	}
	return n
}

func (s *Settings) addPeople(n *LoadSpec, all ...inbound.Person) {
	for _, p := range all {
		if names := s.Aliases(p); len(names) > 0 {
			n.AliasGroups, n.Aliases = append(n.AliasGroups, names), append(n.Aliases, names...)
		}
		if former := s.aliasSetOf(p).former; former != "" {
			n.KnownAliases = append(n.KnownAliases, former)
		}
	}
}

func (n *LoadSpec) addProviderID(line, id string) {
	n.ProviderIDs = append(n.ProviderIDs, ProviderID{line, id})
}

// isMessage says that an arrival belongs into a conversation: a message, or one
// of ours from another device, from somebody, on a line of ours.
func isMessage(a *inbound.Arrival) bool {
	return (a.Kind == inbound.Message || a.Kind == inbound.Echo) && a.Quarantine == "" && a.Content != nil &&
		a.Line != "" && a.Content.Group == "" && !a.Person.IsZero()
}

// isIdentityChange says that an arrival moves a person of a line of ours to other names.
func isIdentityChange(a *inbound.Arrival) bool {
	return a.Kind == inbound.Identity && a.Change != nil && a.Quarantine == "" && a.Line != ""
}

// isPreference says that somebody on a line of ours wants to have, or not to have,
// something.
func isPreference(a *inbound.Arrival) bool {
	return a.Kind == inbound.Preference && a.Choice != nil && a.Quarantine == "" && a.Line != "" && !a.Person.IsZero()
}

// annotationTargetID is the provider id of the message that a reaction, edit or revoke is
// about; "" for what is a message of its own.
func annotationTargetID(a *inbound.Arrival) string {
	if a.Content == nil || a.Kind != inbound.Message && a.Kind != inbound.Echo {
		return ""
	}
	switch a.Content.Type {
	case "reaction", "edit", "revoke":
		if a.Content.TargetID == "" {
			return "?" // about nothing that we can name: still no message
		}
		return a.Content.TargetID
	}
	return ""
}

// hashPrefix begins the provider ids that are none.
const hashPrefix = "sha256:"

// providerID is the arrival's id, or a hash of what came when it has none.
func providerID(a *inbound.Arrival) string {
	if a.ID != "" {
		return a.ID
	}
	sum := sha256.Sum256(a.Raw)
	return hashPrefix + hex.EncodeToString(sum[:16])
}

func recordKey(a *inbound.Arrival) string {
	b := *a
	b.ID = providerID(a)
	return b.Key()
}

// Turn handles one arrival.
func (u *Unit) Turn(a *inbound.Arrival) Result {
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

// duplicateResult is the result of what was handled before: the wake-ups that it led to
// may have been lost.
func (u *Unit) duplicateResult(m *MessageRow, a *inbound.Arrival) Result {
	conv := m.ConversationRow.Survivor()
	r := Result{MessageID: m.ID, Conversation: conv.ID, Reason: router.Duplicate, Duplicate: true, State: conv.State}
	r.Wake = wakeFor(conv)
	if m.Media != nil && m.Media.State == MediaPending {
		r.Media = &MediaRef{MessageID: m.ID, Line: conv.Line, Media: m.Media.Media}
		if a != nil && a.Content.Media != nil {
			r.Media.Media = *a.Content.Media
		}
	}
	return r
}

func wakeFor(conv *ConversationRow) *Wake {
	if !conv.Pending {
		return nil
	}
	return &Wake{Line: conv.Line, Conversation: conv.ID}
}

// receiveMessage stores what a person wrote and lets the router decide.
func (u *Unit) receiveMessage(a *inbound.Arrival) Result {
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

// isContentUnavailable says that a code of WhatsApp means that a person wrote something that we do
// not get: a first message that is not available, typical of ads, or a file that is too
// large. Source: the error reference, 131060 and 131052.
func isContentUnavailable(code int) bool { return code == 131060 || code == 131052 }

// applyToMessage turns a decision upon a message into rows and the arrival's result.
func (u *Unit) applyToMessage(conv *ConversationRow, m *MessageRow, d router.Decision, a *inbound.Arrival, by string) Result {
	r := Result{MessageID: m.ID, Conversation: conv.ID, Reason: d.Reason}
	r.Replies = u.applyDecision(conv, d, cause{By: by, Message: m})
	r.State = conv.State
	if r.Replies > 0 {
		r.Wake = wakeFor(conv)
	}
	if m.Media != nil && m.Media.State == MediaPending {
		r.Media = &MediaRef{MessageID: m.ID, Line: conv.Line, Media: *a.Content.Media}
	}
	return r
}

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

// States of a file.
const (
	MediaPending = "pending"
	MediaReady   = "ready"
	MediaFailed  = "failed"
)

func (u *Unit) newMessage(a *inbound.Arrival, conv *ConversationRow) *MessageRow {
	m := &MessageRow{ConversationRow: conv, New: true, DedupKey: dedupKey(a)}
	m.Message = Message{
		ID: u.NewID(), Direction: directionIn, Author: AuthorContact, Type: a.Content.Type, Text: a.Content.Text,
		ReplyID: a.Content.ReplyID, QuotedID: a.Content.QuotedID, ProviderID: providerID(a), Status: Received,
		ErrorCode: a.Content.Error, Raw: a.Raw, SentAt: a.SentAt, ReceivedAt: a.ReceivedAt, CreatedAt: u.Now,
	}
	switch {
	case a.Kind == inbound.Echo:
		m.Direction, m.Author, m.Status = directionOut, AuthorPhone, Sent
	case a.Content.Type == "system":
		m.Author = AuthorSystem
	}
	if f := a.Content.Media; f != nil {
		m.Media = &Media{Media: *f, State: MediaPending}
		m.Media.Inline = "" // it is in Raw
		if f.ID == "" && f.URL == "" && f.Inline == "" {
			m.Media.State, m.Media.Error = MediaFailed, "the provider did not say where it is"
		}
	}
	return m
}

func (u *Unit) isStale(a *inbound.Arrival) bool {
	return u.StaleAfter > 0 && !a.SentAt.IsZero() && a.ReceivedAt.Add(-a.Ahead).Sub(a.SentAt) > u.StaleAfter
}

// Reject keeps an arrival that will not be handled. A stop of marketing in it holds all
// the same: when it is redriven it is a duplicate.
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

package store

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
)

// Needs is what an engine loads before it lets a Book handle a batch.
type Needs struct {
	// Names are those of everybody who may be new, each person's together.
	Names   [][]string
	Aliases []string // of Names: their contacts, and all conversations of those
	// Known are aliases of people who are only compared: their contacts are loaded
	// where there are any, and nobody is made.
	Known       []string
	ProviderIDs []ProviderID // messages, with their conversations and contacts
	MessageIDs  []string     // the same
	Records     []string     // keys that may be recorded
	// Echoes is set when rows that are sending or uncertain in the loaded
	// conversations are needed too.
	Echoes bool
	// Failures is set when a report says that a message failed after all: what was
	// answered before it is needed too. See Retracted.
	Failures bool
}

// Needs lists what a batch may touch.
func (s *Settings) Needs(batch []inbound.Arrival) Needs {
	var n Needs
	for i := range batch {
		a := &batch[i]
		switch {
		case isMessage(a) && target(a) == "":
			s.people(&n, a.Person)
			n.named(a.Line, providerID(a))
			n.Echoes = n.Echoes || a.Kind == inbound.Echo
			continue
		case isMessage(a):
			s.people(&n, a.Person)
			n.named(a.Line, target(a))
		case isMove(a):
			s.people(&n, a.Change.From, a.Change.To)
		case isWish(a):
			s.people(&n, a.Person)
		}
		n.Records = append(n.Records, recordKey(a), formerKey(a))
	}
	return n
}

func (s *Settings) people(n *Needs, all ...inbound.Person) {
	for _, p := range all {
		if names := s.Aliases(p); len(names) > 0 {
			n.Names, n.Aliases = append(n.Names, names), append(n.Aliases, names...)
		}
		if former := s.names(p).former; former != "" {
			n.Known = append(n.Known, former)
		}
	}
}

func (n *Needs) named(line, id string) {
	n.ProviderIDs = append(n.ProviderIDs, ProviderID{line, id})
}

// isMessage says that an arrival belongs into a conversation: a message, or one
// of ours from another device, from somebody, on a line of ours.
func isMessage(a *inbound.Arrival) bool {
	return (a.Kind == inbound.Message || a.Kind == inbound.Echo) && a.Quarantine == "" && a.Content != nil &&
		a.Line != "" && a.Content.Group == "" && !a.Person.IsZero()
}

// isMove says that an arrival moves a person of a line of ours to other names.
func isMove(a *inbound.Arrival) bool {
	return a.Kind == inbound.Identity && a.Change != nil && a.Quarantine == "" && a.Line != ""
}

// isWish says that somebody on a line of ours wants to have, or not to have,
// something.
func isWish(a *inbound.Arrival) bool {
	return a.Kind == inbound.Preference && a.Choice != nil && a.Quarantine == "" && a.Line != "" && !a.Person.IsZero()
}

// target is the provider id of the message that a reaction, edit or revoke is
// about; "" for what is a message of its own.
func target(a *inbound.Arrival) string {
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

// hashed begins the provider ids that are none.
const hashed = "sha256:"

// providerID is the arrival's id, or a hash of what came when it has none.
func providerID(a *inbound.Arrival) string {
	if a.ID != "" {
		return a.ID
	}
	sum := sha256.Sum256(a.Raw)
	return hashed + hex.EncodeToString(sum[:16])
}

func recordKey(a *inbound.Arrival) string {
	b := *a
	b.ID = providerID(a)
	return b.Key()
}

// Turn handles one arrival.
func (b *Book) Turn(a *inbound.Arrival) Result {
	if !isMessage(a) {
		return b.aside(a)
	}
	if target(a) != "" {
		return b.mark(a)
	}
	if m := b.handled(a); m != nil {
		return b.repeat(m, a)
	}
	if b.overtaken(a) {
		late := *a
		late.Late = true
		a = &late
	}
	if a.Kind == inbound.Echo {
		return b.echo(a)
	}
	return b.hear(a)
}

// repeat is the result of what was handled before: the wake-ups that it led to
// may have been lost.
func (b *Book) repeat(m *MessageRow, a *inbound.Arrival) Result {
	t := m.Talk.final()
	r := Result{MessageID: m.ID, Conversation: t.ID, Reason: router.Duplicate, Duplicate: true, State: t.State}
	r.Send = wake(t)
	if m.Media != nil && m.Media.State == MediaPending {
		r.Media = &MediaRef{MessageID: m.ID, Line: t.Line, Media: m.Media.Media}
		if a != nil && a.Content.Media != nil {
			r.Media.Media = *a.Content.Media
		}
	}
	return r
}

func wake(t *TalkRow) *Wake {
	if !t.Pending {
		return nil
	}
	return &Wake{Line: t.Line, Conversation: t.ID}
}

// hear stores what a person wrote and lets the router decide.
func (b *Book) hear(a *inbound.Arrival) Result {
	t, m := b.store(a)
	set := router.Message{
		Type: a.Content.Type, Text: a.Content.Text, ReplyID: a.Content.ReplyID,
		Form: a.Content.Form, Unseen: unseen(a.Content.Error), Stale: b.stale(a), Late: a.Late, Blocked: t.Who.Blocked, OptedOut: t.Who.OptedOut,
		SentAt: a.SentAt, ReceivedAt: a.ReceivedAt,
	}
	if !a.Late && !set.Stale {
		t.Contact.Address = b.address(a.Person, t.Contact.Address)
	}
	r := b.rules(t.Line)
	d := r.Step(t.Conversation.Conversation, set, b.Now)
	m.Reason = d.Reason
	out := b.decided(t, m, d, a, "router")
	b.ask(t, m, d)
	return out
}

// unseen says that a code of WhatsApp means that a person wrote something that we do
// not get: a first message that is not available, typical of ads, or a file that is too
// large. Source: the error reference, 131060 and 131052.
func unseen(code int) bool { return code == 131060 || code == 131052 }

// decided turns a decision upon a message into rows and the arrival's result.
func (b *Book) decided(t *TalkRow, m *MessageRow, d router.Decision, a *inbound.Arrival, by string) Result {
	r := Result{MessageID: m.ID, Conversation: t.ID, Reason: d.Reason}
	r.Replies = b.apply(t, d, cause{By: by, Message: m})
	r.State = t.State
	if r.Replies > 0 {
		r.Send = wake(t)
	}
	if m.Media != nil && m.Media.State == MediaPending {
		r.Media = &MediaRef{MessageID: m.ID, Line: t.Line, Media: *a.Content.Media}
	}
	return r
}

// store makes contact, conversation and message of an arrival.
func (b *Book) store(a *inbound.Arrival) (*TalkRow, *MessageRow) {
	who := b.identify(a.Person)
	t, opened := b.talk(who, a.Line)
	if opened {
		t.Contact.Address = b.address(a.Person, t.Contact.Address)
	}
	m := b.message(a, t)
	b.addNew(m)
	t.touch(a.ReceivedAt)
	if at, known := b.Heard[a.Line]; a.Kind == inbound.Message && a.ReceivedAt.After(at) {
		b.Heard[a.Line] = a.ReceivedAt
	} else if opened && !known {
		b.Heard[a.Line] = time.Time{} // the line has a conversation, and nobody wrote yet
	}
	return t, m
}

// States of a file.
const (
	MediaPending = "pending"
	MediaReady   = "ready"
	MediaFailed  = "failed"
)

func (b *Book) message(a *inbound.Arrival, t *TalkRow) *MessageRow {
	m := &MessageRow{Talk: t, New: true, Origin: origin(a)}
	m.Message = Message{
		ID: b.NewID(), Direction: directionIn, Author: AuthorContact, Type: a.Content.Type, Text: a.Content.Text,
		ReplyID: a.Content.ReplyID, QuotedID: a.Content.QuotedID, ProviderID: providerID(a), Status: Received,
		ErrorCode: a.Content.Error, Raw: a.Raw, SentAt: a.SentAt, ReceivedAt: a.ReceivedAt, CreatedAt: b.Now,
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

func (b *Book) stale(a *inbound.Arrival) bool {
	return b.StaleAfter > 0 && !a.SentAt.IsZero() && a.ReceivedAt.Add(-a.Ahead).Sub(a.SentAt) > b.StaleAfter
}

// Reject keeps an arrival that will not be handled. A stop of marketing in it holds all
// the same: when it is redriven it is a duplicate.
func (b *Book) Reject(a *inbound.Arrival, why string) {
	if !isMessage(a) || target(a) != "" {
		if b.record(a, router.Invalid, why) && isWish(a) && a.Choice.Stop {
			b.prefer(b.identify(a.Person), true, saidAt(b.Now, a.ReceivedAt, a.SentAt))
		}
		return
	}
	if b.handled(a) != nil {
		return
	}
	t, m := b.store(a)
	m.Reason, m.ErrorDetail = router.Invalid, why
	if a.Kind != inbound.Message {
		return
	}
	b.ask(t, m, router.Decision{Reason: router.Invalid})
	if routed(t.State) && b.rules(t.Line).Stops(m.Text) {
		b.prefer(t.Who, true, saidAt(b.Now, a.ReceivedAt, a.SentAt))
	}
}

package store

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/phone"
	"github.com/psivisionhub/psi-router/internal/router"
)

// Draft is a message that a person or a program of ours wants to send.
type Draft struct {
	Type   string          // text, interactive, template, image, …
	Text   string          // what a person reads of it
	Body   json.RawMessage // the Cloud API's own shape
	Media  *Media
	Quotes string // our id of the message that it answers, "" for none
	// OnlyOpen refuses a closed conversation instead of taking it up again.
	OnlyOpen bool
	// Notice leaves the conversation to who has it: nothing of it changes, no clock
	// begins, and nobody's answer waits behind the message.
	Notice bool
	// Marketing says that WhatsApp counts the template as such.
	Marketing bool
	// Area is the team that takes the conversation over; "" for the one that had it
	// last, or else the flow's offer_area.
	Area string
	// TTL is for how long the message may wait to be sent, 0 for ever.
	TTL time.Duration
}

// Recipient is a person on a line, by the names that somebody knows them by.
type Recipient struct {
	Line   string
	Person inbound.Person
}

// Idempotency makes a command happen once for each Key of its actor, within IdempotencyTTL.
type Idempotency struct {
	Key  string
	Hash string // of all that was asked: the same key with another one is refused
	// Answer writes what a repeat is answered with. It is called in the
	// transaction, with the message that was said or nil.
	Answer func(Conversation, *Message) []byte
}

// IdempotencyTTL is how long an Idempotency is remembered.
const IdempotencyTTL = 24 * time.Hour

// RecipientAliases lists the aliases that a recipient may go by. A phone may be written in
// any way, with its country code or without.
func (s *Settings) RecipientAliases(to Recipient) []string {
	out := s.Aliases(to.Person)
	if to.Person.Phone == "" {
		return out
	}
	for _, alias := range s.phoneAliases(to.Person.Phone) {
		if !slices.Contains(out, alias) {
			out = append(out, alias)
		}
	}
	return out
}

// ResolveRecipient returns the conversation with a recipient, which may be new. Who is known
// is written to by the names that WhatsApp gave, not by those that were typed.
func (u *Unit) ResolveRecipient(to Recipient) *ConversationRow {
	p := to.Person
	contact := u.lookupContact(p)
	for _, alias := range u.RecipientAliases(to) {
		if c := u.contactByAlias[alias]; contact == nil && c != nil && (p.UserID == "" || c.UserID == "") {
			contact = c
		}
	}
	if contact == nil {
		if key := phone.Key(p.Phone, u.Country); key != "" {
			p.Phone = key
		}
		p.National = false
		contact = u.resolveContact(p)
	}
	conv, opened := u.conversation(contact, to.Line)
	if opened {
		conv.Contact.Address = outbound.Address{Phone: contact.Phone, UserID: contact.UserID}
		if _, heard := u.LastInboundByLine[conv.Line]; !heard {
			u.LastInboundByLine[conv.Line] = time.Time{} // the line has a conversation, and nobody wrote yet
		}
	}
	return conv
}

// Execute carries out a command and returns what it said.
func (u *Unit) Execute(conv *ConversationRow, cmd Command) (*MessageRow, error) {
	if cmd.CanSee != nil && !cmd.CanSee(u.judged(conv, cmd.Draft)) {
		return nil, ErrNotFound
	}
	if cmd.Draft != nil {
		return u.queueDraft(conv, *cmd.Draft, cmd.Actor)
	}
	_, err := u.ApplyCommand(conv, cmd.Command, cmd.Actor)
	return nil, err
}

// queueDraft makes the row of a message of ours. It belongs to no epoch: what a person
// meant to say is said, whoever has the conversation by then. That it was sent is
// told when it was.
func (u *Unit) queueDraft(conv *ConversationRow, d Draft, actor string) (*MessageRow, error) {
	switch {
	case d.OnlyOpen && conv.State == router.StateClosed:
		return nil, ErrClosed
	case conv.ContactRow.Blocked:
		return nil, ErrBlocked
	case d.Marketing && conv.ContactRow.OptedOut:
		return nil, ErrOptedOut
	case d.Type != "template" && u.isWindowClosed(conv):
		return nil, ErrWindowClosed
	}
	quoted := ""
	if d.Quotes != "" {
		q := u.messageByID[d.Quotes]
		if q == nil || q.ConversationRow.Survivor() != conv || q.ProviderID == "" || strings.HasPrefix(q.ProviderID, hashPrefix) {
			return nil, ErrNoQuote
		}
		quoted = q.ProviderID
	}
	action, author, reason := string(router.CommandAgentSent), AuthorAgent, router.ByAgent
	if d.Notice {
		action, author, reason = "notice", AuthorProgram, router.ByAPI
	} else {
		u.takeOver(conv, d.Area, actor)
	}
	m := &MessageRow{ConversationRow: conv, New: true, PendingSince: u.Now, Notice: d.Notice, Marketing: d.Marketing}
	m.Message = Message{
		ID: u.NewID(), Direction: directionOut, Author: author, Type: d.Type, Text: d.Text,
		Body: outbound.Body{Cloud: d.Body}, Media: d.Media, QuotedID: quoted, Status: Queued, Reason: reason,
		Epoch: conv.Epoch, CreatedAt: u.Now,
	}
	if d.TTL > 0 {
		m.ExpiresAt = u.Now.Add(d.TTL)
	}
	u.addNewMessage(m)
	if !d.Notice {
		conv.touch(u.Now)
		conv.Pending = true
	}
	u.Audit = append(u.Audit, Owned[AuditRow]{conv, AuditRow{
		Conversation: conv.ID, Actor: actor, Action: action, Detail: "type=" + d.Type + " message=" + m.ID, At: u.Now,
	}})
	return m, nil
}

// judged is the conversation by which it is judged who may do something in it: one that
// no team has, and that a message takes over, is that of the team that gets it.
func (u *Unit) judged(conv *ConversationRow, d *Draft) Conversation {
	v := conv.View()
	if d != nil && !d.Notice && v.Area == "" {
		v.Area = u.takenOver(conv, d.Area).Next.Area
	}
	return v
}

// takeOver gives the conversation to a team of ours: the one that is named, or the
// one that had it last.
func (u *Unit) takeOver(conv *ConversationRow, area, actor string) {
	u.applyDecision(conv, u.takenOver(conv, area), cause{By: actor})
}

func (u *Unit) takenOver(conv *ConversationRow, area string) router.Decision {
	r := u.rules(conv.Line)
	cmd := router.Command{Kind: router.CommandAgentSent, Area: cmp.Or(area, conv.LastArea)}
	return r.Apply(conv.Conversation.Conversation, cmd, u.Now)
}

// isWindowClosed says that only templates may be sent to the person now.
func (u *Unit) isWindowClosed(conv *ConversationRow) bool {
	return u.isWindowClosedSince(conv.Line, conv.LastInbound)
}

// isWindowClosedSince is shut for somebody who wrote last at the given time.
func (u *Unit) isWindowClosedSince(line string, last time.Time) bool {
	window := u.window(line)
	return window > 0 && (last.IsZero() || u.Now.Sub(last) >= window)
}

// CommandResult is that of a command that was carried out.
func (u *Unit) CommandResult(conv *ConversationRow, m *MessageRow, cursor string) CommandResult {
	u.UpdateLeft()
	out := CommandResult{Conversation: conv.View()}
	out.Cursor = cursor
	if m != nil {
		shown := m.View()
		out.Message = &shown
	}
	return out
}

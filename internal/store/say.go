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

// Once makes a command happen once for each Key of its actor, within OnceFor.
type Once struct {
	Key  string
	Hash string // of all that was asked: the same key with another one is refused
	// Answer writes what a repeat is answered with. It is called in the
	// transaction, with the message that was said or nil.
	Answer func(Conversation, *Message) []byte
}

// OnceFor is how long a Once is remembered.
const OnceFor = 24 * time.Hour

// Reaches lists the aliases that a recipient may go by. A phone may be written in
// any way, with its country code or without.
func (s *Settings) Reaches(to Recipient) []string {
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

// Reach returns the conversation with a recipient, which may be new. Who is known
// is written to by the names that WhatsApp gave, not by those that were typed.
func (b *Book) Reach(to Recipient) *TalkRow {
	p := to.Person
	who := b.known(p)
	for _, alias := range b.Reaches(to) {
		if c := b.who[alias]; who == nil && c != nil && (p.UserID == "" || c.UserID == "") {
			who = c
		}
	}
	if who == nil {
		if key := phone.Key(p.Phone, b.Country); key != "" {
			p.Phone = key
		}
		p.National = false
		who = b.identify(p)
	}
	t, opened := b.talk(who, to.Line)
	if opened {
		t.Contact.Address = outbound.Address{Phone: who.Phone, UserID: who.UserID}
		if _, heard := b.Heard[t.Line]; !heard {
			b.Heard[t.Line] = time.Time{} // the line has a conversation, and nobody wrote yet
		}
	}
	return t
}

// Do carries out a command and returns what it said.
func (b *Book) Do(t *TalkRow, cmd Command) (*MessageRow, error) {
	if cmd.May != nil && !cmd.May(b.judged(t, cmd.Say)) {
		return nil, ErrNotFound
	}
	if cmd.Say != nil {
		return b.say(t, *cmd.Say, cmd.Actor)
	}
	_, err := b.Command(t, cmd.Command, cmd.Actor)
	return nil, err
}

// say makes the row of a message of ours. It belongs to no epoch: what a person
// meant to say is said, whoever has the conversation by then. That it was sent is
// told when it was.
func (b *Book) say(t *TalkRow, d Draft, actor string) (*MessageRow, error) {
	switch {
	case d.OnlyOpen && t.State == router.StateClosed:
		return nil, ErrClosed
	case t.Who.Blocked:
		return nil, ErrBlocked
	case d.Marketing && t.Who.OptedOut:
		return nil, ErrOptedOut
	case d.Type != "template" && b.shut(t):
		return nil, ErrWindowClosed
	}
	quoted := ""
	if d.Quotes != "" {
		q := b.byID[d.Quotes]
		if q == nil || q.Talk.final() != t || q.ProviderID == "" || strings.HasPrefix(q.ProviderID, hashed) {
			return nil, ErrNoQuote
		}
		quoted = q.ProviderID
	}
	action, author, reason := string(router.CommandAgentSent), AuthorAgent, router.ByAgent
	if d.Notice {
		action, author, reason = "notice", AuthorProgram, router.ByAPI
	} else {
		b.takeOver(t, d.Area, actor)
	}
	m := &MessageRow{Talk: t, New: true, Since: b.Now, Notice: d.Notice, Marketing: d.Marketing}
	m.Message = Message{
		ID: b.NewID(), Direction: directionOut, Author: author, Type: d.Type, Text: d.Text,
		Body: outbound.Body{Cloud: d.Body}, Media: d.Media, QuotedID: quoted, Status: Queued, Reason: reason,
		Epoch: t.Epoch, CreatedAt: b.Now,
	}
	if d.TTL > 0 {
		m.Expires = b.Now.Add(d.TTL)
	}
	b.addNew(m)
	if !d.Notice {
		t.touch(b.Now)
		t.Pending = true
	}
	b.Audit = append(b.Audit, Owned[AuditRow]{t, AuditRow{
		Conversation: t.ID, Actor: actor, Action: action, Detail: "type=" + d.Type + " message=" + m.ID, At: b.Now,
	}})
	return m, nil
}

// judged is the conversation by which it is judged who may do something in it: one that
// no team has, and that a message takes over, is that of the team that gets it.
func (b *Book) judged(t *TalkRow, d *Draft) Conversation {
	v := t.View()
	if d != nil && !d.Notice && v.Area == "" {
		v.Area = b.takenOver(t, d.Area).Next.Area
	}
	return v
}

// takeOver gives the conversation to a team of ours: the one that is named, or the
// one that had it last.
func (b *Book) takeOver(t *TalkRow, area, actor string) {
	b.apply(t, b.takenOver(t, area), cause{By: actor})
}

func (b *Book) takenOver(t *TalkRow, area string) router.Decision {
	r := b.rules(t.Line)
	cmd := router.Command{Kind: router.CommandAgentSent, Area: cmp.Or(area, t.LastArea)}
	return r.Apply(t.Conversation.Conversation, cmd, b.Now)
}

// shut says that only templates may be sent to the person now.
func (b *Book) shut(t *TalkRow) bool { return b.shutSince(t.Line, t.LastInbound) }

// shutSince is shut for somebody who wrote last at the given time.
func (b *Book) shutSince(line string, last time.Time) bool {
	window := b.window(line)
	return window > 0 && (last.IsZero() || b.Now.Sub(last) >= window)
}

// Finish is the Done of a command that was carried out.
func (b *Book) Finish(t *TalkRow, m *MessageRow, cursor string) Done {
	b.Settle()
	out := Done{Conversation: t.View()}
	out.Cursor = cursor
	if m != nil {
		shown := m.Shown()
		out.Message = &shown
	}
	return out
}

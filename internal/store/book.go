package store

import (
	"maps"
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
)

// Book is what one transaction knows and changes. An engine fills it with the
// rows that may be touched (under their locks), the rules of this package change
// it, and the engine writes what is marked New, Changed or Gone, and the lists.
// A Book serves one transaction and one goroutine; a transaction that is tried
// again needs a new one.
type Book struct {
	Settings
	Now time.Time
	// Ticket is the number of the last ticket of the year of Now.
	Ticket int64

	Contacts []*ContactRow
	Talks    []*TalkRow
	Messages []*MessageRow

	// Aliases are those that were given or moved.
	Aliases map[string]*ContactRow
	// Merges and Folds are carried out in order, after new rows exist and before
	// changed ones are written.
	Merges   []*ContactRow // Gone, with Into
	Folds    []*TalkRow    // Gone, with Into
	Events   []Event
	Handoffs []Owned[HandoffRow]
	Audit    []Owned[AuditRow]
	Opened   []TicketRow
	Resolved []string // tickets
	Records  []RecordRow
	Park     []ParkedReport
	Unpark   []ParkedReport
	// Heard holds the lines that somebody wrote on, and when.
	Heard map[string]time.Time

	who        map[string]*ContactRow
	byProvider map[string][]*MessageRow
	byID       map[string]*MessageRow
	recorded   map[record]bool
	parked     map[ProviderID][]ParkedReport
}

// record is the name of a record: what an arrival is called, on its line.
type record struct{ line, key string }

// ContactRow is a contact and what became of it.
type ContactRow struct {
	Contact
	Row       int64 // the engine's key
	CreatedAt time.Time
	ChoseAt   time.Time // when they said last whether they want marketing
	New       bool
	Changed   bool
	Gone      bool        // merged
	Into      *ContactRow // where to

	talks map[string]*TalkRow // by line
}

// lines are those of the contact's conversations, in an order that does not hang
// on chance: events are told in it.
func (c *ContactRow) lines() []string { return slices.Sorted(maps.Keys(c.talks)) }

// TalkRow is a conversation and what became of it. Its Contact is the one of Who,
// but for the Address, which is this line's own.
type TalkRow struct {
	Conversation
	Row     int64
	Who     *ContactRow
	New     bool
	Changed bool
	Moved   bool     // to another contact
	Gone    bool     // folded into another conversation of the line
	Into    *TalkRow // which
	// Opened says that its first event was told: one that a notice began opens when
	// somebody writes in it.
	Opened bool
	// AskedAt is the person's last word that deserves an answer, SaidAt our last
	// answer that the provider accepted, ApologizedFor the word that got an apology.
	AskedAt, SaidAt, ApologizedFor time.Time
	// Owed counts the messages that wait to be sent, notices aside, when it was loaded.
	Owed int
	// Arm is set when the timer of the hand-off has to exist.
	Arm bool
	// SorryAt is set when the timer of an apology has to begin anew: when it is due.
	SorryAt time.Time
	// Pending is set when rows wait to be sent; engines need to find that out
	// only for duplicates.
	Pending bool

	heard bool // the person said something that deserves an answer
}

// MessageRow is a message and what only engines and rules know of it.
type MessageRow struct {
	Message
	Row  int64
	Talk *TalkRow
	// Origin tells messages of one provider id apart: kind, line and person of an
	// arrival. "" for what we wrote ourselves. Together with ProviderID it is unique.
	Origin string
	// Fate is the reason of an end; Message.Reason is that of the decision. See
	// Shown.
	Fate router.Reason
	// ReadID is the provider id of the message that this is the first answer to.
	ReadID string
	// Notice says that the message takes no conversation and keeps nobody waiting,
	// Marketing that WhatsApp counts its template as such.
	Notice, Marketing bool
	// Token is the claim under which it is, or was, sending.
	Token string
	// Since is when somebody began to wait for it.
	Since   time.Time
	Expires time.Time // zero: never
	New     bool
	Changed bool

	was        Status // when it was loaded
	unanswered bool   // the router said nothing to it, though it deserves an answer
}

// Shown returns the message as people see it: what ended badly says why.
func (m *MessageRow) Shown() Message {
	out := m.Message
	if m.Fate != "" && (m.Status == Failed || m.Status == Uncertain) {
		out.Reason = m.Fate
	}
	if m.Talk != nil {
		talk := m.Talk.final()
		out.Conversation, out.Line = talk.ID, talk.Line
	}
	return out
}

// Owned is a row that belongs to a conversation.
type Owned[T any] struct {
	Talk *TalkRow
	Row  T
}

// TicketRow is a ticket that was opened.
type TicketRow struct {
	Talk   *TalkRow
	Ticket string
	Area   string
	Tag    string
}

// RecordRow is a record and what it is found by.
type RecordRow struct {
	Record
	Key    string // of the arrival
	Person string // an alias, "" for nobody
}

// ParkedReport is a report that came before its message.
type ParkedReport struct {
	ProviderID
	// Person is the recipient's alias, "" where the report named none, and Owner
	// the engine's key of the contact that it leads to, 0 for nobody.
	Person string
	Owner  int64
	inbound.Report
	At      time.Time
	Expires time.Time
}

// NewBook returns an empty book. The settings must have their defaults.
func NewBook(set Settings, now time.Time) *Book {
	return &Book{
		Settings: set, Now: now,
		Aliases:    map[string]*ContactRow{},
		Heard:      map[string]time.Time{},
		who:        map[string]*ContactRow{},
		byProvider: map[string][]*MessageRow{},
		byID:       map[string]*MessageRow{},
		recorded:   map[record]bool{},
		parked:     map[ProviderID][]ParkedReport{},
	}
}

// AddContact puts in a loaded contact.
func (b *Book) AddContact(c *ContactRow) {
	c.talks = map[string]*TalkRow{}
	b.Contacts = append(b.Contacts, c)
}

// AddAlias puts in a loaded alias.
func (b *Book) AddAlias(alias string, c *ContactRow) { b.who[alias] = c }

// AddTalk puts in a loaded conversation; its Who is in the book.
func (b *Book) AddTalk(t *TalkRow) {
	t.Who.talks[t.Line] = t
	b.Talks = append(b.Talks, t)
}

// AddMessage puts in a loaded message; its Talk is in the book.
func (b *Book) AddMessage(m *MessageRow) {
	if b.byID[m.ID] != nil {
		return
	}
	m.was = m.Status
	b.Messages = append(b.Messages, m)
	b.index(m)
}

func (b *Book) index(m *MessageRow) {
	b.byID[m.ID] = m
	if m.ProviderID != "" {
		b.byProvider[m.ProviderID] = append(b.byProvider[m.ProviderID], m)
	}
}

// AddRecorded puts in the line and the key of an arrival that is in the records.
func (b *Book) AddRecorded(line, key string) { b.recorded[record{line, key}] = true }

// AddParked puts in a parked report.
func (b *Book) AddParked(p ParkedReport) {
	b.parked[p.ProviderID] = append(b.parked[p.ProviderID], p)
}

// MessageByID returns a message of the book, or nil.
func (b *Book) MessageByID(id string) *MessageRow { return b.byID[id] }

// final follows the folds.
func (t *TalkRow) final() *TalkRow {
	for t.Into != nil {
		t = t.Into
	}
	return t
}

// Final returns the conversation that this one became part of, or itself.
func (t *TalkRow) Final() *TalkRow { return t.final() }

// Final returns the contact that this one became part of, or itself.
func (c *ContactRow) Final() *ContactRow {
	for c.Into != nil {
		c = c.Into
	}
	return c
}

// View returns the conversation as the Store's methods do.
func (t *TalkRow) View() Conversation {
	v := t.Conversation
	address := v.Contact.Address
	v.Contact = t.Who.Contact
	v.Contact.Address = address
	v.Left.Asked = t.AskedAt
	if v.Left.Since.IsZero() {
		v.Left = Left{} // an answer to what was said before still waits
	}
	return v
}

// touch marks the conversation as written to and keeps its time.
func (t *TalkRow) touch(at time.Time) {
	t.Changed = true
	if at.After(t.LastMessageAt) {
		t.LastMessageAt = at
	}
}

// talk returns the contact's conversation on the line and whether it is new.
func (b *Book) talk(who *ContactRow, line string) (*TalkRow, bool) {
	if t := who.talks[line]; t != nil {
		return t, false
	}
	t := &TalkRow{Who: who, New: true}
	t.ID = b.NewID()
	t.Conversation.Conversation = router.Fresh(line)
	t.CreatedAt = b.Now
	b.AddTalk(t)
	return t, true
}

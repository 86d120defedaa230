// Package unit is the unit of work: what one transaction of a store knows and changes, and
// the rules that turn arrivals into rows. It reads in the order of a message's story:
// load.go (what must be locked), identify.go (whose it is), receive.go (what arrived),
// decide.go (the rows of the router's decision), records.go (arrivals that are no message),
// command.go (what people ask for), send.go and status.go (how a message leaves and
// arrives), left.go (who was not answered) and events.go (what others are told). It must
// never reach a database or know an engine.
package unit

import (
	"maps"
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

// Unit is what one transaction knows and changes. An engine fills it with the rows that may
// be touched (under their locks), the rules of this package change it, and the engine
// writes the lists and the rows that are marked New, Changed or Merged. A Unit serves one
// transaction and one goroutine; a retried transaction needs a new one.
type Unit struct {
	Settings
	Now time.Time
	// LastTicket is the number of the last ticket of the year of Now.
	LastTicket int64

	Contacts      []*ContactRow
	Conversations []*ConversationRow
	Messages      []*MessageRow

	// AliasChanges are the aliases that were given or moved.
	AliasChanges map[string]*ContactRow
	// MergedContacts and MergedConversations are carried out in order, after new rows exist
	// and before changed ones are written.
	MergedContacts      []*ContactRow      // with MergedInto
	MergedConversations []*ConversationRow // with MergedInto
	Events              []store.Event
	Handoffs            []Owned[store.HandoffRow]
	Audit               []Owned[store.AuditRow]
	OpenedTickets       []TicketRow
	ResolvedTickets     []string // tickets
	Records             []RecordRow
	NewlyParked         []ParkedReport
	Unparked            []ParkedReport
	// LastInboundByLine holds the last time that somebody wrote on a line.
	LastInboundByLine map[string]time.Time

	contactByAlias       map[string]*ContactRow
	messagesByProviderID map[string][]*MessageRow
	messageByID          map[string]*MessageRow
	recorded             map[recordName]bool
	parked               map[ProviderID][]ParkedReport
}

// recordName identifies a record: an arrival's key on its line.
type recordName struct{ line, key string }

// ContactRow is a contact and its changes.
type ContactRow struct {
	store.Contact
	Row        int64 // the engine's key
	CreatedAt  time.Time
	ChoseAt    time.Time // when they last said whether they want marketing
	New        bool
	Changed    bool
	Merged     bool // into MergedInto
	MergedInto *ContactRow

	conversations map[string]*ConversationRow // by line
}

// lines returns the lines of the contact's conversations in a fixed order, that of their
// events.
func (c *ContactRow) lines() []string { return slices.Sorted(maps.Keys(c.conversations)) }

// ConversationRow is a conversation and its changes. Its Contact is that of ContactRow but
// for the Address, which is this line's own.
type ConversationRow struct {
	store.Conversation
	Row            int64
	ContactRow     *ContactRow
	New            bool
	Changed        bool
	ContactChanged bool // to another contact
	Merged         bool // merged into another conversation of the line
	MergedInto     *ConversationRow
	// Opened says that its first event was told. A conversation that a notice began opens
	// with the person's first message.
	Opened bool
	// AskedAt is the person's last message that deserves an answer, AnsweredAt our last
	// accepted answer, ApologizedFor the message that got an apology.
	AskedAt, AnsweredAt, ApologizedFor time.Time
	// Unsent counts the messages that waited to be sent, notices aside, when the row was
	// loaded.
	Unsent int
	// ArmTimer is set when the hand-off needs a timer.
	ArmTimer bool
	// ApologyDue is set when the timer of an apology starts anew: when it is due.
	ApologyDue time.Time
	// Pending is set when rows wait to be sent; engines find that out only for duplicates.
	Pending bool

	askedNow bool // the person's message deserves an answer
}

// MessageRow is a message and what only engines and rules know of it.
type MessageRow struct {
	store.Message
	Row             int64
	ConversationRow *ConversationRow
	// DedupKey tells messages with one provider id apart: kind, line and person of an
	// arrival; "" for our own. It is unique together with ProviderID.
	DedupKey string
	// FailureReason is the reason of a failure; Message.Reason is that of the decision. See
	// View.
	FailureReason router.Reason
	// MarkReadID is the provider id of the message that this is the first answer to.
	MarkReadID string
	// Notice says that the message does not take over a conversation and delays no answer,
	// Marketing that WhatsApp counts its template as marketing.
	Notice, Marketing bool
	// Token is the token of the claim under which it is, or was, sending.
	Token string
	// PendingSince is when it began to wait.
	PendingSince time.Time
	ExpiresAt    time.Time // zero: never
	New          bool
	Changed      bool

	loadedStatus store.Status // the status when it was loaded
	unanswered   bool         // the router gave no reply, though it deserves an answer
}

// View returns the message as people see it: a failed one with its reason.
func (m *MessageRow) View() store.Message {
	out := m.Message
	if m.FailureReason != "" && (m.Status == store.Failed || m.Status == store.Uncertain) {
		out.Reason = m.FailureReason
	}
	if m.ConversationRow != nil {
		conversation := m.ConversationRow.Survivor()
		out.Conversation, out.Line = conversation.ID, conversation.Line
	}
	return out
}

// Owned is a row that belongs to a conversation.
type Owned[T any] struct {
	Conversation *ConversationRow
	Row          T
}

// TicketRow is a ticket that was opened.
type TicketRow struct {
	Conversation *ConversationRow
	Ticket       string
	Area         string
	Tag          string
}

// RecordRow is a record and its keys.
type RecordRow struct {
	store.Record
	Key    string // of the arrival
	Person string // an alias, "" for nobody
}

// ParkedReport is a report that came before its message.
type ParkedReport struct {
	ProviderID
	// Person is the recipient's alias, "" if the report named none, and ContactKey the
	// engine's key of their contact, 0 for none.
	Person     string
	ContactKey int64
	inbound.Report
	At        time.Time
	ExpiresAt time.Time
}

// New returns an empty unit. The settings must have their defaults.
func New(set Settings, now time.Time) *Unit {
	return &Unit{
		Settings: set, Now: now,
		AliasChanges:         map[string]*ContactRow{},
		LastInboundByLine:    map[string]time.Time{},
		contactByAlias:       map[string]*ContactRow{},
		messagesByProviderID: map[string][]*MessageRow{},
		messageByID:          map[string]*MessageRow{},
		recorded:             map[recordName]bool{},
		parked:               map[ProviderID][]ParkedReport{},
	}
}

// AddContact adds a loaded contact.
func (u *Unit) AddContact(c *ContactRow) {
	c.conversations = map[string]*ConversationRow{}
	u.Contacts = append(u.Contacts, c)
}

// AddAlias adds a loaded alias.
func (u *Unit) AddAlias(alias string, c *ContactRow) { u.contactByAlias[alias] = c }

// AddConversation adds a loaded conversation; its ContactRow is in the unit.
func (u *Unit) AddConversation(conv *ConversationRow) {
	conv.ContactRow.conversations[conv.Line] = conv
	u.Conversations = append(u.Conversations, conv)
}

// AddMessage adds a loaded message; its ConversationRow is in the unit.
func (u *Unit) AddMessage(m *MessageRow) {
	if u.messageByID[m.ID] != nil {
		return
	}
	m.loadedStatus = m.Status
	u.Messages = append(u.Messages, m)
	u.index(m)
}

func (u *Unit) addNewMessage(m *MessageRow) {
	u.Messages = append(u.Messages, m)
	u.index(m)
}

func (u *Unit) index(m *MessageRow) {
	u.messageByID[m.ID] = m
	if m.ProviderID != "" {
		u.messagesByProviderID[m.ProviderID] = append(u.messagesByProviderID[m.ProviderID], m)
	}
}

// AddRecorded adds the line and key of an arrival that has a record.
func (u *Unit) AddRecorded(line, key string) { u.recorded[recordName{line, key}] = true }

// AddParked adds a parked report.
func (u *Unit) AddParked(p ParkedReport) {
	u.parked[p.ProviderID] = append(u.parked[p.ProviderID], p)
}

// MessageByID returns a message of the unit, or nil.
func (u *Unit) MessageByID(id string) *MessageRow { return u.messageByID[id] }

// Survivor returns the conversation that this one was merged into, or itself.
func (conv *ConversationRow) Survivor() *ConversationRow {
	for conv.MergedInto != nil {
		conv = conv.MergedInto
	}
	return conv
}

// Survivor returns the contact that this one was merged into, or itself.
func (c *ContactRow) Survivor() *ContactRow {
	for c.MergedInto != nil {
		c = c.MergedInto
	}
	return c
}

// View returns the conversation as the Store's methods do.
func (conv *ConversationRow) View() store.Conversation {
	v := conv.Conversation
	address := v.Contact.Address
	v.Contact = conv.ContactRow.Contact
	v.Contact.Address = address
	v.Left.Asked = conv.AskedAt
	if v.Left.Since.IsZero() {
		v.Left = store.Left{} // an earlier message's answer still waits
	}
	return v
}

// touch marks the conversation as changed at a time.
func (conv *ConversationRow) touch(at time.Time) {
	conv.Changed = true
	if at.After(conv.LastMessageAt) {
		conv.LastMessageAt = at
	}
}

// conversation returns the contact's conversation on the line and whether it is new.
func (u *Unit) conversation(contact *ContactRow, line string) (*ConversationRow, bool) {
	if conv := contact.conversations[line]; conv != nil {
		return conv, false
	}
	conv := &ConversationRow{ContactRow: contact, New: true}
	conv.ID = u.NewID()
	conv.Conversation.Conversation = router.NewConversation(line)
	conv.CreatedAt = u.Now
	u.AddConversation(conv)
	return conv, true
}

// Year returns the year of tickets that are made now.
func (u *Unit) Year() int { return u.Now.In(u.Zone).Year() }

// Notify reports the unit's events. Engines call it after each commit of a unit.
func (u *Unit) Notify() {
	if u.OnEvents != nil && len(u.Events) > 0 {
		u.OnEvents(u.Events)
	}
}

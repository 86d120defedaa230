package store

import (
	"encoding/json"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/router"
)

// Status of a message. Outgoing ones go queued → sending → sent → delivered →
// read → played; failed and uncertain are ends that a later report may lift.
type Status string

// Statuses.
const (
	Received  Status = "received"
	Queued    Status = "queued"
	Sending   Status = "sending"
	Sent      Status = "sent"
	Delivered Status = "delivered"
	Read      Status = "read"
	Played    Status = "played"
	Failed    Status = "failed"
	Uncertain Status = "uncertain"
)

// Author of a message.
type Author string

// Authors.
const (
	AuthorContact Author = "contact"
	AuthorRouter  Author = "router"
	AuthorAgent   Author = "agent"
	AuthorProgram Author = "program" // a notice: see Draft
	AuthorPhone   Author = "phone"
	AuthorSystem  Author = "system"
)

// Contact is a person, whatever names they go by.
type Contact struct {
	ID       string           `json:"id"`
	Phone    string           `json:"phone,omitempty"`
	UserID   string           `json:"user_id,omitempty"`
	Username string           `json:"username,omitempty"`
	Name     string           `json:"name,omitempty"`
	Address  outbound.Address `json:"-"`
	Blocked  bool             `json:"blocked,omitempty"`
	// BlockedHere says that WhatsApp did not, or not yet, block the contact too.
	BlockedHere bool `json:"blocked_here_only,omitempty"`
	// OptedOut says that the person wants no marketing.
	OptedOut bool `json:"opted_out,omitempty"`
}

// Conversation is one contact on one line, for its whole life.
type Conversation struct {
	ID      string
	Contact Contact
	router.Conversation
	Seq int64 // of its last event
	// WaitingSince is when the person began to wait for the team that has the
	// conversation; zero while nobody of ours owes an answer.
	WaitingSince time.Time
	// LastArea is the team that has the conversation, or had it last.
	LastArea string
	// Left says why, and since when, the person's last word has no answer of ours.
	Left          Left
	LastMessageAt time.Time
	CreatedAt     time.Time
	// Cursor orders conversations by their last message, for paging.
	Cursor string
}

// LeftFor is how old a word may be whose person counts as left: later nobody expects an
// answer.
const LeftFor = 7 * 24 * time.Hour

// Left is a person's last word that nobody answered and that nobody will: no team
// has the conversation and nothing waits to be sent. The zero Left is nobody.
type Left struct {
	Reason router.Reason
	Since  time.Time
	Asked  time.Time // when the word was said; only in what a Store returns
}

// At returns what is still true of it then: with time alone it ends too.
func (l Left) At(now time.Time) Left {
	if now.Sub(l.Asked) >= LeftFor {
		return Left{}
	}
	return l
}

// Message is one message of a conversation.
type Message struct {
	ID           string
	Conversation string
	Line         string
	Direction    string // inbound, outbound
	Author       Author
	Type         string
	Text         string
	Body         outbound.Body // outgoing
	Media        *Media
	ReplyID      string
	QuotedID     string // provider id of the quoted message
	Reactions    []Reaction
	ProviderID   string
	Status       Status
	Reason       router.Reason
	ErrorCode    int
	ErrorDetail  string
	Epoch        int64
	Attempts     int
	Raw          json.RawMessage
	SentAt       time.Time
	ReceivedAt   time.Time
	CreatedAt    time.Time
	EditedAt     time.Time // when its author changed it; Text is the new one, Raw the first
	RevokedAt    time.Time // when its author took it back; it is kept
}

// Media is a file of a message and where it is now.
type Media struct {
	inbound.Media
	State string `json:"state"` // pending, ready, failed
	Path  string `json:"path,omitempty"`
	Error string `json:"error,omitempty"`
}

// Reaction is somebody's emoji on a message.
type Reaction struct {
	Author Author `json:"author"`
	Emoji  string `json:"emoji"`
}

// PostRow is what delivery needs of a row.
type PostRow struct {
	outbound.Post
	Conversation string
	Author       Author
	Notice       bool // see Draft
	CreatedAt    time.Time
}

// Event is one thing that happened to a conversation, as the CRM reads it.
type Event struct {
	ID           string
	Conversation string
	Type         string // message.received, conversation.handed_off, ...
	Seq          int64  // grows by one within the conversation
	Pos          int64  // global cursor, given by the pump after commit
	Data         json.RawMessage
	CreatedAt    time.Time
}

// Trace is everything that is known about one key.
type Trace struct {
	Conversations []Conversation
	Messages      []Message // newest conversations' messages, oldest first
	Handoffs      []HandoffRow
	Audit         []AuditRow
	Records       []Record
}

// HandoffRow is one hand-off that happened.
type HandoffRow struct {
	Conversation string
	Ticket       string
	FromArea     string
	Area         string
	Tag          string
	Note         string
	By           string
	At           time.Time
}

// AuditRow is one command that was carried out.
type AuditRow struct {
	Conversation string
	Actor        string
	Action       string
	Detail       string
	At           time.Time
}

// AuditEntry is an audit row in the list of all, with where it happened; line and
// area are "" where it was no conversation.
type AuditEntry struct {
	AuditRow
	Line, Area string
	Cursor     string
}

// Record is something that arrived and belongs to no conversation: an account
// notice, a history chunk, an unknown line, a shape that we cannot read.
type Record struct {
	ID         string
	Kind       inbound.Kind
	Line       string
	LineRef    string
	ProviderID string // or a hash of what came
	Reason     router.Reason
	Detail     string // of an invalid one
	Raw        json.RawMessage
	ReceivedAt time.Time
}

// Gauges are figures for metrics and the status page.
type Gauges struct {
	// OldestUnanswered is the age of the oldest inbound message that deserves
	// an automatic answer that has not left yet; zero when there is none.
	OldestUnanswered time.Duration
	// OldestHandedOff is when the person who has waited longest for a team began
	// to wait; zero when nobody waits. See Conversation.WaitingSince.
	OldestHandedOff time.Time
	// Left counts the conversations that were left within LeftFor: see Left.
	Left             int64
	PendingSends     int64
	UncertainSends   int64
	EventsUnnumbered int64
	// Lines maps a line to the time of its last inbound message.
	Lines map[string]time.Time
}

// States of a file.
const (
	MediaPending = "pending"
	MediaReady   = "ready"
	MediaFailed  = "failed"
)

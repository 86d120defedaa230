package store

import (
	"encoding/json"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/router"
)

// Status of a message. An outgoing one goes queued → sending → sent → delivered → read →
// played. A later report may lift failed and uncertain.
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

// Contact is a person, under whatever names.
type Contact struct {
	ID       string           `json:"id"`
	Phone    string           `json:"phone,omitempty"`
	UserID   string           `json:"user_id,omitempty"`
	Username string           `json:"username,omitempty"`
	Name     string           `json:"name,omitempty"`
	Address  outbound.Address `json:"-"`
	Blocked  bool             `json:"blocked,omitempty"`
	// BlockedHere says that WhatsApp does not block the contact (yet).
	BlockedHere bool `json:"blocked_here_only,omitempty"`
	// OptedOut says that the person wants no marketing.
	OptedOut bool `json:"opted_out,omitempty"`
}

// Conversation is all that one contact and one line have written, for ever.
type Conversation struct {
	ID      string
	Contact Contact
	router.Conversation
	Seq int64 // of its last event
	// WaitingSince is when the person began to wait for the team that has the conversation;
	// zero while nobody owes an answer.
	WaitingSince time.Time
	// LastArea is the team that has the conversation, or had it last.
	LastArea      string
	Left          Left
	LastMessageAt time.Time
	CreatedAt     time.Time
	// Cursor orders conversations by their last message, for paging.
	Cursor string
}

// LeftFor is how long a person without an answer counts as left: nobody expects an answer
// later.
const LeftFor = 7 * 24 * time.Hour

// Left is a person's last message that has no answer and will get none: no team has the
// conversation and nothing waits to be sent. The zero Left means that the person was not
// left.
type Left struct {
	Reason router.Reason
	Since  time.Time
	Asked  time.Time // when the message was written; only in what a Store returns
}

// At returns what is still true at that time: Left expires.
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
	EditedAt     time.Time // when its author changed it; Text is the new text, Raw the first
	RevokedAt    time.Time // when its author revoked it; it is kept
}

// Media is a file of a message and where it is.
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

// PostRow is the part of a row that delivery needs.
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

// HandoffRow is one hand-off.
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

// AuditEntry is an audit row in the list of all, with its place; line and area are "" if it
// belongs to no conversation.
type AuditEntry struct {
	AuditRow
	Line, Area string
	Cursor     string
}

// Record is an arrival that belongs to no conversation: an account notice, a history chunk,
// an unknown line, an unreadable shape.
type Record struct {
	ID         string
	Kind       inbound.Kind
	Line       string
	LineRef    string
	ProviderID string // or a hash of the content
	Reason     router.Reason
	Detail     string // of an invalid record
	Raw        json.RawMessage
	ReceivedAt time.Time
}

// Gauges are figures for metrics and the status page.
type Gauges struct {
	// OldestUnanswered is the age of the oldest inbound message whose automatic answer has
	// not left yet; zero if there is none.
	OldestUnanswered time.Duration
	// OldestHandedOff is when the person who has waited longest for a team began to wait;
	// zero if nobody waits. See Conversation.WaitingSince.
	OldestHandedOff time.Time
	// Left counts the conversations that were left: see Left.
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

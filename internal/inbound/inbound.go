// Package inbound is the word for what came in: one Arrival for each message,
// status, echo or notice that a provider reported, in our own terms. It is the
// body of every inbound and status job, so its JSON form is stored and must
// stay readable by the next version. It must never do I/O, hold rules or know
// a provider's wire format.
package inbound

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// Kind says what an Arrival is, and so where it may end.
type Kind string

const (
	// Message is something that a person wrote, tapped or sent us.
	Message Kind = "message"
	// Echo is something that our side wrote from another device: the phone
	// app of a coexistence number, or an Evolution instance (fromMe).
	Echo Kind = "echo"
	// Status is the fate of something that we sent.
	Status Kind = "status"
	// Identity is a person's change of phone number or user id.
	Identity Kind = "identity"
	// Preference is a person's opt-out of, or return to, marketing messages.
	Preference Kind = "preference"
	// Standby is a copy of traffic on a thread that another app owns.
	Standby Kind = "standby"
	// History is a chunk of old messages from a coexistence number.
	History Kind = "history"
	// Account is a notice about the number, the account or its templates.
	Account Kind = "account"
	// Failure is an entry of value.errors: a problem of the app or account.
	Failure Kind = "failure"
	// Presence is what a chat does beside messages: somebody types, it was read, moved
	// or archived. The door counts it and keeps it nowhere.
	Presence Kind = "presence"
	// Unknown is an authentic body or change that we cannot read. It is kept.
	Unknown Kind = "unknown"
)

// Arrival is one thing that a provider reported.
//
// Exactly one of Content, Report, Change and Choice is set for the kinds that
// have one (Message and Echo: Content; Status: Report; Identity: Change;
// Preference: Choice); the others have only Raw.
type Arrival struct {
	Kind Kind `json:"kind"`
	// ID is the provider's id of the thing (a wamid, an Evolution key id). For
	// things without one it is a hash of their content. It means something only
	// in its Scope; see Key.
	ID string `json:"id"`
	// Line is the configured line that it arrived on; "" when none matches.
	Line string `json:"line,omitempty"`
	// LineRef is the line as the provider names it: phone_number_id or instance.
	LineRef string `json:"line_ref,omitempty"`
	// Provider is "cloud", "evolution" or "n8n".
	Provider string `json:"provider"`
	// Shape is the payload shape that was detected (behaviour D): "envelope",
	// "value", "messages", "message", "simple", "flat", "ingest", "evolution"...
	Shape string `json:"shape,omitempty"`
	// Person is the other side of the conversation: the sender of a Message,
	// the addressee of an Echo or a Status.
	Person Person `json:"person,omitzero"`
	// SentAt is the provider's time, zero when it was missing or unreadable.
	SentAt time.Time `json:"sent_at,omitzero"`
	// ReceivedAt is when our door read the request.
	ReceivedAt time.Time `json:"received_at"`
	// Ahead is how far the door's clock was ahead of WhatsApp's, negative behind,
	// where they were minutes apart; else 0.
	Ahead time.Duration `json:"ahead,omitempty"`
	// Late is set by the worker for what comes back from the dead letters, and
	// by the store for what was Spooled and has been overtaken: it is stored and
	// changes nothing.
	Late bool `json:"late,omitempty"`
	// Spooled is set in what waited on a door's disk for the queue; see
	// MarkSpooled.
	Spooled bool `json:"spooled,omitempty"`
	// Quarantine, when set, is the reason why this must be kept and not
	// handled: "unknown_line", "unknown_shape", "group", "invalid".
	Quarantine string `json:"quarantine,omitempty"`
	// Detail says what is wrong with what could not be read.
	Detail string `json:"detail,omitempty"`

	Content *Content `json:"content,omitempty"`
	Report  *Report  `json:"report,omitempty"`
	Change  *Change  `json:"change,omitempty"`
	Choice  *Choice  `json:"choice,omitempty"`

	// Raw is the provider's JSON of this one thing, byte for byte where the
	// provider's body allows it.
	Raw json.RawMessage `json:"raw,omitempty"`
}

// Person names somebody as the provider does. Any field may be empty: a person
// with a username may have no phone (business-scoped-user-ids page), a hidden
// Evolution id (@lid) may have nothing else.
type Person struct {
	Phone string `json:"phone,omitempty"` // digits as they came, without plus
	// National says that the phone may lack its country code. Decoders read phones
	// with the country's plan (phone.Typed) and no longer set it; jobs that were
	// queued before they did have it.
	National     bool   `json:"national,omitempty"`
	UserID       string `json:"user_id,omitempty"`        // business-scoped user id, opaque
	ParentUserID string `json:"parent_user_id,omitempty"` // only for enrolled portfolios
	ExternalID   string `json:"external_id,omitempty"`    // Evolution JID that is not a phone
	Username     string `json:"username,omitempty"`       // display only
	Name         string `json:"name,omitempty"`           // profile name
}

// IsZero reports whether nothing identifies the person.
func (p Person) IsZero() bool {
	return p.Phone == "" && p.UserID == "" && p.ParentUserID == "" && p.ExternalID == ""
}

// Ref is how the provider names the person, and so the second half of the lane:
// user id, else phone, else external id; "" for nobody.
func (p Person) Ref() string {
	switch {
	case p.UserID != "":
		return p.UserID
	case p.Phone != "":
		return p.Phone
	case p.ParentUserID != "":
		return p.ParentUserID
	default:
		return p.ExternalID
	}
}

// Content is what a Message or an Echo says.
type Content struct {
	// Type is the Cloud API's word: text, image, audio, video, document,
	// sticker, location, contacts, interactive, button, reaction, order,
	// edit, revoke, unsupported, request_welcome, or whatever came.
	Type string `json:"type"`
	// Text is what a human would read: body, caption, title of the tapped
	// reply, or "" when there is none. Never a placeholder.
	Text string `json:"text,omitempty"`
	// ReplyID is the id of the tapped button or list row, ours by origin.
	ReplyID string `json:"reply_id,omitempty"`
	// QuotedID is the provider id of the message that is answered or tapped.
	QuotedID string `json:"quoted_id,omitempty"`
	// TargetID is the provider id that a reaction, edit or revoke is about.
	TargetID string `json:"target_id,omitempty"`
	// Emoji of a reaction; "" removes it.
	Emoji string `json:"emoji,omitempty"`
	Media *Media `json:"media,omitempty"`
	// Group is the group id of a group message.
	Group string `json:"group,omitempty"`
	// Referral is the Click-to-WhatsApp object as it came.
	Referral json.RawMessage `json:"referral,omitempty"`
	// Form says that Text is what somebody filled in: see FormText.
	Form bool `json:"form,omitempty"`
	// Error is the code of an "unsupported" message, 0 without.
	Error int `json:"error,omitempty"`
}

// Media is a file that can be fetched.
type Media struct {
	ID     string `json:"id,omitempty"`  // provider media id, valid 7 days
	URL    string `json:"url,omitempty"` // short-lived, optional
	MIME   string `json:"mime,omitempty"`
	SHA256 string `json:"sha256,omitempty"` // lower-case hex
	Name   string `json:"name,omitempty"`   // the sender's file name: metadata only
	Size   int64  `json:"size,omitempty"`   // bytes, 0 unknown
	Voice  bool   `json:"voice,omitempty"`
	// Inline is the file itself, base64, where a provider sends it along.
	Inline string `json:"inline,omitempty"`
}

// Report is the fate of an outgoing message.
type Report struct {
	// Status is sent, delivered, read, played, failed, or what came.
	Status string `json:"status"`
	// Ref is our own id, as we sent it in biz_opaque_callback_data.
	Ref    string `json:"ref,omitempty"`
	Code   int    `json:"code,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// Change is a person's move from one identity to another.
type Change struct {
	From Person `json:"from"`
	To   Person `json:"to"`
}

// Choice is a person's wish about marketing messages.
type Choice struct {
	Category string `json:"category"`
	Stop     bool   `json:"stop"`
}

// Scope is where the id means something: the line, and on it the person, since
// those who write may choose the id. What is in quarantine has a scope of its own,
// so that it never uses up the id of what is still to come. The person is hashed:
// a scope is shown and logged.
func (a Arrival) Scope() string {
	line := a.Line
	switch {
	case line == "":
		line = "?" + a.LineRef
	case a.Quarantine != "":
		line += "?"
	}
	ref := a.Person.Ref()
	if ref == "" {
		return line
	}
	sum := sha256.Sum256([]byte(ref))
	return line + "/" + hex.EncodeToString(sum[:8])
}

// Key identifies the thing across repeated deliveries. Statuses of one message
// differ by their status; a standby copy never collides with the original.
func (a Arrival) Key() string {
	key := string(a.Kind) + ":" + a.Scope() + ":" + a.ID
	if a.Report != nil {
		key += ":" + a.Report.Status
	}
	return key
}

// MarkSpooled sets Spooled in an Arrival's JSON and leaves the rest of it, so the
// provider's own JSON in it, as it is. Anything else comes back unchanged.
func MarkSpooled(body []byte) []byte {
	rest, ok := bytes.CutPrefix(body, []byte(`{"kind":`))
	if !ok {
		return body
	}
	return append([]byte(`{"spooled":true,"kind":`), rest...)
}

// Queue names of the jobs whose bodies are Arrivals.
const (
	QueueInbound = "inbound" // lane = line:person
	QueueStatus  = "status"  // lane = message id
	QueueMedia   = "media"   // lane = message id
)

// Route returns the queue and the lane that an Arrival waits in. Everything
// about one person on one line shares a lane; statuses go by message.
func (a Arrival) Route() (queue, lane string) {
	line := a.Line
	if line == "" {
		line = "?" + a.LineRef
	}
	if a.Kind == Status {
		return QueueStatus, line + ":" + a.ID
	}
	if ref := a.Person.Ref(); ref != "" {
		return QueueInbound, line + ":" + ref
	}
	return QueueInbound, line + ":-" + string(a.Kind)
}

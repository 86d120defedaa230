// Package inbound defines the Arrival: one message, status, echo or notice that a provider
// reported, in our own terms. It is the body of every inbound and status job, so its JSON
// form is stored and must stay readable by the next version. The package must never do I/O,
// hold rules or know a provider's wire format.
package inbound

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// Kind is the kind of an Arrival.
type Kind string

const (
	// Message is something that a person wrote, tapped or sent us.
	Message Kind = "message"
	// Echo is something that our side wrote from another device: the phone
	// app of a coexistence number, or an Evolution instance (fromMe).
	Echo Kind = "echo"
	// Status is WhatsApp's report on a message of ours.
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
	// Presence is chat activity beside messages: typing, read, moved, archived. Ingest
	// counts it and does not keep it.
	Presence Kind = "presence"
	// Unknown is an authentic body, or a part of one, that we cannot read. It is kept.
	Unknown Kind = "unknown"
)

// Arrival is one thing that a provider reported.
//
// Exactly one of Content, Report, Change and Choice is set for the kinds that
// have one (Message and Echo: Content; Status: Report; Identity: Change;
// Preference: Choice); the others have only Raw.
type Arrival struct {
	Kind Kind `json:"kind"`
	// ID is the provider's id (a wamid, an Evolution key id), or a hash of the content
	// if there is none. It is unique only within its Scope; see Key.
	ID string `json:"id"`
	// Line is the id of the configured line that it arrived on; "" if none matches.
	Line string `json:"line,omitempty"`
	// LineRef is the provider's name of the line: phone_number_id or instance.
	LineRef string `json:"line_ref,omitempty"`
	// Provider is "cloud", "evolution" or "n8n".
	Provider string `json:"provider"`
	// Shape is the detected payload shape: "envelope", "value", "messages", "message",
	// "simple", "flat", "ingest", "evolution"...
	Shape string `json:"shape,omitempty"`
	// Person is the other side of the conversation: the sender of a Message,
	// the addressee of an Echo or a Status.
	Person Person `json:"person,omitzero"`
	// SentAt is the provider's time; zero if missing or unreadable.
	SentAt time.Time `json:"sent_at,omitzero"`
	// ReceivedAt is when ingest read the request.
	ReceivedAt time.Time `json:"received_at"`
	// Ahead is how far our clock was ahead of WhatsApp's (negative: behind) if they were
	// minutes apart, else 0.
	Ahead time.Duration `json:"ahead,omitempty"`
	// Late is set by the worker on a redriven dead letter, and by the store on a spooled
	// arrival that a later one overtook. A late arrival is stored and changes nothing.
	Late bool `json:"late,omitempty"`
	// Spooled is set on an arrival that waited in the spool; see MarkSpooled.
	Spooled bool `json:"spooled,omitempty"`
	// Quarantine, if set, is the reason why the arrival is kept and not handled:
	// "unknown_line", "unknown_shape", "group", "invalid".
	Quarantine string `json:"quarantine,omitempty"`
	// Detail says why an unreadable body could not be read.
	Detail string `json:"detail,omitempty"`

	Content *Content `json:"content,omitempty"`
	Report  *Report  `json:"report,omitempty"`
	Change  *Change  `json:"change,omitempty"`
	Choice  *Choice  `json:"choice,omitempty"`

	// Raw is the provider's JSON of this one arrival, byte for byte if the body allows it.
	Raw json.RawMessage `json:"raw,omitempty"`
}

// Person holds a contact's aliases as the provider names them. Any field may be empty: a
// person with a username may have no phone (business-scoped-user-ids page), a person with a
// hidden Evolution id (@lid) may have nothing else.
type Person struct {
	Phone string `json:"phone,omitempty"` // digits as they came, without plus
	// National says that the phone may lack its country code. Decoders no longer set it
	// (they use phone.Typed); jobs queued by older versions may have it.
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

// Ref returns the alias that names the person's lane: user id, else phone, else parent user
// id, else external id; "" if there is none.
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

// Content is the content of a Message or an Echo.
type Content struct {
	// Type is the Cloud API's type: text, image, audio, video, document,
	// sticker, location, contacts, interactive, button, reaction, order,
	// edit, revoke, unsupported, request_welcome, or any other as it came.
	Type string `json:"type"`
	// Text is the text that a human reads: body, caption or title of the tapped reply;
	// "" if there is none. Never a placeholder.
	Text string `json:"text,omitempty"`
	// ReplyID is the id of the tapped button or list row, as we sent it.
	ReplyID string `json:"reply_id,omitempty"`
	// QuotedID is the provider id of the quoted or tapped message.
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
	// Form says that Text holds the answers of a form; see FormText.
	Form bool `json:"form,omitempty"`
	// Error is the error code of an "unsupported" message, 0 for none.
	Error int `json:"error,omitempty"`
}

// Media is a file that can be fetched.
type Media struct {
	ID     string `json:"id,omitempty"`  // provider media id, valid 7 days
	URL    string `json:"url,omitempty"` // short-lived, optional
	MIME   string `json:"mime,omitempty"`
	SHA256 string `json:"sha256,omitempty"` // lower-case hex
	Name   string `json:"name,omitempty"`   // the sender's file name: metadata only
	Size   int64  `json:"size,omitempty"`   // bytes, 0 if unknown
	Voice  bool   `json:"voice,omitempty"`
	// Inline is the file itself in base64, if the provider sent it along.
	Inline string `json:"inline,omitempty"`
}

// Report is the status of an outgoing message.
type Report struct {
	// Status is sent, delivered, read, played, failed, or any other as it came.
	Status string `json:"status"`
	// Ref is our own id, as we sent it in biz_opaque_callback_data.
	Ref    string `json:"ref,omitempty"`
	Code   int    `json:"code,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// Change is a person's change from one identity to another.
type Change struct {
	From Person `json:"from"`
	To   Person `json:"to"`
}

// Choice is a person's decision about marketing messages: to stop or resume them.
type Choice struct {
	Category string `json:"category"`
	Stop     bool   `json:"stop"`
}

// Scope returns the scope in which the id is unique: the line and the person, since a
// sender may choose the id. Quarantined arrivals have a scope of their own, so that they
// cannot use up the id of a real one. The person is hashed, as scopes are shown and logged.
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

// Key returns the arrival's deduplication key, the same for repeated deliveries. Statuses
// of one message differ by their status; a standby copy never collides with the original.
func (a Arrival) Key() string {
	key := string(a.Kind) + ":" + a.Scope() + ":" + a.ID
	if a.Report != nil {
		key += ":" + a.Report.Status
	}
	return key
}

// MarkSpooled sets Spooled in an Arrival's JSON and leaves the rest, the provider's raw
// JSON included, as it is. Any other bytes are returned unchanged.
func MarkSpooled(body []byte) []byte {
	rest, ok := bytes.CutPrefix(body, []byte(`{"kind":`))
	if !ok {
		return body
	}
	return append([]byte(`{"spooled":true,"kind":`), rest...)
}

// Package outbound is the word for what goes out: one Post for a sender to
// deliver, and the Failure that says what a refusal means for the next step.
// It must never do I/O or know a provider's wire format.
package outbound

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/psivisionhub/psi-router/internal/router"
)

// Post is one message to one person by one line.
type Post struct {
	// ID is our message id. Providers that can carry it do
	// (biz_opaque_callback_data), so that a status finds its row even when the
	// send call never returned.
	ID   string
	Line string
	To   Address
	// QuotedID is the provider id of the message to quote, "" for none.
	QuotedID string
	Body     Body
}

// Accepted is what a provider says of a message that it took.
type Accepted struct {
	ID string // the provider's
	// WaID is the phone by which WhatsApp knows the recipient, in whatever form they
	// were written to; "" when it was not said.
	WaID string
}

// Address is where to send, exactly as it came in.
type Address struct {
	Phone      string `json:"phone,omitempty"`
	UserID     string `json:"user_id,omitempty"`
	ExternalID string `json:"external_id,omitempty"`
}

// Body is what to say: our own Reply, or the Cloud API's own shape for what a
// person or a program sends through the API. Exactly one is set.
type Body struct {
	Reply *router.Reply   `json:"reply,omitempty"`
	Cloud json.RawMessage `json:"cloud,omitempty"` // {"type":"text","text":{…}}
}

// Class says what a Failure means for what comes next.
type Class string

const (
	// Permanent means that this message will never go; the next one may.
	Permanent Class = "permanent"
	// Retry means that nothing was sent: try again. Counts an attempt.
	Retry Class = "retry"
	// Pair means that this person gets too much: wait 4^n seconds on this
	// conversation.
	Pair Class = "pair"
	// Throttle means that the whole line is too fast or the service is down:
	// hold the line and probe. Never counts.
	Throttle Class = "throttle"
	// Auth means token, permission or account: hold the line until a human
	// acts.
	Auth Class = "auth"
	// Uncertain means that it may have been sent. Never repeated blindly.
	Uncertain Class = "uncertain"
	// Unknown means that it was refused, in words that do not tell whether this
	// message or the whole line is at fault: hold the line, and see whether others
	// go. Never counts against it while that is not known.
	Unknown Class = "unknown"
	// NotBegun means that the right to send was over when the bytes were to leave:
	// nothing was sent, and it says nothing about the message, the line or the
	// service. Never counts, never holds.
	NotBegun Class = "not_begun"
)

// Failure is why a Post did not, or may not, go out.
type Failure struct {
	Class Class
	// Code is the provider's own code, 0 when there was none.
	Code   int
	Detail string // safe for logs and operators: no token, no text, no phone
	// Wait is the provider's own hint, 0 for none.
	Wait time.Duration
	Err  error
}

func (f *Failure) Error() string {
	return fmt.Sprintf("send refused (%s, code %d): %s", f.Class, f.Code, f.Detail)
}

func (f *Failure) Unwrap() error { return f.Err }

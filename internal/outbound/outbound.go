// Package outbound defines the Post, one message for a provider's client to send, and the
// Failure, which classifies a refusal. It must never do I/O or know a provider's wire format.
package outbound

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/psivisionhub/psi-router/internal/router"
)

// Post is one message from one line to one person.
type Post struct {
	// ID is our message id. A provider that can carries it (biz_opaque_callback_data),
	// so that a status finds its row even if the send call never returned.
	ID   string
	Line string
	To   Address
	// QuotedID is the provider id of the message to quote, "" for none.
	QuotedID string
	Body     Body
}

// Accepted is a provider's answer for a message that it accepted.
type Accepted struct {
	ID string // the provider's
	// WaID is the phone by which WhatsApp knows the recipient, whichever form we sent
	// to; "" if the answer has none.
	WaID string
}

// Address is a recipient, exactly as the aliases came in.
type Address struct {
	Phone      string `json:"phone,omitempty"`
	UserID     string `json:"user_id,omitempty"`
	ExternalID string `json:"external_id,omitempty"`
}

// Body is the content of a Post: our own Reply, or a body in the Cloud API's own shape for
// messages sent through the API. Exactly one is set.
type Body struct {
	Reply *router.Reply   `json:"reply,omitempty"`
	Cloud json.RawMessage `json:"cloud,omitempty"` // {"type":"text","text":{…}}
}

// Class says how to go on after a Failure.
type Class string

const (
	// Permanent means that this message can never be sent; the next one may.
	Permanent Class = "permanent"
	// Retry means that nothing was sent: try again. It counts as an attempt.
	Retry Class = "retry"
	// Pair means that this person gets too many messages: wait 4^n seconds in this
	// conversation.
	Pair Class = "pair"
	// Throttle means that the line sends too fast or the service is down: hold the line
	// and probe. It never counts as an attempt.
	Throttle Class = "throttle"
	// Auth means that token, permission or account is at fault: hold the line until a
	// human acts.
	Auth Class = "auth"
	// Uncertain means that the message may have been sent. It is never repeated blindly.
	Uncertain Class = "uncertain"
	// Unknown means that the refusal does not tell whether the message or the line is at
	// fault: hold the line and see whether other messages go. It does not count as an
	// attempt until that is known.
	Unknown Class = "unknown"
	// NotBegun means that the lease was lost before any bytes left: nothing was sent, and
	// neither the message, the line nor the service is at fault. It never counts and
	// never holds.
	NotBegun Class = "not_begun"
)

// Failure says why a Post was not sent, or may not have been.
type Failure struct {
	Class Class
	// Code is the provider's error code, 0 for none.
	Code   int
	Detail string // safe for logs and operators: no token, no text, no phone
	// Wait is how long the provider asked us to wait, 0 for no hint.
	Wait time.Duration
	Err  error
}

func (f *Failure) Error() string {
	return fmt.Sprintf("send refused (%s, code %d): %s", f.Class, f.Code, f.Detail)
}

func (f *Failure) Unwrap() error { return f.Err }

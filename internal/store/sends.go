package store

import (
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/router"
)

// SendClaim is a row to post.
type SendClaim struct {
	Post  PostRow
	Token string
	// MarkReadID is the provider id of the inbound message that this answers, to be
	// marked as read; "" for none.
	MarkReadID string
	// Attempt is 1 for the first post.
	Attempt int
	// Busy is set where nothing was claimed of Post.Conversation, as somebody else
	// holds its contact.
	Busy bool
}

// SendResult is what a post came to.
type SendResult struct {
	MessageID    string
	Conversation string
	Token        string
	Status       Status // Sent, Queued (try again), Failed or Uncertain
	ProviderID   string
	// WaID is the phone by which WhatsApp knows whom a Sent row went to, "" where it is
	// that of To, which is where the row went to.
	WaID   string
	To     outbound.Address
	Reason router.Reason
	Code   int
	Detail string
	// NotAttempted goes with Queued: nothing left, so it was no attempt, and what kept the
	// row back before it stays.
	NotAttempted bool
}

// Recorded is what became of a SendResult.
type Recorded struct {
	More bool // its conversation has another row to send that is no notice
	Busy bool // it was not written: somebody else holds its contact
}

// Notice is a notice that was not tried yet.
type Notice struct {
	Wake
	MessageID string
}

// NoticesAhead is how many notices of a line are looked through for those of different
// conversations: many to one person make nobody look through them all.
const NoticesAhead = 1000

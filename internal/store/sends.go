package store

import (
	"context"
	"time"

	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/router"
)

// Sends is how the messages of a line leave.
type Sends interface {
	// ClaimSends moves the oldest pending row of each conversation from queued
	// to sending under the token, after checking epoch, expiry and window; rows
	// that fail the check become failed with their reason and the next one is
	// looked at. A row that is found sending under another token is marked
	// uncertain and not returned. One Claim at most for each conversation;
	// those without a row are absent. One whose contact somebody else holds is
	// there as Busy: nothing was claimed.
	ClaimSends(ctx context.Context, now time.Time, token string, conversations []string) ([]SendClaim, error)

	// RecordSends writes what became of claimed rows. Results whose row is no
	// longer sending under the token are ignored, but an accepted provider id
	// is always kept. recorded[i] belongs to results[i]; one that is Busy was not
	// written, because somebody else holds its contact.
	RecordSends(ctx context.Context, now time.Time, results []SendResult) (recorded []Recorded, err error)
}

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

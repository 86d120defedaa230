package store

import (
	"context"
	"time"

	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/router"
)

// Sends delivers the messages of a line.
type Sends interface {
	// ClaimSends moves the oldest pending row of each conversation from queued to sending
	// under the token, after it has checked epoch, expiry and window. A row that fails a
	// check becomes failed with its reason, and the next one is checked. A row that is
	// sending under another token becomes uncertain and is not returned. Each conversation
	// has at most one claim; those without a row are absent. A conversation whose contact
	// is locked by another transaction is Busy: none of its rows was claimed.
	ClaimSends(ctx context.Context, now time.Time, token string, conversations []string) ([]SendClaim, error)

	// RecordSends writes the results of claimed rows. A result whose row is no longer
	// sending under the token is ignored, but an accepted provider id is always kept.
	// recorded[i] belongs to results[i]; a Busy one was not written, as another transaction
	// has locked its contact.
	RecordSends(ctx context.Context, now time.Time, results []SendResult) (recorded []Recorded, err error)
}

// SendClaim is a row to post.
type SendClaim struct {
	Post  PostRow
	Token string
	// MarkReadID is the provider id of the inbound message to mark as read, "" for none.
	MarkReadID string
	// Attempt is 1 for the first post.
	Attempt int
	// Busy says that the contact of Post.Conversation is locked by another transaction;
	// nothing was claimed.
	Busy bool
}

// SendResult is the result of a post.
type SendResult struct {
	MessageID    string
	Conversation string
	Token        string
	Status       Status // Sent, Queued (try again), Failed or Uncertain
	ProviderID   string
	// WaID is the phone by which WhatsApp knows the recipient of a Sent row, "" if it is
	// To's. To is where the row went.
	WaID   string
	To     outbound.Address
	Reason router.Reason
	Code   int
	Detail string
	// NotAttempted goes with Queued: nothing was sent, so it was no attempt, and the
	// earlier reason for the row's wait stays.
	NotAttempted bool
}

// Recorded says what happened to a SendResult.
type Recorded struct {
	More bool // its conversation has another row to send that is no notice
	Busy bool // it was not written: another transaction has locked its contact
}

// Notice is an untried notice.
type Notice struct {
	Wake
	MessageID string
}

// NoticesAhead is how many notices of a line are searched for different conversations, so
// that many to one person do not make the search long.
const NoticesAhead = 1000

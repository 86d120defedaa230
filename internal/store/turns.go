package store

import (
	"context"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
)

// Turns is how a worker handles arrivals.
type Turns interface {
	// Turn handles arrivals in order: it loads or creates contact and conversation, stores
	// the message, steps the router and writes the decision, all in one transaction. An
	// arrival whose Key was handled before changes nothing and reports Duplicate.
	// results[i] belongs to batch[i]. A Busy result was not handled, as another transaction
	// has locked its contact. An error means that nothing of the batch was written.
	Turn(ctx context.Context, now time.Time, batch []inbound.Arrival) (results []Result, err error)

	// Reject stores an arrival that is about to become a dead letter as invalid, with the
	// error. It does nothing else. Idempotent.
	Reject(ctx context.Context, now time.Time, arrival inbound.Arrival, why string) error

	// Statuses applies reports to messages of their line and recipient that were claimed. A
	// status never goes down. A report that comes before its message is parked for an hour.
	// Idempotent.
	Statuses(ctx context.Context, now time.Time, batch []inbound.Arrival) error
}

// Result is the result of one arrival of a Turn.
type Result struct {
	MessageID    string // ours; "" if it is no message
	Conversation string // id; "" if it belongs to none
	Reason       router.Reason
	Duplicate    bool
	Busy         bool
	// Wake is set when the conversation has rows to send, also for a duplicate: the wake-up
	// may have been lost.
	Wake *Wake
	// Media is set when a file waits to be fetched.
	Media *MediaRef
	// Replies counts the router's replies.
	Replies int
	// State is the state after the decision, for logs.
	State router.State
}

// Wake names a conversation with rows to send, and its line.
type Wake struct {
	Line         string
	Conversation string
}

// MediaRef is a file to download, for the media queue.
type MediaRef struct {
	MessageID string        `json:"message_id"`
	Line      string        `json:"line"`
	Media     inbound.Media `json:"media"`
}

// Downloads records the files of messages.
type Downloads interface {
	// SaveMedia records the result of a download.
	SaveMedia(ctx context.Context, messageID string, media Media) error
}

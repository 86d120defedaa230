package store

import (
	"context"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
)

// Turns is what a worker does with what arrived.
type Turns interface {
	// Turn handles arrivals in order: it loads (or makes) contact and
	// conversation, stores the message, steps the router and writes what was
	// decided, all in one transaction. An arrival whose Key was handled before
	// changes nothing and reports Duplicate. results[i] belongs to batch[i]; a
	// result with Busy was not handled because somebody holds its contact.
	// An error means that nothing of the batch was written.
	Turn(ctx context.Context, now time.Time, batch []inbound.Arrival) (results []Result, err error)

	// Reject keeps an arrival that is about to go dead: its row is stored as
	// invalid with the error, and nothing else happens. Idempotent.
	Reject(ctx context.Context, now time.Time, arrival inbound.Arrival, why string) error

	// Statuses applies reports to outgoing messages of their line and recipient
	// that somebody claimed. A status never goes down; one that comes before its
	// message is parked for an hour. Idempotent.
	Statuses(ctx context.Context, now time.Time, batch []inbound.Arrival) error
}

// Result is what became of one arrival of a Turn.
type Result struct {
	MessageID    string // ours; "" for what is not a message
	Conversation string // id; "" for what belongs to none
	Reason       router.Reason
	Duplicate    bool
	Busy         bool
	// Wake is set when the conversation has rows to send, also for duplicates:
	// the wake-up may have been lost.
	Wake *Wake
	// Media is set when a file waits to be fetched.
	Media *MediaRef
	// Replies counts what the router said.
	Replies int
	// State after the decision, for logs.
	State router.State
}

// Wake names a conversation with something to send, and the line it leaves by.
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

// Downloads is where the files of messages are noted.
type Downloads interface {
	// SaveMedia records the fate of a download.
	SaveMedia(ctx context.Context, messageID string, media Media) error
}

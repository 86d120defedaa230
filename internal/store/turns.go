package store

import (
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
)

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

package store

import (
	"context"
	"time"

	"github.com/psivisionhub/psi-router/internal/router"
)

// Reader is what people read.
type Reader interface {
	// Conversations lists conversations, the newest first unless Filter.Left is set.
	Conversations(ctx context.Context, filter Filter) ([]Conversation, error)

	// Conversation returns one conversation. ErrNotFound.
	Conversation(ctx context.Context, id string) (Conversation, error)

	// Messages lists a conversation's messages after the given message id, oldest first (""
	// from the start).
	Messages(ctx context.Context, conversation, after string, limit int) ([]Message, error)

	// Events lists numbered events with Pos > after, in order. A page ends early, with at
	// least one event, once its size reaches MaxEventPageBytes: see EventPage.
	Events(ctx context.Context, after int64, limit int) ([]Event, error)

	// Trace finds everything about a key: our message id, a provider id, a
	// conversation id, a ticket, a user id or a phone. ErrNotFound.
	Trace(ctx context.Context, key string) (Trace, error)

	// Audit lists audit entries before the given cursor, newest first ("" from the end).
	Audit(ctx context.Context, before string, limit int) ([]AuditEntry, error)
}

// Filter selects conversations. Empty fields select all.
type Filter struct {
	Contact string // id
	Phone   string
	UserID  string
	Line    string
	Area    string
	State   router.State
	// LeftAfter selects conversations that were left by a newer message, the oldest first.
	LeftAfter time.Time
	// Before is the cursor of the last row of the previous page.
	Before string
	Limit  int
}

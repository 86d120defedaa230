package store

import (
	"context"
	"time"
)

// Subscriptions is how events reach the endpoints. Each endpoint has a cursor in each
// conversation: the seq of the last event that it took.
type Subscriptions interface {
	// RegisterEndpoint adds an endpoint. A new one starts at the end of the event log; a
	// known one resumes from its cursors.
	RegisterEndpoint(ctx context.Context, now time.Time, endpoint string) error

	// PendingEvents returns, for each conversation, at most limit of the oldest events that
	// the endpoint has not taken, in order, one conversation after the other. An event
	// without Pos has no number yet: ask again a little later.
	PendingEvents(ctx context.Context, endpoint string, conversations []string, limit int) ([]Event, error)

	// AdvanceCursors moves cursors forward, all or none. A position behind the cursor
	// changes nothing.
	AdvanceCursors(ctx context.Context, endpoint string, cursors []Cursor) error
}

// EventBacklog finds the conversations in which endpoints lag.
type EventBacklog interface {
	// ScanBacklog scans all numbered events once, a page at a time, and notes the
	// conversations with wanted events that the endpoint has not taken. One process at a
	// time does it; the others get HeldElsewhere.
	ScanBacklog(ctx context.Context, endpoint string, filter EventFilter) (ScanResult, error)

	// LaggingConversations lists the noted conversations that still lag, by Since, after
	// the last row of the previous page (the zero Lagging: from the start), and only those
	// whose Since is not after until.
	LaggingConversations(ctx context.Context, endpoint string, after Lagging, until time.Time, limit int) ([]Lagging, error)

	// PruneCursors removes cursors that say nothing any more, one page at a time: those of
	// conversations of which the endpoint has everything, up to the position of
	// ScanBacklog. A conversation without a cursor begins at that position. after is Next
	// of the previous page, "" for the first.
	PruneCursors(ctx context.Context, endpoint, after string) (PruneResult, error)

	// Backlogs returns how far endpoints lag, by what ScanBacklog noted, at a cost that
	// does not grow with the backlog. Endpoints without one are absent.
	Backlogs(ctx context.Context, endpoints []string) (map[string]Backlog, error)
}

// Cursor says that an endpoint has taken the events of a conversation up to Seq.
type Cursor struct {
	Conversation string
	Seq          int64
}

// ScanResult is the result of one ScanBacklog.
type ScanResult struct {
	HeldElsewhere bool
	More          bool // the page was full: call again
}

// PruneResult is the result of one page of PruneCursors.
type PruneResult struct {
	Removed int
	Next    string // where the next page begins, "" after the last
}

// Lagging is a conversation with events that an endpoint has not taken.
type Lagging struct {
	Conversation string
	// Since is when the first of them happened, or a little before.
	Since time.Time
}

// Backlog is how far an endpoint lags.
type Backlog struct {
	// Conversations counts the lagging ones, up to MaxBacklogCount.
	Conversations int64
	Oldest        time.Time
}

// MaxBacklogCount is where counting ends.
const MaxBacklogCount = 1_000

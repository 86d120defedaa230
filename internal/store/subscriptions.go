package store

import (
	"context"
	"time"
)

// Subscriptions is how events reach those who get them pushed. Each endpoint has a cursor
// in each conversation, by seq: what is above it was not taken yet.
type Subscriptions interface {
	// RegisterEndpoint adds an endpoint. A new one starts at the end of the event log; a
	// known one resumes from its cursors.
	RegisterEndpoint(ctx context.Context, now time.Time, endpoint string) error

	// PendingEvents returns the oldest events that the endpoint has not taken of each of
	// the conversations, at most limit of each, in order, one conversation after the
	// other. An event without Pos has no number yet: ask again a little later.
	PendingEvents(ctx context.Context, endpoint string, conversations []string, limit int) ([]Event, error)

	// AdvanceCursors moves cursors forward, all or none. What is behind its cursor already
	// changes nothing.
	AdvanceCursors(ctx context.Context, endpoint string, cursors []Cursor) error
}

// EventBacklog tells which endpoints are behind, and with what.
type EventBacklog interface {
	// ScanBacklog goes once through all numbered events, a page at a time, and notes which
	// conversations have something that the endpoint wants and has not taken. One
	// process at a time does it; who finds it being done gets HeldElsewhere.
	ScanBacklog(ctx context.Context, endpoint string, filter EventFilter) (ScanResult, error)

	// LaggingConversations lists, by Since, conversations for which that was noted and is still
	// so, after the last row of the page before (the zero Lagging: from the start),
	// and only those whose Since is not after until.
	LaggingConversations(ctx context.Context, endpoint string, after Lagging, until time.Time, limit int) ([]Lagging, error)

	// PruneCursors removes cursors that say nothing any more, one page at a time: those of
	// conversations that the endpoint has all of, up to where ScanBacklog has come. A
	// conversation without a cursor begins behind that from then on. after is Next of
	// the page before, "" for the first.
	PruneCursors(ctx context.Context, endpoint, after string) (PruneResult, error)

	// Backlogs says how far behind endpoints are, by what ScanBacklog noted, at a cost that
	// does not grow with that. Those without backlog are absent.
	Backlogs(ctx context.Context, endpoints []string) (map[string]Backlog, error)
}

// Cursor says that an endpoint has taken the events of a conversation up to Seq.
type Cursor struct {
	Conversation string
	Seq          int64
}

// ScanResult is what a round of ScanBacklog did.
type ScanResult struct {
	HeldElsewhere bool
	More          bool // the page was full: call again
}

// PruneResult is what one page of PruneCursors did.
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

// Backlog is how far behind an endpoint is.
type Backlog struct {
	// Conversations counts those behind, up to MaxBacklogCount.
	Conversations int64
	Oldest        time.Time
}

// MaxBacklogCount is where counting ends.
const MaxBacklogCount = 1_000

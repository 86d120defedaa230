package store

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Feeds is how events reach those who get them pushed. Each endpoint has a cursor
// in each conversation, by seq: what is above it was not taken yet. Every method
// may return ErrUnavailable.
type Feeds interface {
	// Follow makes an endpoint known. A new one gets what is told from now on; one
	// that was known goes on where it was, however long ago that is.
	Follow(ctx context.Context, now time.Time, endpoint string) error

	// Unpushed returns the oldest events that the endpoint has not taken of each of
	// the conversations, at most limit of each, in order, one conversation after the
	// other. An event without Pos has no number yet: ask again a little later.
	Unpushed(ctx context.Context, endpoint string, conversations []string, limit int) ([]Event, error)

	// Pushed moves cursors forward, all or none. What is behind its cursor already
	// changes nothing.
	Pushed(ctx context.Context, endpoint string, cursors []Cursor) error

	// Survey goes once through all numbered events, a page at a time, and notes which
	// conversations have something that the endpoint wants and has not taken. One
	// process at a time does it; who finds it being done gets Elsewhere.
	Survey(ctx context.Context, endpoint string, wants Wants) (Surveyed, error)

	// Behind lists, by Since, conversations for which that was noted and is still
	// so, after the last row of the page before (the zero Behind: from the start),
	// and only those whose Since is not after until.
	Behind(ctx context.Context, endpoint string, after Behind, until time.Time, limit int) ([]Behind, error)

	// Trim removes cursors that say nothing any more, one page at a time: those of
	// conversations that the endpoint has all of, up to where Survey has come. A
	// conversation without a cursor begins behind that from then on. after is Next of
	// the page before, "" for the first.
	Trim(ctx context.Context, endpoint, after string) (Trimmed, error)

	// Backlogs says how far behind endpoints are, by what Survey noted, at a cost that
	// does not grow with that. Those without backlog are absent.
	Backlogs(ctx context.Context, endpoints []string) (map[string]Backlog, error)
}

// Cursor says that an endpoint has taken the events of a conversation up to Seq.
type Cursor struct {
	Conversation string
	Seq          int64
}

// Surveyed is what a round of Survey did.
type Surveyed struct {
	Elsewhere bool
	More      bool // the page was full: call again
}

// Trimmed is what one page of Trim did.
type Trimmed struct {
	Removed int
	Next    string // where the next page begins, "" after the last
}

// Behind is a conversation with events that an endpoint has not taken.
type Behind struct {
	Conversation string
	// Since is when the first of them happened, or a little before.
	Since time.Time
}

// Backlog is how far behind an endpoint is.
type Backlog struct {
	// Conversations counts those behind, up to MostBacklog.
	Conversations int64
	Oldest        time.Time
}

// MostBacklog is where counting ends.
const MostBacklog = 1_000

// Wants says which events somebody wants. Empty lists want all.
type Wants struct {
	Types []string // a type, a family such as message.*, or *
	Lines []string
	Areas []string // that of the conversation at that moment, or the one it just left
}

// Plain says that the type alone decides.
func (w Wants) Plain() bool { return len(w.Lines) == 0 && len(w.Areas) == 0 }

// Match says whether the event is wanted.
func (w Wants) Match(e Event) bool {
	if !w.matchType(e.Type) {
		return false
	}
	if w.Plain() {
		return true
	}
	var data struct {
		Conversation struct{ Line, Area string }
		FromArea     string `json:"from_area"`
		Handoff      struct {
			FromArea string `json:"from_area"`
		}
	}
	if json.Unmarshal(e.Data, &data) != nil {
		return true // rather too much than too little
	}
	if len(w.Lines) > 0 && !slices.Contains(w.Lines, data.Conversation.Line) {
		return false
	}
	return len(w.Areas) == 0 || slices.ContainsFunc([]string{data.Conversation.Area, data.FromArea, data.Handoff.FromArea},
		func(area string) bool { return area != "" && slices.Contains(w.Areas, area) })
}

func (w Wants) matchType(kind string) bool {
	return len(w.Types) == 0 || slices.ContainsFunc(w.Types, func(want string) bool {
		family, all := strings.CutSuffix(want, "*")
		return want == kind || all && strings.HasPrefix(kind, family)
	})
}

// EventTypes lists all types of events.
func EventTypes() []string {
	return []string{
		EventReceived, EventSent, EventStatus, EventFailed, EventOpened, EventUpdated, EventHandedOff, EventClosed,
	}
}

// Lag is what a page of events means for the cursor of one conversation: First and
// Last are the seqs of those that are wanted.
type Lag struct {
	Conversation string
	First, Last  int64
	Since        time.Time
}

// Lags sums up a page, by conversation, in an order that all writers share: so
// none of them waits for another one that waits for it.
func Lags(page []Event, wants Wants) []Lag {
	at := map[string]int{}
	var out []Lag
	for _, e := range page {
		if !wants.Match(e) {
			continue
		}
		i, known := at[e.Conversation]
		if !known {
			i = len(out)
			at[e.Conversation] = i
			out = append(out, Lag{Conversation: e.Conversation, First: e.Seq, Since: e.CreatedAt})
		}
		out[i].Last = max(out[i].Last, e.Seq)
	}
	slices.SortFunc(out, func(a, b Lag) int { return strings.Compare(a.Conversation, b.Conversation) })
	return out
}

// LastCursors returns one cursor for each conversation, the furthest, in the order
// of Lags.
func LastCursors(cursors []Cursor) []Cursor {
	out := slices.Clone(cursors)
	slices.SortFunc(out, func(a, b Cursor) int {
		if c := strings.Compare(a.Conversation, b.Conversation); c != 0 {
			return c
		}
		return int(b.Seq - a.Seq)
	})
	return slices.CompactFunc(out, func(a, b Cursor) bool { return a.Conversation == b.Conversation })
}

// Tell is for engines: they call it after each commit of a book.
func (b *Book) Tell() {
	if b.Told != nil && len(b.Events) > 0 {
		b.Told(b.Events)
	}
}

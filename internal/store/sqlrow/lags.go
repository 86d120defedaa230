package sqlrow

import (
	"slices"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/store"
)

// CursorLag is what a page of events means for the cursor of one conversation: First and
// Last are the seqs of the wanted events.
type CursorLag struct {
	Conversation string
	First, Last  int64
	Since        time.Time
}

// CursorLags sums up a page, sorted by conversation, so that concurrent writers lock rows
// in the same order and cannot deadlock.
func CursorLags(page []store.Event, filter store.EventFilter) []CursorLag {
	at := map[string]int{}
	var out []CursorLag
	for _, e := range page {
		if !filter.Match(e) {
			continue
		}
		i, known := at[e.Conversation]
		if !known {
			i = len(out)
			at[e.Conversation] = i
			out = append(out, CursorLag{Conversation: e.Conversation, First: e.Seq, Since: e.CreatedAt})
		}
		out[i].Last = max(out[i].Last, e.Seq)
	}
	slices.SortFunc(out, func(a, b CursorLag) int { return strings.Compare(a.Conversation, b.Conversation) })
	return out
}

// LatestCursors returns each conversation's furthest cursor, in the order of CursorLags.
func LatestCursors(cursors []store.Cursor) []store.Cursor {
	out := slices.Clone(cursors)
	slices.SortFunc(out, func(a, b store.Cursor) int {
		if c := strings.Compare(a.Conversation, b.Conversation); c != 0 {
			return c
		}
		return int(b.Seq - a.Seq)
	})
	return slices.CompactFunc(out, func(a, b store.Cursor) bool { return a.Conversation == b.Conversation })
}

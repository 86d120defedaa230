package sqlitestore

import (
	"math"

	"github.com/psivisionhub/psi-router/internal/store"
)

// listLeft loads the conversations of a page of those that were left, by their last
// word: the oldest first. They are few: other conditions are looked at one by one.
func (tx *txState) listLeft(f store.Filter) error {
	at, n := micros(f.LeftAfter), int64(math.MaxInt64)
	if f.Before != "" {
		at, n = readCursor(f.Before)
	}
	where, args := "t.left_at > 0 AND (t.asked_at, t.n) > (?, ?)", []any{at, n}
	and := func(condition, value string) {
		if value != "" {
			where, args = where+" AND "+condition, append(args, value)
		}
	}
	and("t.line = ?", f.Line)
	and("t.area = ?", f.Area)
	and("t.state = ?", string(f.State))
	if f.Phone != "" || f.UserID != "" {
		contacts, err := tx.contactsOf(f)
		if err != nil {
			return err
		}
		and("t.contact IN (SELECT value FROM json_each(?))", contacts)
	}
	if err := tx.selectConversations(where+" ORDER BY t.asked_at, t.n LIMIT ?", append(args, pageLimit(f.Limit))); err != nil {
		return err
	}
	for _, conv := range tx.unit.Conversations {
		conv.Cursor = cursor(micros(conv.AskedAt), conv.Row)
	}
	return nil
}

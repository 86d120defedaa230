package sqlitestore

import (
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
)

// listLeft loads a page of the conversations that were left, the oldest message first. They
// are few: other conditions are checked one by one.
func (tx *txState) listLeft(f store.Filter) error {
	at, n := sqlrow.Micros(f.LeftAfter), int64(sqlrow.End)
	if f.Before != "" {
		at, n = sqlrow.ParseCursor(f.Before)
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
	if err := tx.selectConversations(where+" ORDER BY t.asked_at, t.n LIMIT ?", append(args, sqlrow.Limit(f.Limit))); err != nil {
		return err
	}
	for _, conv := range tx.unit.Conversations {
		conv.Cursor = sqlrow.Cursor(conv.AskedAt, conv.Row)
	}
	return nil
}

package pgstore

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// listLeft returns a page of the conversations that were left, the oldest message first.
// They are few: other conditions are checked one by one.
func (s *Store) listLeft(ctx context.Context, f store.Filter) ([]store.Conversation, error) {
	at, n := stamp(s.serverTime(f.LeftAfter)), int64(sqlrow.End)
	if f.Before != "" {
		at, n = readCursor(f.Before)
	}
	tx := s.emptyTxState()
	var q sqlBuilder
	q.add(`(SELECT * FROM psi_router.conversations WHERE left_at IS NOT NULL AND (asked_at, n) > (?, ?) OFFSET 0) t WHERE true`, at, n)
	q.filterConversation(f)
	tx.filterContact(&q, f)
	q.add(`ORDER BY t.asked_at, t.n LIMIT ?`, sqlrow.Limit(f.Limit))
	err := s.read(ctx, "list conversations that were left", func(r *reader) error {
		return r.askLast(func(b *pgx.Batch) { tx.queueConversationsFrom(b, strings.Join(q.text, " "), q.args...) })
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(tx.listed, func(x, y *unit.ConversationRow) int {
		return cmp.Or(x.AskedAt.Compare(y.AskedAt), cmp.Compare(x.Row, y.Row))
	})
	var out []store.Conversation
	for _, conv := range tx.listed {
		conv.Cursor = sqlrow.Cursor(conv.AskedAt, conv.Row)
		out = append(out, conv.View())
	}
	return out, nil
}

package pgstore

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/psivisionhub/psi-router/internal/store"
)

// listLeft returns a page of the conversations that were left, by their last word: the
// oldest first. They are few: other conditions are looked at one by one.
func (s *Store) listLeft(ctx context.Context, f store.Filter) ([]store.Conversation, error) {
	at, n := stamp(s.clock(f.LeftAfter)), int64(math.MaxInt64)
	if f.Before != "" {
		at, n = readCursor(f.Before)
	}
	p := s.blank()
	var q query
	q.add(`(SELECT * FROM psi_router.conversations WHERE left_at IS NOT NULL AND (asked_at, n) > (?, ?) OFFSET 0) t WHERE true`, at, n)
	q.narrow(f)
	p.theirs(&q, f)
	q.add(`ORDER BY t.asked_at, t.n LIMIT ?`, limit(f.Limit))
	err := s.read(ctx, "list who was left", func(r *reader) error {
		return r.last(func(b *pgx.Batch) { p.collectFrom(b, strings.Join(q.text, " "), q.args...) })
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(p.list, func(x, y *store.ConversationRow) int {
		return cmp.Or(x.AskedAt.Compare(y.AskedAt), cmp.Compare(x.Row, y.Row))
	})
	var out []store.Conversation
	for _, t := range p.list {
		t.Cursor = cursor(t.AskedAt, t.Row)
		out = append(out, t.View())
	}
	return out, nil
}

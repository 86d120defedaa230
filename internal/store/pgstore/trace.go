package pgstore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// Trace implements store.Store. It looks a key up in every way that it can be read. A
// message brings what it led to, any other key the last messages of its conversations.
func (s *Store) Trace(ctx context.Context, key string) (store.Trace, error) {
	key = unit.FitKey(strings.TrimSpace(key))
	var out store.Trace
	err := s.read(ctx, "trace", func(r *reader) (err error) {
		out, err = s.emptyTxState().trace(r, key)
		return err
	})
	if err != nil {
		return store.Trace{}, err
	}
	if len(out.Conversations)+len(out.Records) == 0 {
		return store.Trace{}, fmt.Errorf("trace: %w", store.ErrNotFound)
	}
	return out, nil
}

func (tx *txState) trace(r *reader, key string) (out store.Trace, err error) {
	aliases := tx.unit.SearchAliases(key)
	var named []*messageRow
	if err := r.ask(func(b *pgx.Batch) {
		queueRawMessages(b, &named, `m.id = $1`, key)
		queueRawMessages(b, &named, `m.provider_id = $1 ORDER BY m.n`, key)
		tx.queueRecords(b, &out.Records, key, aliases)
	}); err != nil {
		return out, err
	}
	messages, err := tx.traceMessages(r, named)
	if err == nil && len(named) == 0 {
		messages, err = tx.traceConversations(r, key, aliases)
	}
	if err != nil {
		return out, err
	}
	out.Messages = tx.viewMessages(messages)
	for _, conv := range tx.listed {
		out.Conversations = append(out.Conversations, conv.View())
	}
	slices.SortFunc(out.Conversations, func(x, y store.Conversation) int { return y.LastMessageAt.Compare(x.LastMessageAt) })
	slices.Reverse(out.Records)
	return out, r.askLast(func(b *pgx.Batch) { tx.queueHistory(b, &out) })
}

// traceMessages loads the conversations of messages, and the replies that they led to:
// those of the same turn, which directly follow.
func (tx *txState) traceMessages(r *reader, named []*messageRow) (out []*messageRow, err error) {
	if len(named) == 0 {
		return nil, nil
	}
	const most = 20
	next := make([][]*messageRow, len(named))
	err = r.ask(func(b *pgx.Batch) {
		tx.queueConversations(b, `t.n = ANY ($1::bigint[])`, col(named, func(m *messageRow) int64 { return m.ConversationKey }))
		for i, m := range named {
			if m.Direction == "inbound" {
				queueRawMessages(b, &next[i], `m.conversation = $1 AND m.n > $2 ORDER BY m.n LIMIT $3`, m.ConversationKey, m.Row, most)
			}
		}
	})
	for i, m := range named {
		out = append(out, m)
		for _, reply := range next[i] {
			if reply.Author != store.AuthorRouter || !reply.CreatedAt.Equal(m.CreatedAt) {
				break
			}
			out = append(out, reply)
		}
	}
	return out, err
}

// traceConversations loads the conversations of a key that is no message, and returns their
// last messages, oldest first.
func (tx *txState) traceConversations(r *reader, key string, aliases []string) (out []*messageRow, err error) {
	err = r.ask(func(b *pgx.Batch) {
		tx.queueConversation(b, key)
		tx.queueConversations(b, `t.n = (SELECT conversation FROM psi_router.tickets WHERE ticket = upper($1))`, key)
		tx.queueConversations(b, `t.contact IN (SELECT contact FROM psi_router.aliases WHERE alias = ANY ($1::text[]))
			ORDER BY t.last_message_at DESC LIMIT $2`, aliases, sqlrow.TraceSize)
	})
	if err != nil || len(tx.listed) == 0 {
		return nil, err
	}
	lists := make([][]*messageRow, len(tx.listed))
	err = r.ask(func(b *pgx.Batch) {
		for i, conv := range tx.listed {
			queueRawMessages(b, &lists[i], `m.conversation = $1 ORDER BY m.n DESC LIMIT $2`, conv.Row, sqlrow.TraceSize)
		}
	})
	for _, list := range lists {
		slices.Reverse(list)
		out = append(out, list...)
	}
	slices.SortStableFunc(out, func(x, y *messageRow) int { return x.CreatedAt.Compare(y.CreatedAt) })
	return out, err
}

// queueHistory reads the hand-offs and commands of the loaded conversations.
func (tx *txState) queueHistory(b *pgx.Batch, out *store.Trace) {
	list := col(tx.listed, func(conv *unit.ConversationRow) int64 { return conv.Row })
	queue(b, `SELECT * FROM (SELECT conversation, n, ticket, from_area, area, tag, note, by, at FROM psi_router.handoffs
		WHERE conversation = ANY ($1::bigint[]) ORDER BY n DESC LIMIT $2) l ORDER BY n`, list, sqlrow.TraceSize).
		Query(eachRow(func(rows pgx.Rows) error {
			var h store.HandoffRow
			var conversation, n int64
			var at pgtype.Timestamptz
			if err := scan(rows, &conversation, &n, &h.Ticket, &h.FromArea, &h.Area, &h.Tag, &h.Note, &h.By, &at); err != nil {
				return err
			}
			h.Conversation, h.At = tx.conversationByRow[conversation].ID, instant(at)
			out.Handoffs = append(out.Handoffs, h)
			return nil
		}))
	queue(b, `SELECT * FROM (SELECT conversation, n, actor, action, detail, at FROM psi_router.audit
		WHERE conversation = ANY ($1::bigint[]) ORDER BY n DESC LIMIT $2) l ORDER BY n`, list, sqlrow.TraceSize).
		Query(eachRow(func(rows pgx.Rows) error {
			var a store.AuditRow
			var conversation, n int64
			var at pgtype.Timestamptz
			if err := scan(rows, &conversation, &n, &a.Actor, &a.Action, &a.Detail, &at); err != nil {
				return err
			}
			a.Conversation, a.At = tx.conversationByRow[conversation].ID, instant(at)
			out.Audit = append(out.Audit, a)
			return nil
		}))
}

func (tx *txState) queueRecords(b *pgx.Batch, out *[]store.Record, key string, aliases []string) {
	const query = `SELECT r.id, r.kind, r.line, r.line_ref, r.provider_id, r.reason, r.detail, r.received_at, r.raw FROM (
			SELECT n FROM psi_router.records WHERE provider_id = $1
			UNION SELECT n FROM psi_router.records WHERE person <> '' AND person = ANY ($2::text[])
			UNION SELECT r.n FROM (SELECT contact FROM psi_router.aliases WHERE alias = ANY ($2::text[]) OFFSET 0) a,
				LATERAL (SELECT alias FROM psi_router.aliases WHERE contact = a.contact OFFSET 0) o,
				LATERAL (SELECT n FROM psi_router.records WHERE person <> '' AND person = o.alias OFFSET 0) r) u,
			LATERAL (SELECT * FROM psi_router.records WHERE n = u.n OFFSET 0) r
		ORDER BY r.n DESC LIMIT $3`
	queue(b, query, key, aliases, sqlrow.TraceSize).Query(eachRow(func(rows pgx.Rows) error {
		var r store.Record
		var at pgtype.Timestamptz
		var raw []byte
		if err := scan(rows, &r.ID, &r.Kind, &r.Line, &r.LineRef, &r.ProviderID, &r.Reason, &r.Detail, &at, &raw); err != nil {
			return err
		}
		r.ReceivedAt, r.Raw = instant(at), raw
		*out = append(*out, r)
		return nil
	}))
}

package sqlitestore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// Trace implements store.Store. It looks a key up in every way that it can be read. A
// message brings what it led to, any other key the last messages of its conversations.
func (s *Store) Trace(ctx context.Context, key string) (store.Trace, error) {
	var out store.Trace
	key = unit.FitKey(strings.TrimSpace(key))
	err := s.read(ctx, "trace", func(q querier) (err error) {
		tx := newTxState(q, s.set, time.Time{})
		out, err = tx.trace(key)
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

func (tx *txState) trace(key string) (out store.Trace, err error) {
	if out.Messages, err = tx.traceMessages(key); err != nil {
		return out, err
	}
	aliases := tx.unit.SearchAliases(key)
	if len(tx.conversationByRow) == 0 {
		if err := tx.traceConversations(key, aliases); err != nil {
			return out, err
		}
		if out.Messages, err = tx.latest(); err != nil {
			return out, err
		}
	}
	for _, conv := range tx.unit.Conversations {
		out.Conversations = append(out.Conversations, conv.View())
	}
	slices.SortFunc(out.Conversations, func(x, y store.Conversation) int { return y.LastMessageAt.Compare(x.LastMessageAt) })
	if out.Handoffs, out.Audit, err = tx.history(); err != nil {
		return out, err
	}
	out.Records, err = tx.records(key, aliases)
	return out, err
}

// traceMessages returns the messages with an id, ours or the provider's, and the replies
// that they led to.
func (tx *txState) traceMessages(key string) ([]store.Message, error) {
	var out []*unit.MessageRow
	for _, where := range [...]string{`m.id = ?`, `m.provider_id = ? ORDER BY m.n`} {
		found, err := tx.messages(where, key)
		if err != nil {
			return nil, fmt.Errorf("find message: %w", err)
		}
		for _, m := range found {
			replies, err := tx.repliesTo(m)
			if err != nil {
				return nil, fmt.Errorf("find replies: %w", err)
			}
			out = append(append(out, m), replies...)
		}
	}
	return viewMessages(out), nil
}

// repliesTo returns the replies that a message led to: those of the same turn, which
// directly follow.
func (tx *txState) repliesTo(m *unit.MessageRow) ([]*unit.MessageRow, error) {
	if m.Direction != "inbound" {
		return nil, nil
	}
	const most = 20
	next, err := tx.messages(`m.conversation = ? AND m.n > ? ORDER BY m.n LIMIT ?`, m.ConversationRow.Row, m.Row, most)
	for i, r := range next {
		if r.Author != store.AuthorRouter || !r.CreatedAt.Equal(m.CreatedAt) {
			return next[:i], err
		}
	}
	return next, err
}

// traceConversations loads the conversations of a key that is no message.
func (tx *txState) traceConversations(key string, aliases []string) error {
	for _, where := range [...]string{
		`t.id = ?`,
		`t.n = (SELECT conversation FROM moved WHERE id = ?)`,
		`t.n = (SELECT conversation FROM tickets WHERE ticket = upper(?))`,
	} {
		if err := tx.selectConversations(where, []any{key}); err != nil {
			return err
		}
	}
	return tx.selectConversations(`t.contact IN (SELECT contact FROM aliases WHERE alias IN (SELECT value FROM json_each(?)))
		ORDER BY t.last_message_at DESC LIMIT ?`, []any{texts(aliases), sqlrow.TraceSize})
}

func (tx *txState) latest() ([]store.Message, error) {
	var out []*unit.MessageRow
	for n := range tx.conversationByRow {
		list, err := tx.messages(`m.conversation = ? ORDER BY m.n DESC LIMIT ?`, n, sqlrow.TraceSize)
		if err != nil {
			return nil, err
		}
		slices.Reverse(list)
		out = append(out, list...)
	}
	slices.SortStableFunc(out, func(x, y *unit.MessageRow) int { return x.CreatedAt.Compare(y.CreatedAt) })
	return viewMessages(out), nil
}

func (tx *txState) history() (handoffs []store.HandoffRow, audit []store.AuditRow, err error) {
	list := numbers(tx.conversationByRow)
	const given = `SELECT conversation, ticket, from_area, area, tag, note, by, at FROM handoffs
		WHERE conversation IN (SELECT value FROM json_each(?)) ORDER BY n DESC LIMIT ?`
	err = eachRow(tx.q, given, []any{list, sqlrow.TraceSize}, func(rows *sql.Rows) error {
		var h store.HandoffRow
		var conversation, at int64
		if err := rows.Scan(&conversation, &h.Ticket, &h.FromArea, &h.Area, &h.Tag, &h.Note, &h.By, &at); err != nil {
			return err
		}
		h.Conversation, h.At = tx.conversationByRow[conversation].ID, instant(at)
		handoffs = append(handoffs, h)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("find hand-offs: %w", err)
	}
	const done = `SELECT conversation, actor, action, detail, at FROM audit
		WHERE conversation IN (SELECT value FROM json_each(?)) ORDER BY n DESC LIMIT ?`
	err = eachRow(tx.q, done, []any{list, sqlrow.TraceSize}, func(rows *sql.Rows) error {
		var a store.AuditRow
		var conversation, at int64
		if err := rows.Scan(&conversation, &a.Actor, &a.Action, &a.Detail, &at); err != nil {
			return err
		}
		a.Conversation, a.At = tx.conversationByRow[conversation].ID, instant(at)
		audit = append(audit, a)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("find commands: %w", err)
	}
	slices.Reverse(handoffs)
	slices.Reverse(audit)
	return handoffs, audit, nil
}

func (tx *txState) records(key string, aliases []string) (out []store.Record, err error) {
	const query = `SELECT id, kind, line, line_ref, provider_id, reason, detail, received_at, raw FROM records WHERE n IN (
			SELECT n FROM records WHERE provider_id = ?
			UNION SELECT n FROM records WHERE person <> '' AND person IN (SELECT value FROM json_each(?))
			UNION SELECT r.n FROM aliases a JOIN aliases b ON b.contact = a.contact JOIN records r ON r.person <> '' AND r.person = b.alias
				WHERE a.alias IN (SELECT value FROM json_each(?)))
		ORDER BY n DESC LIMIT ?`
	list := texts(aliases)
	err = eachRow(tx.q, query, []any{key, list, list, sqlrow.TraceSize}, func(rows *sql.Rows) error {
		var r store.Record
		var at int64
		var raw []byte
		if err := rows.Scan(&r.ID, &r.Kind, &r.Line, &r.LineRef, &r.ProviderID, &r.Reason, &r.Detail, &at, &raw); err != nil {
			return err
		}
		r.ReceivedAt, r.Raw = instant(at), raw
		out = append(out, r)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find records: %w", err)
	}
	slices.Reverse(out)
	return out, nil
}

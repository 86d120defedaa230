package sqlitestore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/store"
)

// traceSize bounds each list of a trace.
const traceSize = 200

// Trace implements store.Store. What a key names is looked up in every way that
// it can be read; a message brings what it led to, anything else the last
// messages of its conversations.
func (s *Store) Trace(ctx context.Context, key string) (store.Trace, error) {
	var out store.Trace
	key = store.FitKey(strings.TrimSpace(key))
	err := s.read(ctx, "trace", func(tx access) (err error) {
		p := newPage(tx, s.set, time.Time{})
		out, err = p.trace(key)
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

func (p *page) trace(key string) (out store.Trace, err error) {
	if out.Messages, err = p.traceMessages(key); err != nil {
		return out, err
	}
	aliases := p.book.SearchAliases(key)
	if len(p.talks) == 0 {
		if err := p.traceTalks(key, aliases); err != nil {
			return out, err
		}
		if out.Messages, err = p.latest(); err != nil {
			return out, err
		}
	}
	for _, t := range p.book.Conversations {
		out.Conversations = append(out.Conversations, t.View())
	}
	slices.SortFunc(out.Conversations, func(x, y store.Conversation) int { return y.LastMessageAt.Compare(x.LastMessageAt) })
	if out.Handoffs, out.Audit, err = p.history(); err != nil {
		return out, err
	}
	out.Records, err = p.records(key, aliases)
	return out, err
}

// traceMessages returns the messages of an id, ours or the provider's, and the
// replies that they led to.
func (p *page) traceMessages(key string) ([]store.Message, error) {
	var out []*store.MessageRow
	for _, where := range [...]string{`m.id = ?`, `m.provider_id = ? ORDER BY m.n`} {
		found, err := p.messages(where, key)
		if err != nil {
			return nil, fmt.Errorf("find message: %w", err)
		}
		for _, m := range found {
			replies, err := p.repliesTo(m)
			if err != nil {
				return nil, fmt.Errorf("find replies: %w", err)
			}
			out = append(append(out, m), replies...)
		}
	}
	return shown(out), nil
}

// repliesTo returns the replies that a message led to: they were made in its
// turn, so they stand right behind it.
func (p *page) repliesTo(m *store.MessageRow) ([]*store.MessageRow, error) {
	if m.Direction != "inbound" {
		return nil, nil
	}
	const most = 20
	next, err := p.messages(`m.conversation = ? AND m.n > ? ORDER BY m.n LIMIT ?`, m.ConversationRow.Row, m.Row, most)
	for i, r := range next {
		if r.Author != store.AuthorRouter || !r.CreatedAt.Equal(m.CreatedAt) {
			return next[:i], err
		}
	}
	return next, err
}

// traceTalks loads the conversations of anything that is not a message.
func (p *page) traceTalks(key string, aliases []string) error {
	for _, where := range [...]string{
		`t.id = ?`,
		`t.n = (SELECT conversation FROM moved WHERE id = ?)`,
		`t.n = (SELECT conversation FROM tickets WHERE ticket = upper(?))`,
	} {
		if err := p.selectTalks(where, []any{key}); err != nil {
			return err
		}
	}
	return p.selectTalks(`t.contact IN (SELECT contact FROM aliases WHERE alias IN (SELECT value FROM json_each(?)))
		ORDER BY t.last_message_at DESC LIMIT ?`, []any{texts(aliases), traceSize})
}

// latest returns the last messages of the loaded conversations, oldest first.
func (p *page) latest() ([]store.Message, error) {
	var out []*store.MessageRow
	for n := range p.talks {
		list, err := p.messages(`m.conversation = ? ORDER BY m.n DESC LIMIT ?`, n, traceSize)
		if err != nil {
			return nil, err
		}
		slices.Reverse(list)
		out = append(out, list...)
	}
	slices.SortStableFunc(out, func(x, y *store.MessageRow) int { return x.CreatedAt.Compare(y.CreatedAt) })
	return shown(out), nil
}

// history reads the hand-offs and commands of the loaded conversations.
func (p *page) history() (handoffs []store.HandoffRow, audit []store.AuditRow, err error) {
	list := numbers(p.talks)
	const given = `SELECT conversation, ticket, from_area, area, tag, note, by, at FROM handoffs
		WHERE conversation IN (SELECT value FROM json_each(?)) ORDER BY n DESC LIMIT ?`
	err = each(p.tx, given, []any{list, traceSize}, func(rows *sql.Rows) error {
		var h store.HandoffRow
		var talk, at int64
		if err := rows.Scan(&talk, &h.Ticket, &h.FromArea, &h.Area, &h.Tag, &h.Note, &h.By, &at); err != nil {
			return err
		}
		h.Conversation, h.At = p.talks[talk].ID, instant(at)
		handoffs = append(handoffs, h)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("find hand-offs: %w", err)
	}
	const done = `SELECT conversation, actor, action, detail, at FROM audit
		WHERE conversation IN (SELECT value FROM json_each(?)) ORDER BY n DESC LIMIT ?`
	err = each(p.tx, done, []any{list, traceSize}, func(rows *sql.Rows) error {
		var a store.AuditRow
		var talk, at int64
		if err := rows.Scan(&talk, &a.Actor, &a.Action, &a.Detail, &at); err != nil {
			return err
		}
		a.Conversation, a.At = p.talks[talk].ID, instant(at)
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

func (p *page) records(key string, aliases []string) (out []store.Record, err error) {
	const query = `SELECT id, kind, line, line_ref, provider_id, reason, detail, received_at, raw FROM records WHERE n IN (
			SELECT n FROM records WHERE provider_id = ?
			UNION SELECT n FROM records WHERE person <> '' AND person IN (SELECT value FROM json_each(?))
			UNION SELECT r.n FROM aliases a JOIN aliases b ON b.contact = a.contact JOIN records r ON r.person <> '' AND r.person = b.alias
				WHERE a.alias IN (SELECT value FROM json_each(?)))
		ORDER BY n DESC LIMIT ?`
	list := texts(aliases)
	err = each(p.tx, query, []any{key, list, list, traceSize}, func(rows *sql.Rows) error {
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

package sqlitestore

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// Conversations implements store.Store.
func (s *Store) Conversations(ctx context.Context, f store.Filter) ([]store.Conversation, error) {
	var out []store.Conversation
	err := s.read(ctx, "list conversations", func(q querier) error {
		tx := newTxState(q, s.set, time.Time{})
		list := tx.listConversations
		if !f.LeftAfter.IsZero() {
			list = tx.listLeft
		}
		if err := list(f); err != nil {
			return err
		}
		for _, conv := range tx.unit.Conversations {
			out = append(out, conv.View())
		}
		return nil
	})
	slices.SortFunc(out, func(x, y store.Conversation) int {
		xl, xn := sqlrow.ParseCursor(x.Cursor)
		yl, yn := sqlrow.ParseCursor(y.Cursor)
		newest := cmp.Or(cmp.Compare(yl, xl), cmp.Compare(yn, xn))
		if !f.LeftAfter.IsZero() {
			return -newest
		}
		return newest
	})
	if n := sqlrow.Limit(f.Limit); len(out) > n {
		out = out[:n]
	}
	return out, err
}

// listConversations loads the conversations that a page may show, at most its length for
// each part of the list, every part in the order of an index.
func (tx *txState) listConversations(f store.Filter) error {
	last, n := sqlrow.ParseCursor(f.Before)
	where, args := "(t.last_message_at, t.n) < (?, ?)", []any{last, n}
	and := func(condition, value string) {
		where, args = where+" AND "+condition, append(args, value)
	}
	column, parts := "t.state", []string{string(f.State)}
	if f.Line != "" {
		and("t.line = ?", f.Line)
	}
	if f.Area != "" {
		and("t.area = ?", f.Area)
	}
	switch {
	case f.Contact != "":
		and("t.contact IN (SELECT n FROM contacts WHERE id = ?)", f.Contact)
		if f.State != "" {
			and("t.state = ?", string(f.State))
		}
		return tx.selectConversations(where, args)
	case f.Phone != "" || f.UserID != "":
		contacts, err := tx.contactsOf(f)
		if err != nil || contacts == "[]" {
			return err
		}
		and("t.contact IN (SELECT value FROM json_each(?))", contacts)
		if f.State == "" {
			column, parts = "'all'", []string{"all"}
		}
	case f.Area != "" && f.State == "": // the states that have an area
		parts = []string{string(router.StateHandedOff), string(router.StateDisconnected)}
	case f.State == "" || f.State == router.StateMenu:
		if f.State == router.StateMenu {
			and("t.state = ?", string(f.State))
		}
		column, parts = "t.line", []string{f.Line}
		if f.Line == "" {
			var err error
			if parts, err = tx.lines(); err != nil {
				return err
			}
		}
	}
	if column == "t.state" && f.State != router.StateMenu {
		where += " AND t.state <> 'menu'" // the index of these few
	}
	query := where + " AND " + column + " = ? ORDER BY t.last_message_at DESC, t.n DESC LIMIT ?"
	for _, part := range parts {
		if err := tx.selectConversations(query, append(slices.Clone(args), part, sqlrow.Limit(f.Limit))); err != nil {
			return err
		}
	}
	return nil
}

func (tx *txState) lines() (lines []string, err error) {
	err = eachRow(tx.q, `SELECT line FROM lines`, nil, func(rows *sql.Rows) error {
		var line string
		err := rows.Scan(&line)
		lines = append(lines, line)
		return err
	})
	return lines, err
}

// contactsOf returns the contacts of a filter, as a list of numbers.
func (tx *txState) contactsOf(f store.Filter) (string, error) {
	var both []map[int64]bool
	for _, aliases := range [...][]string{
		keepIf(f.Phone != "", tx.unit.PhoneAliases(f.Phone)), keepIf(f.UserID != "", tx.unit.UserAliases(f.UserID)),
	} {
		if aliases == nil {
			continue
		}
		set, err := tx.contactKeys(aliases)
		if err != nil {
			return "", fmt.Errorf("find contacts: %w", err)
		}
		both = append(both, set)
	}
	for n := range both[0] {
		if !both[len(both)-1][n] {
			delete(both[0], n)
		}
	}
	return numbers(both[0]), nil
}

func keepIf(yes bool, list []string) []string {
	if !yes {
		return nil
	}
	return list
}

func (tx *txState) contactKeys(aliases []string) (map[int64]bool, error) {
	set := map[int64]bool{}
	const query = `SELECT contact FROM aliases WHERE alias IN (SELECT value FROM json_each(?))`
	err := eachRow(tx.q, query, []any{texts(aliases)}, func(rows *sql.Rows) error {
		var n int64
		err := rows.Scan(&n)
		set[n] = true
		return err
	})
	return set, err
}

// Conversation implements store.Store.
func (s *Store) Conversation(ctx context.Context, id string) (store.Conversation, error) {
	var out store.Conversation
	err := s.read(ctx, "read conversation", func(q querier) error {
		conv, err := newTxState(q, s.set, time.Time{}).loadConversation(id)
		if err == nil {
			out = conv.View()
		}
		return err
	})
	return out, err
}

// Messages implements store.Store.
func (s *Store) Messages(ctx context.Context, conversation, after string, n int) ([]store.Message, error) {
	var out []store.Message
	err := s.read(ctx, "list messages", func(q querier) error {
		tx := newTxState(q, s.set, time.Time{})
		conv, err := tx.loadConversation(conversation)
		if err != nil {
			return err
		}
		var from int64
		if after != "" {
			ok, err := q.Row(`SELECT n FROM messages WHERE id = ? AND conversation = ?`, []any{after, conv.Row}, &from)
			if err != nil {
				return err
			}
			if !ok {
				return fmt.Errorf("message %s: %w", after, store.ErrNotFound)
			}
		}
		rows, err := tx.messages(`m.conversation = ? AND m.n > ? ORDER BY m.n LIMIT ?`, conv.Row, from, sqlrow.Limit(n))
		out = viewMessages(rows)
		return err
	})
	return out, err
}

// messages reads messages with their raw JSON, and their conversations.
func (tx *txState) messages(where string, args ...any) ([]*unit.MessageRow, error) {
	var found []*messageRow
	missing := map[int64]bool{}
	err := eachRow(tx.q, `SELECT `+messageColumns+`, m.raw FROM messages m WHERE `+where, args, func(rows *sql.Rows) error {
		var raw []byte
		m, err := scanMessage(rows, &raw)
		if err != nil {
			return err
		}
		m.Raw = raw
		found = append(found, m)
		if tx.conversationByRow[m.ConversationKey] == nil {
			missing[m.ConversationKey] = true
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := tx.loadConversations(`t.n IN (SELECT value FROM json_each(?))`, numbers(missing)); err != nil {
		return nil, err
	}
	out := make([]*unit.MessageRow, len(found))
	for i, m := range found {
		m.ConversationRow = tx.conversationByRow[m.ConversationKey]
		out[i] = &m.MessageRow
	}
	return out, nil
}

func viewMessages(rows []*unit.MessageRow) []store.Message {
	out := make([]store.Message, len(rows))
	for i, m := range rows {
		out[i] = m.View()
	}
	return out
}

// Events implements store.Store.
func (s *Store) Events(ctx context.Context, after int64, n int) ([]store.Event, error) {
	const query = `SELECT pos, id, conversation, type, seq, created_at, data FROM events
		WHERE pos > ? AND pos <= (SELECT value FROM meta WHERE name = ?) ORDER BY pos LIMIT ?`
	var page store.EventPage
	err := s.read(ctx, "list events", func(q querier) error {
		return eachRow(q, query, []any{after, sqlrow.NumberedCounter, sqlrow.Limit(n)}, func(rows *sql.Rows) error {
			if page.Full() {
				return nil
			}
			e, err := scanEvent(rows)
			if err == nil {
				page.Add(e)
			}
			return err
		})
	})
	return page.Events, err
}

func scanEvent(rows *sql.Rows) (e store.Event, err error) {
	var at int64
	var data []byte
	err = rows.Scan(&e.Pos, &e.ID, &e.Conversation, &e.Type, &e.Seq, &at, &data)
	e.CreatedAt, e.Data = instant(at), data
	return e, err
}

// Gauges implements store.Store.
func (s *Store) Gauges(ctx context.Context, now time.Time) (store.Gauges, error) {
	g := store.Gauges{Lines: map[string]time.Time{}}
	err := s.read(ctx, "gauges", func(q querier) error {
		var oldest, waiting, numbered int64
		for _, gauge := range [...]struct {
			query string
			dest  any
		}{
			{`SELECT since FROM messages WHERE status IN ('queued', 'sending') AND author = 'router' AND notice = '' ORDER BY since LIMIT 1`, &oldest},
			{`SELECT waiting_since FROM conversations WHERE waiting_since > 0 ORDER BY waiting_since LIMIT 1`, &waiting},
			{`SELECT count(*) FROM messages WHERE status IN ('queued', 'sending')`, &g.PendingSends},
			{`SELECT count(*) FROM messages WHERE status = 'uncertain'`, &g.UncertainSends},
			{`SELECT coalesce(max(pos), 0) FROM events`, &g.EventsUnnumbered},
			{`SELECT coalesce((SELECT value FROM meta WHERE name = 'numbered'), 0)`, &numbered},
		} {
			if _, err := q.Row(gauge.query, nil, gauge.dest); err != nil {
				return err
			}
		}
		const left = `SELECT count(*) FROM conversations WHERE left_at > 0 AND asked_at > ?`
		if _, err := q.Row(left, []any{sqlrow.Micros(now.Add(-store.LeftFor))}, &g.Left); err != nil {
			return err
		}
		g.EventsUnnumbered -= numbered
		g.OldestHandedOff = instant(waiting)
		if oldest != 0 {
			g.OldestUnanswered = max(0, now.Sub(instant(oldest)))
		}
		return eachRow(q, `SELECT line, last_inbound FROM lines WHERE last_inbound > 0`, nil, func(rows *sql.Rows) error {
			var line string
			var at int64
			err := rows.Scan(&line, &at)
			g.Lines[line] = instant(at)
			return err
		})
	})
	return g, err
}

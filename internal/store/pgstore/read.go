package pgstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// lastPosition is behind every conversation.
var lastPosition = pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}

// readCursor returns the position before which to continue: see sqlrow.ParseCursor.
func readCursor(s string) (last pgtype.Timestamptz, n int64) {
	at, n := sqlrow.ParseCursor(s)
	if at == sqlrow.End {
		return lastPosition, n
	}
	return stamp(time.UnixMicro(at)), n
}

// queueConversations loads conversations with their contacts into the page, without a lock.
func (tx *txState) queueConversations(b *pgx.Batch, where string, args ...any) {
	tx.queueConversationsFrom(b, `psi_router.conversations t WHERE `+where, args...)
}

func (tx *txState) queueConversationsFrom(b *pgx.Batch, from string, args ...any) {
	queue(b, `SELECT `+conversationColumns+`, `+sqlrow.ContactColumns+`
		FROM (SELECT * FROM `+from+` OFFSET 0) t
		JOIN psi_router.contacts c ON c.n = t.contact`, args...).Query(eachRow(tx.addConversation))
}

func (tx *txState) addConversation(rows pgx.Rows) error {
	var row conversationRow
	var c contactRow
	if err := scan(rows, append(row.Dest(), c.Dest()...)...); err != nil || tx.conversationByRow[row.Row] != nil {
		return err
	}
	conv := row.Finish(instant)
	conv.ContactRow = c.Finish(instant)
	tx.conversationByRow[conv.Row], tx.conversationByID[conv.ID] = conv, conv
	tx.listed = append(tx.listed, conv)
	return nil
}

func (s *Store) emptyTxState() *txState { return (&loaded{}).newTxState(s.set, time.Time{}) }

// Conversations implements store.Store. A page is merged from parts, each in the order of
// an index.
func (s *Store) Conversations(ctx context.Context, f store.Filter) ([]store.Conversation, error) {
	if !f.LeftAfter.IsZero() {
		return s.listLeft(ctx, f)
	}
	tx := s.emptyTxState()
	err := s.read(ctx, "list conversations", func(r *reader) error { return tx.listConversations(r, f) })
	if err != nil {
		return nil, err
	}
	slices.SortFunc(tx.listed, func(x, y *unit.ConversationRow) int {
		return cmp.Or(y.LastMessageAt.Compare(x.LastMessageAt), cmp.Compare(y.Row, x.Row))
	})
	var out []store.Conversation
	for _, conv := range tx.listed[:min(len(tx.listed), sqlrow.Limit(f.Limit))] {
		out = append(out, conv.View())
	}
	return out, nil
}

func (tx *txState) listConversations(r *reader, f store.Filter) error {
	last, n := readCursor(f.Before)
	var q sqlBuilder
	q.add(`(t.last_message_at, t.n) < (?, ?)`, last, n)
	q.filterConversation(f)
	const tail = `ORDER BY t.last_message_at DESC, t.n DESC LIMIT ?`
	if f.Contact != "" || f.Phone != "" || f.UserID != "" {
		tx.filterContact(&q, f)
		q.add(tail, sqlrow.Limit(f.Limit))
		return r.askLast(func(b *pgx.Batch) { tx.queueConversations(b, strings.Join(q.text, " "), q.args...) })
	}
	var parts []sqlBuilder
	part := func(text string, args ...any) {
		q := sqlBuilder{text: slices.Clone(q.text), args: slices.Clone(q.args)}
		q.add(text, args...)
		q.add(tail, sqlrow.Limit(f.Limit))
		parts = append(parts, q)
	}
	switch {
	case f.State == router.StateMenu && f.Area != "": // a menu belongs to no team
		return nil
	case f.State != "" && f.State != router.StateMenu:
		part(`AND t.state <> 'menu'`) // the index of these few
	case f.Area != "" && f.State == "": // the states that have an area
		for _, state := range [...]router.State{router.StateHandedOff, router.StateDisconnected} {
			part(`AND t.state = ? AND t.state <> 'menu'`, string(state))
		}
	case f.Line != "":
		part(``)
	default:
		lines, err := r.lines()
		if err != nil {
			return err
		}
		for _, line := range lines {
			part(`AND t.line = ?`, line)
		}
	}
	return r.askLast(func(b *pgx.Batch) {
		for _, q := range parts {
			tx.queueConversations(b, strings.Join(q.text, " "), q.args...)
		}
	})
}

// filterConversation adds the conditions on the conversation itself.
func (q *sqlBuilder) filterConversation(f store.Filter) {
	for _, c := range [...][2]string{{"line", f.Line}, {"area", f.Area}, {"state", string(f.State)}} {
		if c[1] != "" {
			q.add(`AND t.`+c[0]+` = ?`, c[1])
		}
	}
}

// filterContact adds the conditions on the person.
func (tx *txState) filterContact(q *sqlBuilder, f store.Filter) {
	for _, lookup := range [...]struct {
		asked   string
		aliases []string
	}{{f.Phone, tx.unit.PhoneAliases(f.Phone)}, {f.UserID, tx.unit.UserAliases(f.UserID)}} {
		if lookup.asked != "" {
			q.add(`AND t.contact IN (SELECT contact FROM psi_router.aliases WHERE alias = ANY (?::text[]))`, lookup.aliases)
		}
	}
	if f.Contact != "" {
		q.add(`AND t.contact = (SELECT n FROM psi_router.contacts WHERE id = ? LIMIT 1)`, f.Contact)
	}
}

func (r *reader) lines() (lines []string, err error) {
	err = r.ask(func(b *pgx.Batch) {
		queue(b, `SELECT line FROM psi_router.lines`).Query(eachRow(func(rows pgx.Rows) error {
			var line string
			err := scan(rows, &line)
			lines = append(lines, line)
			return err
		}))
	})
	return lines, err
}

// Conversation implements store.Store.
func (s *Store) Conversation(ctx context.Context, id string) (store.Conversation, error) {
	tx := s.emptyTxState()
	err := s.read(ctx, "read conversation", func(r *reader) error {
		if err := r.askLast(func(b *pgx.Batch) { tx.queueConversation(b, id) }); err != nil {
			return err
		}
		if len(tx.listed) == 0 {
			return store.ErrNotFound
		}
		return nil
	})
	if err != nil {
		return store.Conversation{}, err
	}
	return tx.listed[0].View(), nil
}

// queueConversation selects a conversation by its id, also by that of a merged one.
func (tx *txState) queueConversation(b *pgx.Batch, id string) {
	tx.queueConversations(b, `t.id = $1`, id)
	tx.queueConversations(b, `t.n = (SELECT conversation FROM psi_router.moved WHERE id = $1)`, id)
}

// Messages implements store.Store.
func (s *Store) Messages(ctx context.Context, conversation, after string, n int) ([]store.Message, error) {
	tx := s.emptyTxState()
	var out []*messageRow
	err := s.read(ctx, "list messages", func(r *reader) error {
		from := int64(0)
		owner := int64(-1)
		err := r.ask(func(b *pgx.Batch) {
			tx.queueConversation(b, conversation)
			if after != "" {
				queue(b, `SELECT n, conversation FROM psi_router.messages WHERE id = $1`, after).Query(eachRow(func(rows pgx.Rows) error {
					return scan(rows, &from, &owner)
				}))
			}
		})
		switch {
		case err != nil:
			return err
		case len(tx.listed) == 0:
			return store.ErrNotFound
		case after != "" && owner != tx.listed[0].Row:
			return fmt.Errorf("message %s: %w", after, store.ErrNotFound)
		}
		return r.askLast(func(b *pgx.Batch) {
			queueRawMessages(b, &out, `m.conversation = $1 AND m.n > $2 ORDER BY m.n LIMIT $3`, tx.listed[0].Row, from, sqlrow.Limit(n))
		})
	})
	if err != nil {
		return nil, err
	}
	return tx.viewMessages(out), nil
}

// queueRawMessages reads messages with their raw JSON.
func queueRawMessages(b *pgx.Batch, out *[]*messageRow, where string, args ...any) {
	queue(b, `SELECT `+messageColumns+`, m.raw FROM psi_router.messages m WHERE `+where, args...).
		Query(eachRow(func(rows pgx.Rows) error {
			var raw []byte
			m, err := scanMessage(rows, &raw)
			if err == nil {
				m.Raw = raw
				*out = append(*out, m)
			}
			return err
		}))
}

// viewMessages returns messages as people see them.
func (tx *txState) viewMessages(rows []*messageRow) []store.Message {
	out := make([]store.Message, len(rows))
	for i, m := range rows {
		m.ConversationRow = tx.conversationByRow[m.ConversationKey]
		out[i] = m.View()
	}
	return out
}

// eventsAfter selects at most $2 events after a position (pos), with their content (data).
// A batch has consecutive positions, so the first batch of interest is the last that begins
// at or before the next position.
func eventsAfter(pos, data string) string {
	return `SELECT b.first_pos + e.i, e.id, e.conversation, e.type, e.seq, e.created_at, ` + data + `
		FROM psi_router.batches b JOIN psi_router.events e ON e.batch = b.n
		WHERE b.first_pos IS NOT NULL AND b.first_pos >= coalesce((SELECT max(first_pos) FROM psi_router.batches
				WHERE first_pos IS NOT NULL AND first_pos <= ` + pos + ` + 1), 0)
			AND b.first_pos + e.i > ` + pos + `
		ORDER BY b.first_pos, e.i LIMIT $2`
}

func scanEvent(rows pgx.Rows) (e store.Event, err error) {
	var at pgtype.Timestamptz
	var data []byte
	err = scan(rows, &e.Pos, &e.ID, &e.Conversation, &e.Type, &e.Seq, &at, &data)
	e.CreatedAt, e.Data = instant(at), data
	return e, err
}

// Events implements store.Store.
func (s *Store) Events(ctx context.Context, after int64, n int) ([]store.Event, error) {
	var page store.EventPage
	err := s.read(ctx, "list events", func(r *reader) error {
		return r.askLast(func(b *pgx.Batch) {
			queue(b, eventsAfter(`$1`, `e.data::text`), after, sqlrow.Limit(n)).Query(eachRow(func(rows pgx.Rows) error {
				if page.Full() {
					return nil
				}
				e, err := scanEvent(rows)
				if err == nil {
					page.Add(e)
				}
				return err
			}))
		})
	})
	return page.Events, err
}

// Gauges implements store.Store.
func (s *Store) Gauges(ctx context.Context, now time.Time) (store.Gauges, error) {
	now = s.serverTime(now)
	g := store.Gauges{Lines: map[string]time.Time{}}
	err := s.read(ctx, "gauges", func(r *reader) error {
		var oldest, waiting pgtype.Timestamptz
		err := r.askLast(func(b *pgx.Batch) {
			for _, q := range [...]struct {
				query string
				dest  any
			}{
				{`SELECT min(since) FROM psi_router.pending WHERE NOT doubt AND notice = ''`, &oldest},
				{`SELECT min(waiting_since) FROM psi_router.conversations WHERE waiting_since IS NOT NULL`, &waiting},
				{`SELECT count(*) FROM psi_router.pending WHERE NOT doubt`, &g.PendingSends},
				{`SELECT count(*) FROM psi_router.pending WHERE doubt`, &g.UncertainSends},
				{`SELECT coalesce(sum(size), 0)::bigint FROM psi_router.batches WHERE first_pos IS NULL`, &g.EventsUnnumbered},
			} {
				queue(b, q.query).QueryRow(func(row pgx.Row) error { return scan(row, q.dest) })
			}
			queue(b, `SELECT count(*) FROM psi_router.conversations WHERE left_at IS NOT NULL AND asked_at > $1`, stamp(now.Add(-store.LeftFor))).
				QueryRow(func(row pgx.Row) error { return scan(row, &g.Left) })
			queue(b, `SELECT line, last_inbound FROM psi_router.lines`).Query(eachRow(func(rows pgx.Rows) error {
				var line string
				var at pgtype.Timestamptz
				err := scan(rows, &line, &at)
				g.Lines[line] = instant(at)
				return err
			}))
		})
		g.OldestHandedOff = instant(waiting)
		if at := instant(oldest); !at.IsZero() {
			g.OldestUnanswered = max(0, now.Sub(at))
		}
		return err
	})
	return g, err
}

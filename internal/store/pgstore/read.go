package pgstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

const (
	defaultLimit = 50
	maxLimit     = 1000
)

func limit(n int) int {
	if n <= 0 {
		return defaultLimit
	}
	return min(n, maxLimit)
}

// cursor is the place of a conversation in the list: its last message, then its
// own number.
func cursor(last time.Time, n int64) string {
	return strconv.FormatInt(last.UnixMicro(), 10) + "." + strconv.FormatInt(n, 10)
}

// end is after every conversation.
var end = pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}

// readCursor returns the place before which to go on; "" and what is no cursor
// stand for the very end.
func readCursor(s string) (last pgtype.Timestamptz, n int64) {
	const most = 1<<63 - 1
	a, b, ok := strings.Cut(s, ".")
	us, err := strconv.ParseInt(a, 10, 64)
	if !ok || err != nil {
		return end, most
	}
	if n, err = strconv.ParseInt(b, 10, 64); err != nil {
		return end, most
	}
	return stamp(time.UnixMicro(us)), n
}

// collect loads conversations with their contacts, without a lock, into the page.
func (p *page) collect(b *pgx.Batch, where string, args ...any) {
	p.collectFrom(b, `psi_router.conversations t WHERE `+where, args...)
}

func (p *page) collectFrom(b *pgx.Batch, from string, args ...any) {
	queue(b, `SELECT `+talkColumns+`, `+contactColumns+`
		FROM (SELECT * FROM `+from+` OFFSET 0) t
		JOIN psi_router.contacts c ON c.n = t.contact`, args...).Query(each(p.addTalk))
}

func (p *page) addTalk(rows pgx.Rows) error {
	c := &store.ContactRow{}
	var created, chose pgtype.Timestamptz
	t, err := scanTalk(rows, &c.Row, &c.ID, &c.Phone, &c.UserID, &c.Username, &c.Name, &c.Blocked, &c.OptedOut, &created, &c.BlockedHere, &chose)
	if err != nil || p.talks[t.Row] != nil {
		return err
	}
	c.CreatedAt, c.ChoseAt = instant(created), instant(chose)
	t.ContactRow = c
	p.talks[t.Row], p.byID[t.ID] = &t.ConversationRow, &t.ConversationRow
	p.list = append(p.list, &t.ConversationRow)
	return nil
}

func (s *Store) blank() *page { return (&found{}).open(s.set, time.Time{}) }

// Conversations implements store.Store. A page is gathered from parts, each in the
// order of an index.
func (s *Store) Conversations(ctx context.Context, f store.Filter) ([]store.Conversation, error) {
	if !f.LeftAfter.IsZero() {
		return s.listLeft(ctx, f)
	}
	p := s.blank()
	err := s.read(ctx, "list conversations", func(r *reader) error { return p.listTalks(r, f) })
	if err != nil {
		return nil, err
	}
	slices.SortFunc(p.list, func(x, y *store.ConversationRow) int {
		return cmp.Or(y.LastMessageAt.Compare(x.LastMessageAt), cmp.Compare(y.Row, x.Row))
	})
	var out []store.Conversation
	for _, t := range p.list[:min(len(p.list), limit(f.Limit))] {
		out = append(out, t.View())
	}
	return out, nil
}

func (p *page) listTalks(r *reader, f store.Filter) error {
	last, n := readCursor(f.Before)
	var q query
	q.add(`(t.last_message_at, t.n) < (?, ?)`, last, n)
	q.narrow(f)
	const tail = `ORDER BY t.last_message_at DESC, t.n DESC LIMIT ?`
	if f.Contact != "" || f.Phone != "" || f.UserID != "" {
		p.theirs(&q, f)
		q.add(tail, limit(f.Limit))
		return r.last(func(b *pgx.Batch) { p.collect(b, strings.Join(q.text, " "), q.args...) })
	}
	var parts []query
	part := func(text string, args ...any) {
		one := query{text: slices.Clone(q.text), args: slices.Clone(q.args)}
		one.add(text, args...)
		one.add(tail, limit(f.Limit))
		parts = append(parts, one)
	}
	switch {
	case f.State == router.StateMenu && f.Area != "": // who is in a menu is with nobody
		return nil
	case f.State != "" && f.State != router.StateMenu:
		part(`AND t.state <> 'menu'`) // the index of the few
	case f.Area != "" && f.State == "": // the states that have one
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
	return r.last(func(b *pgx.Batch) {
		for _, one := range parts {
			p.collect(b, strings.Join(one.text, " "), one.args...)
		}
	})
}

// narrow adds the conditions upon the conversation itself.
func (q *query) narrow(f store.Filter) {
	for _, c := range [...][2]string{{"line", f.Line}, {"area", f.Area}, {"state", string(f.State)}} {
		if c[1] != "" {
			q.add(`AND t.`+c[0]+` = ?`, c[1])
		}
	}
}

// theirs adds the conditions upon the person.
func (p *page) theirs(q *query, f store.Filter) {
	for _, who := range [...]struct {
		asked   string
		aliases []string
	}{{f.Phone, p.book.PhoneAliases(f.Phone)}, {f.UserID, p.book.UserAliases(f.UserID)}} {
		if who.asked != "" {
			q.add(`AND t.contact IN (SELECT contact FROM psi_router.aliases WHERE alias = ANY (?::text[]))`, who.aliases)
		}
	}
	if f.Contact != "" {
		q.add(`AND t.contact = (SELECT n FROM psi_router.contacts WHERE id = ? LIMIT 1)`, f.Contact)
	}
}

func (r *reader) lines() (lines []string, err error) {
	err = r.ask(func(b *pgx.Batch) {
		queue(b, `SELECT line FROM psi_router.lines`).Query(each(func(rows pgx.Rows) error {
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
	p := s.blank()
	err := s.read(ctx, "read conversation", func(r *reader) error {
		if err := r.last(func(b *pgx.Batch) { p.collectOne(b, id) }); err != nil {
			return err
		}
		if len(p.list) == 0 {
			return store.ErrNotFound
		}
		return nil
	})
	if err != nil {
		return store.Conversation{}, err
	}
	return p.list[0].View(), nil
}

// collectOne finds a conversation by its id, also one that was joined.
func (p *page) collectOne(b *pgx.Batch, id string) {
	p.collect(b, `t.id = $1`, id)
	p.collect(b, `t.n = (SELECT conversation FROM psi_router.moved WHERE id = $1)`, id)
}

// Messages implements store.Store.
func (s *Store) Messages(ctx context.Context, conversation, after string, n int) ([]store.Message, error) {
	p := s.blank()
	var out []*messageRow
	err := s.read(ctx, "list messages", func(r *reader) error {
		from := int64(0)
		owner := int64(-1)
		err := r.ask(func(b *pgx.Batch) {
			p.collectOne(b, conversation)
			if after != "" {
				queue(b, `SELECT n, conversation FROM psi_router.messages WHERE id = $1`, after).Query(each(func(rows pgx.Rows) error {
					return scan(rows, &from, &owner)
				}))
			}
		})
		switch {
		case err != nil:
			return err
		case len(p.list) == 0:
			return store.ErrNotFound
		case after != "" && owner != p.list[0].Row:
			return fmt.Errorf("message %s: %w", after, store.ErrNotFound)
		}
		return r.last(func(b *pgx.Batch) {
			queueRaw(b, &out, `m.conversation = $1 AND m.n > $2 ORDER BY m.n LIMIT $3`, p.list[0].Row, from, limit(n))
		})
	})
	if err != nil {
		return nil, err
	}
	return p.shown(out), nil
}

// queueRaw reads messages with their raw JSON.
func queueRaw(b *pgx.Batch, out *[]*messageRow, where string, args ...any) {
	queue(b, `SELECT `+messageColumns+`, m.raw FROM psi_router.messages m WHERE `+where, args...).
		Query(each(func(rows pgx.Rows) error {
			var raw []byte
			m, err := scanMessage(rows, &raw)
			if err == nil {
				m.Raw = raw
				*out = append(*out, m)
			}
			return err
		}))
}

// shown returns messages as people see them.
func (p *page) shown(rows []*messageRow) []store.Message {
	out := make([]store.Message, len(rows))
	for i, m := range rows {
		m.ConversationRow = p.talks[m.talk]
		out[i] = m.View()
	}
	return out
}

// eventsAfter asks for at most $2 events after a position, pos, and for what is in
// them, data. A batch holds its positions in a row, so the first one that matters is
// the last that begins at or before the next position.
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
		return r.last(func(b *pgx.Batch) {
			queue(b, eventsAfter(`$1`, `e.data::text`), after, limit(n)).Query(each(func(rows pgx.Rows) error {
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
	now = s.clock(now)
	g := store.Gauges{Lines: map[string]time.Time{}}
	err := s.read(ctx, "gauges", func(r *reader) error {
		var oldest, waiting pgtype.Timestamptz
		err := r.last(func(b *pgx.Batch) {
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
			queue(b, `SELECT line, last_inbound FROM psi_router.lines`).Query(each(func(rows pgx.Rows) error {
				var line string
				var at pgtype.Timestamptz
				err := scan(rows, &line, &at)
				g.Lines[line] = fromEpoch(at)
				return err
			}))
		})
		g.OldestHandedOff = instant(waiting)
		if oldest.Valid {
			g.OldestUnanswered = max(0, now.Sub(instant(oldest)))
		}
		return err
	})
	return g, err
}

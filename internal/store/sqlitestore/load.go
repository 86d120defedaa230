package sqlitestore

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/sqlite"
	"github.com/psivisionhub/psi-router/internal/store"
)

// page is the part of the file that one transaction works on.
type page struct {
	tx   *sqlite.Tx
	book *store.Book

	contacts map[int64]*store.ContactRow
	talks    map[int64]*store.TalkRow
}

func newPage(tx *sqlite.Tx, set store.Settings, now time.Time) *page {
	return &page{
		tx: tx, book: store.NewBook(set, now),
		contacts: map[int64]*store.ContactRow{}, talks: map[int64]*store.TalkRow{},
	}
}

// micros and instant are how times are kept.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// texts and numbers are lists as json_each reads them.
func texts(list []string) string {
	out, err := json.Marshal(list)
	if err != nil {
		return "[]" // strings always marshal
	}
	return string(out)
}

func numbers[V any](set map[int64]V) string {
	out := make([]byte, 0, 2+8*len(set))
	out = append(out, '[')
	for n := range set {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = strconv.AppendInt(out, n, 10)
	}
	return string(append(out, ']'))
}

// each runs a query and scans its rows.
func each(tx *sqlite.Tx, query string, args []any, scan func(*sql.Rows) error) error {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// load reads all that a batch may touch.
func (p *page) load(n store.Needs) error {
	if err := p.loadAliases(n.Aliases); err != nil {
		return fmt.Errorf("load contacts: %w", err)
	}
	found, err := p.findMessages(n)
	if err != nil {
		return fmt.Errorf("load messages: %w", err)
	}
	if err := p.loadTalks(`contact IN (SELECT value FROM json_each(?))`, numbers(p.contacts)); err != nil {
		return err
	}
	if err := p.adopt(found); err != nil {
		return err
	}
	if n.Echoes {
		if err := p.loadPosted(); err != nil {
			return fmt.Errorf("load posted messages: %w", err)
		}
	}
	if err := p.loadRecorded(n.Records); err != nil {
		return fmt.Errorf("load records: %w", err)
	}
	return p.loadTicket()
}

const contactColumns = `c.n, c.id, c.phone, c.user_id, c.username, c.name, c.blocked, c.opted_out, c.created_at`

func scanContact(rows *sql.Rows, more ...any) (*store.ContactRow, error) {
	c := &store.ContactRow{}
	var created int64
	dest := append(more, &c.Row, &c.ID, &c.Phone, &c.UserID, &c.Username, &c.Name, &c.Blocked, &c.OptedOut, &created)
	if err := rows.Scan(dest...); err != nil {
		return nil, err
	}
	c.CreatedAt = instant(created)
	return c, nil
}

func (p *page) addContact(c *store.ContactRow) *store.ContactRow {
	if known := p.contacts[c.Row]; known != nil {
		return known
	}
	p.contacts[c.Row] = c
	p.book.AddContact(c)
	return c
}

func (p *page) loadAliases(aliases []string) error {
	if len(aliases) == 0 {
		return nil
	}
	const query = `SELECT a.alias, ` + contactColumns + `
		FROM aliases a JOIN contacts c ON c.n = a.contact WHERE a.alias IN (SELECT value FROM json_each(?))`
	return each(p.tx, query, []any{texts(aliases)}, func(rows *sql.Rows) error {
		var alias string
		c, err := scanContact(rows, &alias)
		if err != nil {
			return err
		}
		p.book.AddAlias(alias, p.addContact(c))
		return nil
	})
}

const talkColumns = `n, id, contact, line, state, area, tag, menu, epoch, ticket, invalid, offered, auto,
	last_inbound, last_human, timeout_at, to_phone, to_user, to_external, seq, last_message_at, created_at`

func scanTalk(rows *sql.Rows) (t *store.TalkRow, contact int64, err error) {
	t = &store.TalkRow{}
	r, to := &t.Conversation.Conversation, &t.Contact.Address
	var auto string
	var in, human, timeout, last, created int64
	err = rows.Scan(&t.Row, &t.ID, &contact, &r.Line, &r.State, &r.Area, &r.Tag, &r.Menu, &r.Epoch, &r.Ticket,
		&r.Invalid, &r.Offered, &auto, &in, &human, &timeout, &to.Phone, &to.UserID, &to.ExternalID, &t.Seq, &last, &created)
	r.Auto = readAuto(auto)
	r.LastInbound, r.LastHuman, r.TimeoutAt = instant(in), instant(human), instant(timeout)
	t.LastMessageAt, t.CreatedAt = instant(last), instant(created)
	t.Cursor = cursor(last, t.Row)
	return t, contact, err
}

func readAuto(s string) []int64 {
	if s == "" {
		return nil
	}
	out := make([]int64, 0, 1+strings.Count(s, ","))
	for f := range strings.SplitSeq(s, ",") {
		n, err := strconv.ParseInt(f, 10, 64)
		if err == nil {
			out = append(out, n)
		}
	}
	return out
}

func writeAuto(list []int64) string {
	var out []byte
	for i, n := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendInt(out, n, 10)
	}
	return string(out)
}

// loadTalks reads the conversations of a list.
func (p *page) loadTalks(where, list string) error {
	if list == "[]" || list == "null" {
		return nil
	}
	return p.selectTalks(where, []any{list})
}

// selectTalks reads conversations, and the contacts of those whose are missing.
func (p *page) selectTalks(where string, args []any) error {
	type found struct {
		talk    *store.TalkRow
		contact int64
	}
	var all []found
	missing := map[int64]bool{}
	err := each(p.tx, `SELECT `+talkColumns+` FROM conversations WHERE `+where, args, func(rows *sql.Rows) error {
		t, contact, err := scanTalk(rows)
		if err != nil {
			return err
		}
		if p.talks[t.Row] == nil {
			all = append(all, found{t, contact})
			if p.contacts[contact] == nil {
				missing[contact] = true
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("load conversations: %w", err)
	}
	if len(missing) > 0 {
		const query = `SELECT ` + contactColumns + ` FROM contacts c WHERE c.n IN (SELECT value FROM json_each(?))`
		err := each(p.tx, query, []any{numbers(missing)}, func(rows *sql.Rows) error {
			c, err := scanContact(rows)
			if err == nil {
				p.addContact(c)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("load contacts: %w", err)
		}
	}
	for _, f := range all {
		f.talk.Who = p.contacts[f.contact]
		if f.talk.Who == nil {
			return fmt.Errorf("conversation %s has no contact: %w", f.talk.ID, store.ErrNotFound)
		}
		p.talks[f.talk.Row] = f.talk
		p.book.AddTalk(f.talk)
	}
	return nil
}

const messageColumns = `m.n, m.id, m.conversation, m.direction, m.author, m.type, m.text, m.body, m.media, m.reply_id,
	m.quoted_id, m.reactions, coalesce(m.provider_id, ''), coalesce(m.origin, ''), m.status, m.reason, m.fate,
	m.error_code, m.error_detail, m.epoch, m.attempts, m.token, m.read_id, m.since, m.expires_at, m.sent_at,
	m.received_at, m.edited_at, m.revoked_at, m.created_at`

// scanMessage reads a row; its Talk is still missing.
func scanMessage(rows *sql.Rows, more ...any) (m *store.MessageRow, talk int64, err error) {
	m = &store.MessageRow{}
	var body, media, reactions string
	var since, expires, sent, received, edited, revoked, created int64
	dest := append([]any{
		&m.Row, &m.ID, &talk, &m.Direction, &m.Author, &m.Type, &m.Text, &body, &media, &m.ReplyID,
		&m.QuotedID, &reactions, &m.ProviderID, &m.Origin, &m.Status, &m.Reason, &m.Fate,
		&m.ErrorCode, &m.ErrorDetail, &m.Epoch, &m.Attempts, &m.Token, &m.ReadID, &since, &expires, &sent,
		&received, &edited, &revoked, &created,
	}, more...)
	if err := rows.Scan(dest...); err != nil {
		return nil, 0, err
	}
	m.Since, m.Expires, m.SentAt, m.ReceivedAt = instant(since), instant(expires), instant(sent), instant(received)
	m.EditedAt, m.RevokedAt, m.CreatedAt = instant(edited), instant(revoked), instant(created)
	for _, c := range [...]struct {
		column string
		dest   any
	}{{body, &m.Body}, {media, &m.Media}, {reactions, &m.Reactions}} {
		if c.column == "" {
			continue
		}
		if err := json.Unmarshal([]byte(c.column), c.dest); err != nil {
			return nil, 0, fmt.Errorf("message %s: %w", m.ID, err)
		}
	}
	if m.Text == "" && m.Body.Reply != nil {
		m.Text = m.Body.Reply.Text
	}
	return m, talk, nil
}

// orphan is a message whose conversation is not loaded yet.
type orphan struct {
	*store.MessageRow
	talk int64
}

func (p *page) findMessages(n store.Needs) ([]orphan, error) {
	var found []orphan
	take := func(rows *sql.Rows) error {
		m, talk, err := scanMessage(rows)
		if err == nil {
			found = append(found, orphan{m, talk})
		}
		return err
	}
	if len(n.ProviderIDs) > 0 {
		const query = `SELECT ` + messageColumns + ` FROM messages m WHERE m.provider_id IN (SELECT value FROM json_each(?)) ORDER BY m.n`
		if err := each(p.tx, query, []any{texts(n.ProviderIDs)}, take); err != nil {
			return nil, err
		}
	}
	if len(n.MessageIDs) > 0 {
		const query = `SELECT ` + messageColumns + ` FROM messages m WHERE m.id IN (SELECT value FROM json_each(?)) ORDER BY m.n`
		if err := each(p.tx, query, []any{texts(n.MessageIDs)}, take); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// adopt loads the conversations of found messages, marks those that have
// something to send, and puts the messages into the book.
func (p *page) adopt(found []orphan) error {
	if len(found) == 0 {
		return nil
	}
	theirs := map[int64]bool{}
	for _, m := range found {
		theirs[m.talk] = true
	}
	list := numbers(theirs)
	if err := p.loadTalks(`n IN (SELECT value FROM json_each(?))`, list); err != nil {
		return err
	}
	for _, m := range found {
		if m.Talk = p.talks[m.talk]; m.Talk == nil {
			return fmt.Errorf("message %s has no conversation: %w", m.ID, store.ErrNotFound)
		}
		p.book.AddMessage(m.MessageRow)
	}
	const query = `SELECT DISTINCT conversation FROM messages
		WHERE status IN ('queued', 'sending') AND conversation IN (SELECT value FROM json_each(?))`
	return each(p.tx, query, []any{list}, func(rows *sql.Rows) error {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return err
		}
		p.talks[n].Pending = true
		return nil
	})
}

// loadPosted reads what is on its way in the loaded conversations.
func (p *page) loadPosted() error {
	var found []orphan
	for _, query := range [...]string{
		`SELECT ` + messageColumns + ` FROM messages m WHERE m.status IN ('queued', 'sending') AND m.conversation IN (SELECT value FROM json_each(?)) ORDER BY m.n`,
		`SELECT ` + messageColumns + ` FROM messages m WHERE m.status = 'uncertain' AND m.conversation IN (SELECT value FROM json_each(?)) ORDER BY m.n`,
	} {
		err := each(p.tx, query, []any{numbers(p.talks)}, func(rows *sql.Rows) error {
			m, talk, err := scanMessage(rows)
			if err == nil {
				found = append(found, orphan{m, talk})
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return p.adopt(found)
}

// loadRecent reads the last messages of a conversation that have an id.
func (p *page) loadRecent(t *store.TalkRow) error {
	const query = `SELECT ` + messageColumns + ` FROM messages m
		WHERE m.conversation = ? AND m.provider_id IS NOT NULL ORDER BY m.n DESC LIMIT 200`
	return each(p.tx, query, []any{t.Row}, func(rows *sql.Rows) error {
		m, _, err := scanMessage(rows)
		if err == nil {
			m.Talk = t
			p.book.AddMessage(m)
		}
		return err
	})
}

func (p *page) loadRecorded(keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	const query = `SELECT key FROM records WHERE key IN (SELECT value FROM json_each(?))`
	return each(p.tx, query, []any{texts(keys)}, func(rows *sql.Rows) error {
		var key string
		if err := rows.Scan(&key); err != nil {
			return err
		}
		p.book.AddRecorded(key)
		return nil
	})
}

func (p *page) loadParked(providerIDs []string) error {
	if len(providerIDs) == 0 {
		return nil
	}
	const query = `SELECT provider_id, status, code, detail, at, expires_at FROM parked
		WHERE provider_id IN (SELECT value FROM json_each(?)) ORDER BY at, status`
	return each(p.tx, query, []any{texts(providerIDs)}, func(rows *sql.Rows) error {
		var r store.ParkedReport
		var at, expires int64
		if err := rows.Scan(&r.ProviderID, &r.Status, &r.Code, &r.Detail, &at, &expires); err != nil {
			return err
		}
		r.At, r.Expires = instant(at), instant(expires)
		p.book.AddParked(r)
		return nil
	})
}

func (p *page) ticketCounter() string { return "ticket:" + strconv.Itoa(p.book.Year()) }

func (p *page) loadTicket() error {
	_, err := p.tx.Row(`SELECT value FROM meta WHERE name = ?`, []any{p.ticketCounter()}, &p.book.Ticket)
	if err != nil {
		return fmt.Errorf("load ticket counter: %w", err)
	}
	return nil
}

// loadTalk reads one conversation by its id, also one that was joined.
func (p *page) loadTalk(id string) (*store.TalkRow, error) {
	n, err := talkNumber(p.tx, id)
	if err != nil {
		return nil, err
	}
	if err := p.loadTalks(`n IN (SELECT value FROM json_each(?))`, numbers(map[int64]bool{n: true})); err != nil {
		return nil, err
	}
	if p.talks[n] == nil {
		return nil, store.ErrNotFound
	}
	return p.talks[n], nil
}

func talkNumber(tx *sqlite.Tx, id string) (n int64, err error) {
	for _, query := range [...]string{
		`SELECT n FROM conversations WHERE id = ?`, `SELECT conversation FROM moved WHERE id = ?`,
	} {
		found, err := tx.Row(query, []any{id}, &n)
		if found || err != nil {
			return n, err
		}
	}
	return 0, store.ErrNotFound
}

package sqlitestore

import (
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/psivisionhub/psi-router/internal/store"
)

// page is the part of the file that one transaction works on.
type page struct {
	tx   access
	book *store.Unit

	contacts map[int64]*store.ContactRow
	talks    map[int64]*store.ConversationRow
	given    map[string]int64 // counters that were moved
	after    func() error     // asks what was written, nil for nothing
}

func newPage(tx access, set store.Settings, now time.Time) *page {
	return &page{
		tx: tx, book: store.NewUnit(set, now),
		contacts: map[int64]*store.ContactRow{}, talks: map[int64]*store.ConversationRow{}, given: map[string]int64{},
	}
}

// each runs a query and scans its rows.
func each(tx access, query string, args []any, scan func(*sql.Rows) error) error {
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
func (p *page) load(n store.LoadSpec) error {
	if err := p.loadAliases(slices.Concat(n.Aliases, n.KnownAliases)); err != nil {
		return fmt.Errorf("load contacts: %w", err)
	}
	found, err := p.findMessages(n)
	if err != nil {
		return fmt.Errorf("load messages: %w", err)
	}
	if err := p.adopt(found); err != nil {
		return err
	}
	if n.Echoes {
		if err := p.loadPosted(); err != nil {
			return fmt.Errorf("load posted messages: %w", err)
		}
	}
	if err := p.loadRecorded(n.RecordKeys); err != nil {
		return fmt.Errorf("load records: %w", err)
	}
	return p.loadTicket()
}

// loadAliases reads the contacts of the aliases, with all their conversations.
func (p *page) loadAliases(aliases []string) error {
	if len(aliases) == 0 {
		return nil
	}
	owner, missing := map[string]int64{}, map[int64]bool{}
	const query = `SELECT alias, contact FROM aliases WHERE alias IN (SELECT value FROM json_each(?))`
	err := each(p.tx, query, []any{texts(aliases)}, func(rows *sql.Rows) error {
		var alias string
		var contact int64
		err := rows.Scan(&alias, &contact)
		owner[alias], missing[contact] = contact, true
		return err
	})
	if err != nil || len(owner) == 0 {
		return err
	}
	if err := p.loadTalks(`t.contact IN (SELECT value FROM json_each(?))`, numbers(missing)); err != nil {
		return err
	}
	for n := range p.contacts {
		delete(missing, n)
	}
	if len(missing) > 0 { // without a conversation
		const query = `SELECT ` + contactColumns + ` FROM contacts c WHERE c.n IN (SELECT value FROM json_each(?))`
		err := each(p.tx, query, []any{numbers(missing)}, func(rows *sql.Rows) error {
			var c contactScan
			if err := rows.Scan(c.dest()...); err != nil {
				return err
			}
			p.addContact(c.row())
			return nil
		})
		if err != nil {
			return err
		}
	}
	for alias, n := range owner {
		c := p.contacts[n]
		if c == nil {
			return fmt.Errorf("alias of contact %d: %w", n, store.ErrNotFound)
		}
		p.book.AddAlias(alias, c)
	}
	return nil
}

func (p *page) addContact(c *store.ContactRow) *store.ContactRow {
	if known := p.contacts[c.Row]; known != nil {
		return known
	}
	p.contacts[c.Row] = c
	p.book.AddContact(c)
	return c
}

// loadTalks reads the conversations of a list.
func (p *page) loadTalks(where, list string) error {
	if list == "[]" || list == "null" {
		return nil
	}
	return p.selectTalks(where, []any{list})
}

// selectTalks reads conversations with their contacts.
func (p *page) selectTalks(where string, args []any) error {
	query := `SELECT ` + talkColumns + `, ` + contactColumns + ` FROM conversations t JOIN contacts c ON c.n = t.contact WHERE ` + where
	return each(p.tx, query, args, func(rows *sql.Rows) error {
		var t talkScan
		var c contactScan
		if err := rows.Scan(append(t.dest(), c.dest()...)...); err != nil {
			return fmt.Errorf("load conversations: %w", err)
		}
		row := t.row()
		if p.talks[row.Row] != nil {
			return nil
		}
		row.ContactRow = p.addContact(c.row())
		p.talks[row.Row] = row
		p.book.AddConversation(row)
		return nil
	})
}

// orphan is a message whose conversation is not loaded yet.
type orphan struct {
	*store.MessageRow
	talk int64
}

func (p *page) findMessages(n store.LoadSpec) ([]orphan, error) {
	var found []orphan
	take := func(rows *sql.Rows) error {
		m, talk, err := scanMessage(rows)
		if err == nil {
			found = append(found, orphan{m, talk})
		}
		return err
	}
	if len(n.ProviderIDs) > 0 {
		const query = `SELECT ` + messageColumns + ` FROM json_each(?)
			CROSS JOIN messages m ON m.provider_id = json_each.value ->> 1
			CROSS JOIN conversations t ON t.n = m.conversation AND t.line = json_each.value ->> 0 ORDER BY m.n`
		if err := each(p.tx, query, []any{pairs(n.ProviderIDs)}, take); err != nil {
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
// something to send, and puts the messages into the unit.
func (p *page) adopt(found []orphan) error {
	if len(found) == 0 {
		return nil
	}
	theirs, missing := map[int64]bool{}, map[int64]bool{}
	for _, m := range found {
		theirs[m.talk] = true
		if p.talks[m.talk] == nil {
			missing[m.talk] = true
		}
	}
	if err := p.loadTalks(`t.n IN (SELECT value FROM json_each(?))`, numbers(missing)); err != nil {
		return err
	}
	for _, m := range found {
		if m.ConversationRow = p.talks[m.talk]; m.ConversationRow == nil {
			return fmt.Errorf("message %s has no conversation: %w", m.ID, store.ErrNotFound)
		}
		p.book.AddMessage(m.MessageRow)
	}
	const query = `SELECT DISTINCT conversation FROM messages
		WHERE status IN ('queued', 'sending') AND conversation IN (SELECT value FROM json_each(?))`
	return each(p.tx, query, []any{numbers(theirs)}, func(rows *sql.Rows) error {
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
func (p *page) loadRecent(t *store.ConversationRow) error {
	const query = `SELECT ` + messageColumns + ` FROM messages m
		WHERE m.conversation = ? AND m.provider_id IS NOT NULL ORDER BY m.n DESC LIMIT 200`
	return each(p.tx, query, []any{t.Row}, func(rows *sql.Rows) error {
		m, _, err := scanMessage(rows)
		if err == nil {
			m.ConversationRow = t
			p.book.AddMessage(m)
		}
		return err
	})
}

func (p *page) loadRecorded(keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	const query = `SELECT line, key FROM records WHERE key IN (SELECT value FROM json_each(?))`
	return each(p.tx, query, []any{texts(keys)}, func(rows *sql.Rows) error {
		var line, key string
		if err := rows.Scan(&line, &key); err != nil {
			return err
		}
		p.book.AddRecorded(line, key)
		return nil
	})
}

func (p *page) loadParked(providerIDs []string) error {
	if len(providerIDs) == 0 {
		return nil
	}
	const query = `SELECT provider_id, line, person, coalesce((SELECT contact FROM aliases WHERE alias = person), 0),
		status, code, detail, at, expires_at FROM parked
		WHERE provider_id IN (SELECT value FROM json_each(?)) ORDER BY at, status`
	return each(p.tx, query, []any{texts(providerIDs)}, func(rows *sql.Rows) error {
		var r store.ParkedReport
		var at, expires int64
		if err := rows.Scan(&r.ID, &r.Line, &r.Person, &r.ContactKey, &r.Status, &r.Code, &r.Detail, &at, &expires); err != nil {
			return err
		}
		r.At, r.ExpiresAt = instant(at), instant(expires)
		p.book.AddParked(r)
		return nil
	})
}

func (p *page) ticketCounter() string { return "ticket:" + strconv.Itoa(p.book.Year()) }

func (p *page) loadTicket() error {
	_, err := p.tx.Row(`SELECT value FROM meta WHERE name = ?`, []any{p.ticketCounter()}, &p.book.LastTicket)
	if err != nil {
		return fmt.Errorf("load ticket counter: %w", err)
	}
	return nil
}

// loadTalk reads one conversation by its id, also one that was joined.
func (p *page) loadTalk(id string) (*store.ConversationRow, error) {
	n, err := talkNumber(p.tx, id)
	if err != nil {
		return nil, err
	}
	if err := p.loadTalks(`t.n IN (SELECT value FROM json_each(?))`, numbers(map[int64]bool{n: true})); err != nil {
		return nil, err
	}
	if p.talks[n] == nil {
		return nil, store.ErrNotFound
	}
	return p.talks[n], nil
}

func talkNumber(tx access, id string) (n int64, err error) {
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

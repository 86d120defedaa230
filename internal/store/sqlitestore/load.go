package sqlitestore

import (
	"database/sql"
	"fmt"
	"strconv"
	"time"

	"github.com/psivisionhub/psi-router/internal/store"
)

// page is the part of the file that one transaction works on.
type page struct {
	tx   access
	book *store.Book

	contacts map[int64]*store.ContactRow
	talks    map[int64]*store.TalkRow
}

func newPage(tx access, set store.Settings, now time.Time) *page {
	return &page{
		tx: tx, book: store.NewBook(set, now),
		contacts: map[int64]*store.ContactRow{}, talks: map[int64]*store.TalkRow{},
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

package sqlitestore

import (
	"database/sql"
	"fmt"
	"slices"

	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// load loads everything that a batch may touch.
func (tx *txState) load(n unit.LoadSpec) error {
	if err := tx.loadAliases(slices.Concat(n.Aliases, n.KnownAliases)); err != nil {
		return fmt.Errorf("load contacts: %w", err)
	}
	found, err := tx.findMessages(n)
	if err != nil {
		return fmt.Errorf("load messages: %w", err)
	}
	if err := tx.adoptMessages(found); err != nil {
		return err
	}
	if n.Echoes {
		if err := tx.loadInFlight(); err != nil {
			return fmt.Errorf("load posted messages: %w", err)
		}
	}
	if err := tx.loadRecorded(n.RecordKeys); err != nil {
		return fmt.Errorf("load records: %w", err)
	}
	return tx.loadTicket()
}

// loadAliases reads the contacts of the aliases, with all their conversations.
func (tx *txState) loadAliases(aliases []string) error {
	if len(aliases) == 0 {
		return nil
	}
	owner, missing := map[string]int64{}, map[int64]bool{}
	const query = `SELECT alias, contact FROM aliases WHERE alias IN (SELECT value FROM json_each(?))`
	err := eachRow(tx.q, query, []any{texts(aliases)}, func(rows *sql.Rows) error {
		var alias string
		var contact int64
		err := rows.Scan(&alias, &contact)
		owner[alias], missing[contact] = contact, true
		return err
	})
	if err != nil || len(owner) == 0 {
		return err
	}
	if err := tx.loadConversations(`t.contact IN (SELECT value FROM json_each(?))`, numbers(missing)); err != nil {
		return err
	}
	for n := range tx.contactByRow {
		delete(missing, n)
	}
	if len(missing) > 0 { // without a conversation
		const query = `SELECT ` + sqlrow.ContactColumns + ` FROM contacts c WHERE c.n IN (SELECT value FROM json_each(?))`
		err := eachRow(tx.q, query, []any{numbers(missing)}, func(rows *sql.Rows) error {
			var c contactRow
			if err := rows.Scan(c.Dest()...); err != nil {
				return err
			}
			tx.addContact(c.Finish(instant))
			return nil
		})
		if err != nil {
			return err
		}
	}
	for alias, n := range owner {
		c := tx.contactByRow[n]
		if c == nil {
			return fmt.Errorf("alias of contact %d: %w", n, store.ErrNotFound)
		}
		tx.unit.AddAlias(alias, c)
	}
	return nil
}

func (tx *txState) addContact(c *unit.ContactRow) *unit.ContactRow {
	if known := tx.contactByRow[c.Row]; known != nil {
		return known
	}
	tx.contactByRow[c.Row] = c
	tx.unit.AddContact(c)
	return c
}

func (tx *txState) loadConversations(where, list string) error {
	if list == "[]" || list == "null" {
		return nil
	}
	return tx.selectConversations(where, []any{list})
}

// selectConversations reads conversations with their contacts.
func (tx *txState) selectConversations(where string, args []any) error {
	query := `SELECT ` + conversationColumns + `, ` + sqlrow.ContactColumns + ` FROM conversations t JOIN contacts c ON c.n = t.contact WHERE ` + where
	return eachRow(tx.q, query, args, func(rows *sql.Rows) error {
		var conv conversationRow
		var c contactRow
		if err := rows.Scan(append(conv.Dest(), c.Dest()...)...); err != nil {
			return fmt.Errorf("load conversations: %w", err)
		}
		row := conv.Finish(instant)
		if tx.conversationByRow[row.Row] != nil {
			return nil
		}
		row.ContactRow = tx.addContact(c.Finish(instant))
		tx.conversationByRow[row.Row] = row
		tx.unit.AddConversation(row)
		return nil
	})
}

func (tx *txState) findMessages(n unit.LoadSpec) ([]*messageRow, error) {
	var found []*messageRow
	take := func(rows *sql.Rows) error {
		m, err := scanMessage(rows)
		if err == nil {
			found = append(found, m)
		}
		return err
	}
	if len(n.ProviderIDs) > 0 {
		const query = `SELECT ` + messageColumns + ` FROM json_each(?)
			CROSS JOIN messages m ON m.provider_id = json_each.value ->> 1
			CROSS JOIN conversations t ON t.n = m.conversation AND t.line = json_each.value ->> 0 ORDER BY m.n`
		if err := eachRow(tx.q, query, []any{pairs(n.ProviderIDs)}, take); err != nil {
			return nil, err
		}
	}
	if len(n.MessageIDs) > 0 {
		const query = `SELECT ` + messageColumns + ` FROM messages m WHERE m.id IN (SELECT value FROM json_each(?)) ORDER BY m.n`
		if err := eachRow(tx.q, query, []any{texts(n.MessageIDs)}, take); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// adoptMessages loads the conversations of messages, marks those with rows to send, and
// adds the messages to the unit.
func (tx *txState) adoptMessages(found []*messageRow) error {
	if len(found) == 0 {
		return nil
	}
	theirs, missing := map[int64]bool{}, map[int64]bool{}
	for _, m := range found {
		theirs[m.ConversationKey] = true
		if tx.conversationByRow[m.ConversationKey] == nil {
			missing[m.ConversationKey] = true
		}
	}
	if err := tx.loadConversations(`t.n IN (SELECT value FROM json_each(?))`, numbers(missing)); err != nil {
		return err
	}
	for _, m := range found {
		if m.ConversationRow = tx.conversationByRow[m.ConversationKey]; m.ConversationRow == nil {
			return fmt.Errorf("message %s has no conversation: %w", m.ID, store.ErrNotFound)
		}
		tx.unit.AddMessage(&m.MessageRow)
	}
	const query = `SELECT DISTINCT conversation FROM messages
		WHERE status IN ('queued', 'sending') AND conversation IN (SELECT value FROM json_each(?))`
	return eachRow(tx.q, query, []any{numbers(theirs)}, func(rows *sql.Rows) error {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return err
		}
		tx.conversationByRow[n].Pending = true
		return nil
	})
}

// loadInFlight loads the messages of the loaded conversations that are being sent.
func (tx *txState) loadInFlight() error {
	var found []*messageRow
	for _, query := range [...]string{
		`SELECT ` + messageColumns + ` FROM messages m WHERE m.status IN ('queued', 'sending') AND m.conversation IN (SELECT value FROM json_each(?)) ORDER BY m.n`,
		`SELECT ` + messageColumns + ` FROM messages m WHERE m.status = 'uncertain' AND m.conversation IN (SELECT value FROM json_each(?)) ORDER BY m.n`,
	} {
		err := eachRow(tx.q, query, []any{numbers(tx.conversationByRow)}, func(rows *sql.Rows) error {
			m, err := scanMessage(rows)
			if err == nil {
				found = append(found, m)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return tx.adoptMessages(found)
}

// loadRecent loads the last messages with a provider id of a conversation.
func (tx *txState) loadRecent(conv *unit.ConversationRow) error {
	const query = `SELECT ` + messageColumns + ` FROM messages m
		WHERE m.conversation = ? AND m.provider_id IS NOT NULL ORDER BY m.n DESC LIMIT 200`
	return eachRow(tx.q, query, []any{conv.Row}, func(rows *sql.Rows) error {
		m, err := scanMessage(rows)
		if err == nil {
			m.ConversationRow = conv
			tx.unit.AddMessage(&m.MessageRow)
		}
		return err
	})
}

func (tx *txState) loadRecorded(keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	const query = `SELECT line, key FROM records WHERE key IN (SELECT value FROM json_each(?))`
	return eachRow(tx.q, query, []any{texts(keys)}, func(rows *sql.Rows) error {
		var line, key string
		if err := rows.Scan(&line, &key); err != nil {
			return err
		}
		tx.unit.AddRecorded(line, key)
		return nil
	})
}

func (tx *txState) loadParked(providerIDs []string) error {
	if len(providerIDs) == 0 {
		return nil
	}
	const query = `SELECT provider_id, line, person, coalesce((SELECT contact FROM aliases WHERE alias = person), 0),
		status, code, detail, at, expires_at FROM parked
		WHERE provider_id IN (SELECT value FROM json_each(?)) ORDER BY at, status`
	return eachRow(tx.q, query, []any{texts(providerIDs)}, func(rows *sql.Rows) error {
		var r unit.ParkedReport
		var at, expires int64
		if err := rows.Scan(&r.ID, &r.Line, &r.Person, &r.ContactKey, &r.Status, &r.Code, &r.Detail, &at, &expires); err != nil {
			return err
		}
		r.At, r.ExpiresAt = instant(at), instant(expires)
		tx.unit.AddParked(r)
		return nil
	})
}

func (tx *txState) loadTicket() error {
	_, err := tx.q.Row(`SELECT value FROM meta WHERE name = ?`, []any{sqlrow.TicketCounter(tx.unit.Year())}, &tx.unit.LastTicket)
	if err != nil {
		return fmt.Errorf("load ticket counter: %w", err)
	}
	return nil
}

// loadConversation loads one conversation by its id, also by that of a merged one.
func (tx *txState) loadConversation(id string) (*unit.ConversationRow, error) {
	n, err := conversationKey(tx.q, id)
	if err != nil {
		return nil, err
	}
	if err := tx.loadConversations(`t.n IN (SELECT value FROM json_each(?))`, numbers(map[int64]bool{n: true})); err != nil {
		return nil, err
	}
	if tx.conversationByRow[n] == nil {
		return nil, store.ErrNotFound
	}
	return tx.conversationByRow[n], nil
}

func conversationKey(q querier, id string) (n int64, err error) {
	for _, query := range [...]string{
		`SELECT n FROM conversations WHERE id = ?`, `SELECT conversation FROM moved WHERE id = ?`,
	} {
		found, err := q.Row(query, []any{id}, &n)
		if found || err != nil {
			return n, err
		}
	}
	return 0, store.ErrNotFound
}

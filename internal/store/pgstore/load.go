package pgstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// lockSet is what a transaction locks and loads.
type lockSet struct {
	unit.LoadSpec
	// AliasGroups are the aliases of people who may be new: the transaction keeps others
	// from taking them. NewConversations bounds the new conversations.
	AliasGroups       [][]string
	NewConversations  int
	ConversationIDs   []string // conversations by their id
	FollowMerged      bool     // the ids may be those of merged conversations
	ConversationKeys  []int64  // conversations by their key
	WithPending       bool     // load the pending messages of the conversations
	ParkedProviderIDs []string // load reports, by provider id on any line
	ShortLockTimeout  bool     // give up soon on a locked row
	// Idempotency is the key of Actor's command at Now, nil for none.
	Idempotency *store.Idempotency
	Actor       string
	Now         time.Time
	// loadMore loads rows that are known only once the unit is loaded.
	loadMore func(ctx context.Context, c *pgxpool.Conn, tx *txState) error
}

// aliasClaim is an alias that may be new, and the key of its future contact.
type aliasClaim struct {
	alias string
	key   int64
}

// loaded is the result of a load. Only its contacts are locked.
type loaded struct {
	contacts       map[int64]*unit.ContactRow
	aliases        map[string]int64
	claimedAliases map[string]int64 // aliases that nobody had
	conversations  []*conversationRow
	messages       []*messageRow
	recorded       []recordName
	parked         []unit.ParkedReport
	mergedIDs      map[string]int64 // ids of conversations that were merged into one
	lastTicket     int64
	storedAnswer   *storedAnswer // the first call's answer under the key
}

// recordName identifies a record.
type recordName struct{ line, key string }

// Messages m by an id, and the conversation t of each. A provider's id counts only on its
// line k.
const (
	byProviderID = `unnest(?::text[], ?::text[]) k (line, id),
		LATERAL (SELECT * FROM psi_router.messages WHERE provider_id = k.id OFFSET 0) m,
		LATERAL (SELECT contact, line FROM psi_router.conversations WHERE n = m.conversation AND line = k.line OFFSET 0) t`
	byMessageID = `(SELECT * FROM psi_router.messages WHERE id = ANY (?::text[]) OFFSET 0) m,
		LATERAL (SELECT contact, line FROM psi_router.conversations WHERE n = m.conversation OFFSET 0) t`
)

// messageSource is a FROM clause that finds messages, and its arguments.
type messageSource struct {
	from string
	args []any
}

func (locks *lockSet) messageSources() (out []messageSource) {
	if len(locks.ProviderIDs) > 0 {
		lines, ids := lineAndIDColumns(locks.ProviderIDs)
		out = append(out, messageSource{byProviderID, []any{lines, ids}})
	}
	if len(locks.MessageIDs) > 0 {
		out = append(out, messageSource{byMessageID, []any{locks.MessageIDs}})
	}
	return out
}

// lineAndIDColumns returns lines and ids, each pair once.
func lineAndIDColumns(list []unit.ProviderID) (lines, ids []string) {
	seen := make(map[unit.ProviderID]bool, len(list))
	for _, p := range list {
		if !seen[p] {
			seen[p] = true
			lines, ids = append(lines, p.Line), append(ids, p.ID)
		}
	}
	return lines, ids
}

// addContactKeys adds a table w(contact), the distinct keys of all contacts that are
// touched. LATERAL … OFFSET 0 is an optimisation fence: without statistics the planner
// picks a bad join order.
func (locks *lockSet) addContactKeys(q *sqlBuilder) {
	var parts sqlBuilder
	parts.args = q.args
	if aliases := locks.aliases(); len(aliases) > 0 {
		parts.add(`SELECT contact FROM psi_router.aliases WHERE alias = ANY (?::text[])`, aliases)
	}
	for _, m := range locks.messageSources() {
		parts.add(`SELECT t.contact FROM `+m.from, m.args...)
	}
	if len(locks.ConversationIDs) > 0 {
		parts.add(`SELECT contact FROM psi_router.conversations WHERE id = ANY (?::text[])`, locks.ConversationIDs)
	}
	if len(locks.ConversationIDs) > 0 && locks.FollowMerged {
		parts.add(`SELECT t.contact FROM (SELECT conversation FROM psi_router.moved WHERE id = ANY (?::text[]) OFFSET 0) v,
			LATERAL (SELECT contact FROM psi_router.conversations WHERE n = v.conversation OFFSET 0) t`, locks.ConversationIDs)
	}
	if len(locks.ConversationKeys) > 0 {
		parts.add(`SELECT contact FROM psi_router.conversations WHERE n = ANY (?::bigint[])`, locks.ConversationKeys)
	}
	if len(parts.text) == 0 {
		parts.text = []string{`SELECT 0::bigint WHERE false`}
	}
	q.text = append(q.text, "(", strings.Join(parts.text, " UNION "), ") w (contact)")
	q.args = parts.args
}

// aliases are all aliases that lead to contacts, whether they may be new or not.
func (locks *lockSet) aliases() []string { return slices.Concat(locks.Aliases, locks.KnownAliases) }

// lockedContacts is a table w of the keys of the locked contacts. The lock leaves them in a
// setting of the transaction, so that other statements need not find them again.
const lockedContacts = `unnest(nullif(current_setting('psi_router.held', true), '')::bigint[]) w (contact)`

// addTouchedContacts adds a table w of the contacts whose rows are loaded: the locked ones,
// and all others if their existence matters.
func (locks *lockSet) addTouchedContacts(q *sqlBuilder) {
	if len(locks.ConversationIDs)+len(locks.ConversationKeys) > 0 {
		locks.addContactKeys(q)
	} else {
		q.add(lockedContacts)
	}
}

// queueLoad adds the statements that lock and load. Each sees everything that was committed
// before it began, so what follows the lock stays true for as long as the lock lasts.
func (locks *lockSet) queueLoad(b *pgx.Batch, claims []aliasClaim) *loaded {
	l := &loaded{
		contacts: map[int64]*unit.ContactRow{}, aliases: map[string]int64{}, claimedAliases: map[string]int64{}, mergedIDs: map[string]int64{},
	}
	locks.queueIdempotency(b, l)
	if len(claims) > 0 {
		// Sorted, so that concurrent transactions claim aliases in the same order and
		// cannot deadlock.
		queue(b, claimAliases, col(claims, func(c aliasClaim) string { return c.alias }), col(claims, func(c aliasClaim) int64 { return c.key })).
			Query(eachRow(func(rows pgx.Rows) error { return scanPair(rows, l.claimedAliases) }))
	}
	var lock, conversations sqlBuilder
	lock.add(`WITH c AS (SELECT ` + sqlrow.ContactColumns + ` FROM`)
	locks.addContactKeys(&lock)
	lock.add(`JOIN psi_router.contacts c ON c.n = w.contact ORDER BY c.n FOR UPDATE OF c SKIP LOCKED)
		SELECT ` + sqlrow.ContactColumns + `, (SELECT set_config('psi_router.held', array_agg(n)::text, true) FROM c) FROM c`)
	lock.queue(b).Query(eachRow(func(rows pgx.Rows) error {
		var c contactRow
		var all string
		err := scan(rows, append(c.Dest(), &all)...)
		l.contacts[c.Row] = c.Finish(instant)
		return err
	}))
	if aliases := locks.aliases(); len(aliases) > 0 {
		queue(b, `SELECT alias, contact FROM psi_router.aliases WHERE alias = ANY ($1::text[])`, aliases).
			Query(eachRow(func(rows pgx.Rows) error { return scanPair(rows, l.aliases) }))
	}
	conversations.add(`SELECT ` + conversationColumns + ` FROM`)
	locks.addTouchedContacts(&conversations)
	conversations.add(`, LATERAL (SELECT * FROM psi_router.conversations WHERE contact = w.contact OFFSET 0) t`)
	conversations.queue(b).Query(eachRow(func(rows pgx.Rows) error {
		conv := &conversationRow{}
		err := scan(rows, conv.Dest()...)
		conv.Finish(instant)
		l.conversations = append(l.conversations, conv)
		return err
	}))
	if locks.FollowMerged {
		queue(b, `SELECT id, conversation FROM psi_router.moved WHERE id = ANY ($1::text[])`, locks.ConversationIDs).
			Query(eachRow(func(rows pgx.Rows) error { return scanPair(rows, l.mergedIDs) }))
	}
	locks.queueMessages(b, l)
	if len(locks.RecordKeys) > 0 {
		queue(b, `SELECT line, key FROM psi_router.records WHERE key = ANY ($1::text[])`, locks.RecordKeys).
			Query(eachRow(func(rows pgx.Rows) error {
				var r recordName
				err := scan(rows, &r.line, &r.key)
				l.recorded = append(l.recorded, r)
				return err
			}))
	}
	if len(locks.ParkedProviderIDs) > 0 {
		queue(b, loadParked, locks.ParkedProviderIDs).Query(eachRow(l.addParked))
	}
	return l
}

func (locks *lockSet) queueMessages(b *pgx.Batch, l *loaded) {
	for _, m := range locks.messageSources() {
		var q sqlBuilder
		q.add(`SELECT `+messageColumns+`, t.contact, t.line,
			EXISTS (SELECT FROM psi_router.pending p WHERE p.conversation = m.conversation AND NOT p.doubt)
			FROM `+m.from+` ORDER BY m.n`, m.args...)
		q.queue(b).Query(eachRow(l.addMessage))
	}
	if locks.WithPending || locks.Echoes {
		var q sqlBuilder
		q.add(`SELECT ` + messageColumns + `, t.contact, t.line, NOT p.doubt FROM`)
		locks.addTouchedContacts(&q)
		q.add(`, LATERAL (SELECT n, contact, line FROM psi_router.conversations WHERE contact = w.contact OFFSET 0) t,
			LATERAL (SELECT * FROM psi_router.pending WHERE conversation = t.n OFFSET 0) p,
			LATERAL (SELECT * FROM psi_router.messages WHERE conversation = p.conversation AND n = p.n OFFSET 0) m ORDER BY m.n`)
		q.queue(b).Query(eachRow(l.addMessage))
	}
}

func (l *loaded) addMessage(rows pgx.Rows) error {
	var contact int64
	var line string
	var pending bool
	m, err := scanMessage(rows, &contact, &line, &pending)
	if err == nil {
		m.contact, m.line, m.pending = contact, line, pending
		l.messages = append(l.messages, m)
	}
	return err
}

func (l *loaded) addParked(rows pgx.Rows) error {
	var r unit.ParkedReport
	var at, expires pgtype.Timestamptz
	err := scan(rows, &r.ID, &r.Line, &r.Person, &r.ContactKey, &r.Status, &r.Code, &r.Detail, &at, &expires)
	r.At, r.ExpiresAt = instant(at), instant(expires)
	if _, fresh := l.claimedAliases[r.Person]; fresh {
		r.ContactKey = 0 // nobody has the alias yet
	}
	l.parked = append(l.parked, r)
	return err
}

// loadRecent loads the last messages with a provider id of each conversation.
func (l *loaded) loadRecent(ctx context.Context, c *pgxpool.Conn, conversations []*unit.ConversationRow) error {
	if len(conversations) == 0 {
		return nil
	}
	b := &pgx.Batch{}
	for _, conv := range conversations {
		queue(b, `SELECT `+messageColumns+` FROM psi_router.messages m
			WHERE m.conversation = $1 AND m.provider_id IS NOT NULL ORDER BY m.n DESC LIMIT 200`, conv.Row).
			Query(eachRow(func(rows pgx.Rows) error {
				m, err := scanMessage(rows)
				if err == nil {
					m.contact, m.line = conv.ContactRow.Row, conv.Line
					l.messages = append(l.messages, m)
				}
				return err
			}))
	}
	if err := sendBatch(ctx, c, b); err != nil {
		return fmt.Errorf("load recent messages: %w", err)
	}
	return nil
}

// loadEarlierAnswers loads the messages before an answer that may have failed.
func loadEarlierAnswers(ctx context.Context, c *pgxpool.Conn, tx *txState) error {
	return tx.loadRecent(ctx, c, tx.unit.NeedEarlierAnswers())
}

// conversationFor returns the conversation of a command; locked is set when another
// transaction has locked it.
func (tx *txState) conversationFor(cmd store.Command) (conv *unit.ConversationRow, locked bool, err error) {
	if cmd.To == nil {
		return tx.findConversation(cmd.Conversation)
	}
	if tx.lockedByOthers(unit.LoadSpec{Aliases: tx.unit.RecipientAliases(*cmd.To)}) {
		return nil, true, nil
	}
	return tx.unit.ResolveRecipient(*cmd.To), false, nil
}

// findConversation returns the conversation with an id, perhaps of one that was merged into
// it; locked is set when another transaction has locked it.
func (tx *txState) findConversation(id string) (conv *unit.ConversationRow, locked bool, err error) {
	for _, r := range tx.conversations {
		if r.ID == id || tx.mergedIDs[id] == r.Row {
			conv = tx.conversationByRow[r.Row]
			return conv, conv == nil, nil
		}
	}
	if _, there := tx.mergedIDs[id]; there {
		return nil, true, nil // it was merged meanwhile
	}
	return nil, false, store.ErrNotFound
}

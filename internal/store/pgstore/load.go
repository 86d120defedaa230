package pgstore

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/psivisionhub/psi-router/internal/store"
)

// wants says what a transaction locks and loads.
type wants struct {
	store.LoadSpec
	// Names are those that people have who may be new: they are nobody else's while
	// the transaction lasts. Fresh bounds the new conversations.
	Names  [][]string
	Fresh  int
	Talks  []string // conversations by their id
	Joined bool     // the ids may be those of joined ones
	Rows   []int64  // conversations by their key
	Posted bool     // what is pending in the conversations
	Parked []string // reports, by provider id on whatever line
	Hurry  bool     // wait for nobody for long
	// Once is the key under which Actor wants something done at Now, nil for none.
	Once  *store.Idempotency
	Actor string
	Now   time.Time
	// more loads what only a unit can ask for.
	more func(ctx context.Context, c *pgxpool.Conn, p *page) error
}

// claim is a name that may be new, and the key of the contact it will lead to.
type claim struct {
	alias string
	key   int64
}

// found is what was loaded. Only contacts in it are locked.
type found struct {
	contacts map[int64]*store.ContactRow
	aliases  map[string]int64
	claimed  map[string]int64 // names that were nobody's
	talks    []*talkRow
	messages []*messageRow
	recorded []recorded
	parked   []store.ParkedReport
	joined   map[string]int64 // ids of conversations that were joined with one
	ticket   int64
	kept     *kept // what the first one left under the key
}

// recorded is a record's name.
type recorded struct{ line, key string }

// query is a statement and its arguments.
type query struct {
	text []string
	args []any
}

func (q *query) add(text string, args ...any) {
	for _, a := range args {
		q.args = append(q.args, a)
		text = strings.Replace(text, "?", "$"+strconv.Itoa(len(q.args)), 1)
	}
	q.text = append(q.text, text)
}

func (q *query) queue(b *pgx.Batch) *pgx.QueuedQuery {
	return queue(b, strings.Join(q.text, " "), q.args...)
}

// Messages m by an id, and the conversation t of each. One of a provider's is good
// on its line k only.
const (
	byProviderID = `unnest(?::text[], ?::text[]) k (line, id),
		LATERAL (SELECT * FROM psi_router.messages WHERE provider_id = k.id OFFSET 0) m,
		LATERAL (SELECT contact, line FROM psi_router.conversations WHERE n = m.conversation AND line = k.line OFFSET 0) t`
	byMessageID = `(SELECT * FROM psi_router.messages WHERE id = ANY (?::text[]) OFFSET 0) m,
		LATERAL (SELECT contact, line FROM psi_router.conversations WHERE n = m.conversation OFFSET 0) t`
)

// messages are what follows FROM where messages are looked for, and its arguments.
type messages struct {
	from string
	args []any
}

func (w *wants) messages() (out []messages) {
	if len(w.ProviderIDs) > 0 {
		lines, ids := columns(w.ProviderIDs)
		out = append(out, messages{byProviderID, []any{lines, ids}})
	}
	if len(w.MessageIDs) > 0 {
		out = append(out, messages{byMessageID, []any{w.MessageIDs}})
	}
	return out
}

// columns are the lines and the ids, each pair once.
func columns(list []store.ProviderID) (lines, ids []string) {
	seen := make(map[store.ProviderID]bool, len(list))
	for _, p := range list {
		if !seen[p] {
			seen[p] = true
			lines, ids = append(lines, p.Line), append(ids, p.ID)
		}
	}
	return lines, ids
}

// whose adds a table w of the keys of all contacts that are touched, each once.
// What follows from it is LATERAL and OFFSET 0, which changes nothing but tells the
// planner where to begin: it would guess, while a table has no statistics.
func (w *wants) whose(q *query) {
	var parts query
	parts.args = q.args
	if aliases := w.aliases(); len(aliases) > 0 {
		parts.add(`SELECT contact FROM psi_router.aliases WHERE alias = ANY (?::text[])`, aliases)
	}
	for _, m := range w.messages() {
		parts.add(`SELECT t.contact FROM `+m.from, m.args...)
	}
	if len(w.Talks) > 0 {
		parts.add(`SELECT contact FROM psi_router.conversations WHERE id = ANY (?::text[])`, w.Talks)
	}
	if len(w.Talks) > 0 && w.Joined {
		parts.add(`SELECT t.contact FROM (SELECT conversation FROM psi_router.moved WHERE id = ANY (?::text[]) OFFSET 0) v,
			LATERAL (SELECT contact FROM psi_router.conversations WHERE n = v.conversation OFFSET 0) t`, w.Talks)
	}
	if len(w.Rows) > 0 {
		parts.add(`SELECT contact FROM psi_router.conversations WHERE n = ANY (?::bigint[])`, w.Rows)
	}
	if len(parts.text) == 0 {
		parts.text = []string{`SELECT 0::bigint WHERE false`}
	}
	q.text = append(q.text, "(", strings.Join(parts.text, " UNION "), ") w (contact)")
	q.args = parts.args
}

// aliases are all that lead to contacts, whether they may be new or not.
func (w *wants) aliases() []string { return slices.Concat(w.Aliases, w.KnownAliases) }

// held is a table w of the keys of the contacts that the lock got, which it leaves
// in a setting of the transaction: nobody else needs to find them again.
const held = `unnest(nullif(current_setting('psi_router.held', true), '')::bigint[]) w (contact)`

// touched adds a table w of contacts whose rows are loaded: those that are held,
// and the others too where it matters that they exist.
func (w *wants) touched(q *query) {
	if len(w.Talks)+len(w.Rows) > 0 {
		w.whose(q)
	} else {
		q.add(held)
	}
}

// queue adds the statements that lock and load. Each sees what was committed
// before it began, so what comes after the lock is true for as long as that lasts.
func (w *wants) queue(b *pgx.Batch, claims []claim) *found {
	f := &found{
		contacts: map[int64]*store.ContactRow{}, aliases: map[string]int64{}, claimed: map[string]int64{}, joined: map[string]int64{},
	}
	w.queueOnce(b, f)
	if len(claims) > 0 {
		// In order, so that two who claim the same names wait for one another and
		// not in a circle.
		queue(b, claimAliases, col(claims, func(c claim) string { return c.alias }), col(claims, func(c claim) int64 { return c.key })).
			Query(each(func(rows pgx.Rows) error { return pair(rows, f.claimed) }))
	}
	var lock, talks query
	lock.add(`WITH c AS (SELECT ` + contactColumns + ` FROM`)
	w.whose(&lock)
	lock.add(`JOIN psi_router.contacts c ON c.n = w.contact ORDER BY c.n FOR UPDATE OF c SKIP LOCKED)
		SELECT ` + contactColumns + `, (SELECT set_config('psi_router.held', array_agg(n)::text, true) FROM c) FROM c`)
	lock.queue(b).Query(each(func(rows pgx.Rows) error {
		var all string
		c, err := scanContact(rows, &all)
		if err == nil {
			f.contacts[c.Row] = c
		}
		return err
	}))
	if aliases := w.aliases(); len(aliases) > 0 {
		queue(b, `SELECT alias, contact FROM psi_router.aliases WHERE alias = ANY ($1::text[])`, aliases).
			Query(each(func(rows pgx.Rows) error { return pair(rows, f.aliases) }))
	}
	talks.add(`SELECT ` + talkColumns + ` FROM`)
	w.touched(&talks)
	talks.add(`, LATERAL (SELECT * FROM psi_router.conversations WHERE contact = w.contact OFFSET 0) t`)
	talks.queue(b).Query(each(func(rows pgx.Rows) error {
		t, err := scanTalk(rows)
		if err == nil {
			f.talks = append(f.talks, t)
		}
		return err
	}))
	if w.Joined {
		queue(b, `SELECT id, conversation FROM psi_router.moved WHERE id = ANY ($1::text[])`, w.Talks).
			Query(each(func(rows pgx.Rows) error { return pair(rows, f.joined) }))
	}
	w.queueMessages(b, f)
	if len(w.RecordKeys) > 0 {
		queue(b, `SELECT line, key FROM psi_router.records WHERE key = ANY ($1::text[])`, w.RecordKeys).
			Query(each(func(rows pgx.Rows) error {
				var r recorded
				err := scan(rows, &r.line, &r.key)
				f.recorded = append(f.recorded, r)
				return err
			}))
	}
	if len(w.Parked) > 0 {
		queue(b, loadParked, w.Parked).Query(each(f.addParked))
	}
	return f
}

func (w *wants) queueMessages(b *pgx.Batch, f *found) {
	for _, m := range w.messages() {
		var q query
		q.add(`SELECT `+messageColumns+`, t.contact, t.line,
			EXISTS (SELECT FROM psi_router.pending p WHERE p.conversation = m.conversation AND NOT p.doubt)
			FROM `+m.from+` ORDER BY m.n`, m.args...)
		q.queue(b).Query(each(f.addMessage))
	}
	if w.Posted || w.Echoes {
		var q query
		q.add(`SELECT ` + messageColumns + `, t.contact, t.line, NOT p.doubt FROM`)
		w.touched(&q)
		q.add(`, LATERAL (SELECT n, contact, line FROM psi_router.conversations WHERE contact = w.contact OFFSET 0) t,
			LATERAL (SELECT * FROM psi_router.pending WHERE conversation = t.n OFFSET 0) p,
			LATERAL (SELECT * FROM psi_router.messages WHERE conversation = p.conversation AND n = p.n OFFSET 0) m ORDER BY m.n`)
		q.queue(b).Query(each(f.addMessage))
	}
}

// each calls scan for every row of a result.
func each(scan func(pgx.Rows) error) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		for rows.Next() {
			if err := scan(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	}
}

func pair(rows pgx.Rows, into map[string]int64) error {
	var alias string
	var contact int64
	err := scan(rows, &alias, &contact)
	into[alias] = contact
	return err
}

func (f *found) addMessage(rows pgx.Rows) error {
	var contact int64
	var line string
	var pending bool
	m, err := scanMessage(rows, &contact, &line, &pending)
	if err == nil {
		m.contact, m.line, m.pending = contact, line, pending
		f.messages = append(f.messages, m)
	}
	return err
}

func (f *found) addParked(rows pgx.Rows) error {
	var r store.ParkedReport
	var at, expires pgtype.Timestamptz
	err := scan(rows, &r.ID, &r.Line, &r.Person, &r.ContactKey, &r.Status, &r.Code, &r.Detail, &at, &expires)
	r.At, r.ExpiresAt = instant(at), instant(expires)
	if _, fresh := f.claimed[r.Person]; fresh {
		r.ContactKey = 0 // nobody has the name yet
	}
	f.parked = append(f.parked, r)
	return err
}

// page is a unit over what was loaded, and what only the engine knows of it.
type page struct {
	*found
	book  *store.Unit
	talks map[int64]*store.ConversationRow
	byID  map[string]*store.ConversationRow // conversations by their id
	list  []*store.ConversationRow          // what was only read
	keys  []int64                           // for new rows
	used  map[int64]bool
	known func(line string) bool // that it has its row
	// numbers of the counter are those of the tickets in the unit.
	counter string
	numbers span
	// before and after are queued before anything is written, and behind it.
	before, after func(b *pgx.Batch)
}

// open puts copies of what was loaded and is locked into a new unit.
func (f *found) open(set store.Settings, now time.Time) *page {
	p := &page{
		found: f, book: store.NewUnit(set, now),
		talks: map[int64]*store.ConversationRow{}, byID: map[string]*store.ConversationRow{}, used: map[int64]bool{},
	}
	p.book.LastTicket = f.ticket
	contacts := make(map[int64]*store.ContactRow, len(f.contacts))
	for n, c := range f.contacts {
		mine := *c
		contacts[n] = &mine
		p.book.AddContact(&mine)
	}
	for alias, n := range f.aliases {
		if c := contacts[n]; c != nil {
			p.book.AddAlias(alias, c)
		}
	}
	for _, t := range f.talks {
		c := contacts[t.contact]
		if c == nil || p.talks[t.Row] != nil {
			continue
		}
		mine := t.ConversationRow
		mine.Auto = slices.Clip(mine.Auto)
		mine.ContactRow = c
		p.talks[t.Row], p.byID[t.ID] = &mine, &mine
		p.book.AddConversation(&mine)
	}
	for _, m := range f.messages {
		p.adopt(m)
	}
	for _, r := range f.recorded {
		p.book.AddRecorded(r.line, r.key)
	}
	for _, r := range f.parked {
		p.book.AddParked(r)
	}
	return p
}

// adopt puts a message into the unit whose conversation is in it.
func (p *page) adopt(m *messageRow) {
	t := p.talks[m.talk]
	if t == nil {
		return
	}
	mine := m.MessageRow
	mine.Reactions = slices.Clip(mine.Reactions)
	mine.ConversationRow = t
	t.Pending = t.Pending || m.pending
	p.book.AddMessage(&mine)
}

// col is a column of rows.
func col[T, V any](rows []T, get func(T) V) []V {
	out := make([]V, len(rows))
	for i, r := range rows {
		out[i] = get(r)
	}
	return out
}

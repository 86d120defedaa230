package pgstore

import (
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// sqlBuilder is a statement and its arguments.
type sqlBuilder struct {
	text []string
	args []any
}

func (q *sqlBuilder) add(text string, args ...any) {
	for _, a := range args {
		q.args = append(q.args, a)
		text = strings.Replace(text, "?", "$"+strconv.Itoa(len(q.args)), 1)
	}
	q.text = append(q.text, text)
}

func (q *sqlBuilder) queue(b *pgx.Batch) *pgx.QueuedQuery {
	return queue(b, strings.Join(q.text, " "), q.args...)
}

// The statements of every write. They take columns, and write all rows at once.
const (
	claimAliases = `INSERT INTO psi_router.aliases (alias, contact)
		SELECT u.alias, u.contact FROM unnest($1::text[], $2::bigint[]) u (alias, contact)
		WHERE NOT EXISTS (SELECT FROM psi_router.aliases a WHERE a.alias = u.alias)
		ORDER BY u.alias ON CONFLICT (alias) DO NOTHING RETURNING alias, contact`
	upsertAliases = `INSERT INTO psi_router.aliases (alias, contact)
		SELECT u.alias, u.contact FROM unnest($1::text[], $2::bigint[]) u (alias, contact)
		ORDER BY u.alias ON CONFLICT (alias) DO UPDATE SET contact = excluded.contact`

	insertContacts = `INSERT INTO psi_router.contacts (n, phone, user_id, username, name, blocked, opted_out, blocked_here, chose_at, id, created_at)
		SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::boolean[],
			$8::boolean[], $9::timestamptz[], $10::text[], $11::timestamptz[])`
	updateContacts = `UPDATE psi_router.contacts c SET phone = u.phone, user_id = u.user_id, username = u.username, name = u.name,
			blocked = u.blocked, opted_out = u.opted_out, blocked_here = u.blocked_here, chose_at = u.chose_at
		FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::boolean[], $8::boolean[],
			$9::timestamptz[])
			u (n, phone, user_id, username, name, blocked, opted_out, blocked_here, chose_at)
		WHERE c.n = u.n`

	conversationArrays = `unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[],
			$9::bigint[], $10::boolean[], $11::text[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[],
			$15::text[], $16::text[], $17::text[], $18::bigint[], $19::timestamptz[], $20::timestamptz[],
			$21::timestamptz[], $22::boolean[], $23::text[], $24::timestamptz[], $25::timestamptz[], $26::timestamptz[],
			$27::timestamptz[], $28::text[], $29::timestamptz[]`
	insertConversations = `INSERT INTO psi_router.conversations (n, contact, state, area, tag, menu, epoch, ticket, invalid, offered, auto,
			last_inbound, last_human, timeout_at, to_phone, to_user, to_external, seq, last_message_at, created_at,
			waiting_since, opened, last_area, file_at, asked_at, said_at, left_at, left_reason, apologized_for, id, line)
		SELECT * FROM ` + conversationArrays + `, $30::text[], $31::text[])`
	updateConversations = `UPDATE psi_router.conversations t SET contact = u.contact, state = u.state, area = u.area, tag = u.tag,
			menu = u.menu, epoch = u.epoch, ticket = u.ticket, invalid = u.invalid, offered = u.offered, auto = u.auto,
			last_inbound = u.last_inbound, last_human = u.last_human, timeout_at = u.timeout_at, to_phone = u.to_phone,
			to_user = u.to_user, to_external = u.to_external, seq = u.seq, last_message_at = u.last_message_at,
			created_at = u.created_at, waiting_since = u.waiting_since, opened = u.opened, last_area = u.last_area,
			file_at = u.file_at, asked_at = u.asked_at, said_at = u.said_at, left_at = u.left_at, left_reason = u.left_reason,
			apologized_for = u.apologized_for
		FROM ` + conversationArrays + `) u (n, contact, state, area, tag, menu, epoch, ticket, invalid, offered, auto,
			last_inbound, last_human, timeout_at, to_phone, to_user, to_external, seq, last_message_at, created_at,
			waiting_since, opened, last_area, file_at, asked_at, said_at, left_at, left_reason, apologized_for)
		WHERE t.n = u.n`

	// A row gets its number when it is written, so the rows keep their order.
	insertMessages = `WITH written AS (
		INSERT INTO psi_router.messages (conversation, id, direction, author, type, text, body, media, reply_id, quoted_id,
			reactions, provider_id, origin, status, reason, fate, error_code, error_detail, epoch, read_id, since, expires_at,
			sent_at, received_at, edited_at, revoked_at, created_at, raw, notice, marketing)
		SELECT u.conversation, u.id, u.direction, u.author, u.type, u.text, nullif(u.body, '')::json, nullif(u.media, '')::json,
			u.reply_id, u.quoted_id, nullif(u.reactions, '')::json, nullif(u.provider_id, ''), nullif(u.origin, ''), u.status,
			u.reason, u.fate, u.error_code, u.error_detail, u.epoch, u.read_id, u.since, u.expires_at, u.sent_at,
			u.received_at, u.edited_at, u.revoked_at, u.created_at, u.raw, u.notice, u.marketing
		FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
			$9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[],
			$17::bigint[], $18::text[], $19::bigint[], $20::text[], $21::timestamptz[], $22::timestamptz[],
			$23::timestamptz[], $24::timestamptz[], $25::timestamptz[], $26::timestamptz[], $27::timestamptz[], $28::bytea[],
			$29::text[], $30::boolean[])
			WITH ORDINALITY u (conversation, id, direction, author, type, text, body, media, reply_id, quoted_id, reactions,
			provider_id, origin, status, reason, fate, error_code, error_detail, epoch, read_id, since, expires_at,
			sent_at, received_at, edited_at, revoked_at, created_at, raw, notice, marketing, i)
		ORDER BY u.i
		RETURNING conversation, n, status, coalesce(since, created_at) AS since, notice)
		INSERT INTO psi_router.pending (conversation, n, since, notice)
		SELECT conversation, n, since, notice FROM written WHERE status = 'queued'`
	updateMessages = `UPDATE psi_router.messages m SET text = u.text, reactions = nullif(u.reactions, '')::json,
			provider_id = nullif(u.provider_id, ''), status = u.status, fate = u.fate, error_code = u.error_code,
			error_detail = u.error_detail, epoch = u.epoch, attempts = u.attempts, token = u.token, sent_at = u.sent_at,
			edited_at = u.edited_at, revoked_at = u.revoked_at
		FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[],
			$9::bigint[], $10::bigint[], $11::text[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[])
			u (id, text, reactions, provider_id, status, fate, error_code, error_detail, epoch, attempts, token, sent_at,
			edited_at, revoked_at)
		WHERE m.id = u.id`
	markPendingTried = `UPDATE psi_router.pending p SET tried = true FROM unnest($1::bigint[], $2::bigint[]) u (conversation, n)
		WHERE p.conversation = u.conversation AND p.n = u.n AND NOT p.tried`
	markPendingUncertain = `UPDATE psi_router.pending p SET doubt = true FROM unnest($1::bigint[], $2::bigint[]) u (conversation, n)
		WHERE p.conversation = u.conversation AND p.n = u.n AND NOT p.doubt`
	deletePending = `DELETE FROM psi_router.pending p USING unnest($1::bigint[], $2::bigint[]) u (conversation, n)
		WHERE p.conversation = u.conversation AND p.n = u.n`
	// supersede takes back the queued replies of a conversation that was merged.
	supersede = `UPDATE psi_router.messages m SET epoch = -1 FROM psi_router.pending p
		WHERE p.conversation = $1 AND NOT p.doubt AND m.conversation = p.conversation AND m.n = p.n AND m.author = 'router'`
	moveTimers = `WITH gone AS (DELETE FROM psi_router.timers WHERE conversation = $2 RETURNING kind, due)
		INSERT INTO psi_router.timers (conversation, kind, due) SELECT $1::bigint, kind, due FROM gone
		ON CONFLICT (conversation, kind) DO UPDATE SET due = least(timers.due, excluded.due)`

	insertEvents = `WITH b AS (INSERT INTO psi_router.batches (size) VALUES ($1) RETURNING n)
		INSERT INTO psi_router.events (batch, i, id, conversation, type, seq, created_at, data)
		SELECT b.n, u.i - 1, u.id, u.conversation, u.type, u.seq, u.created_at, u.data::json
		FROM b, unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[], $7::text[])
			WITH ORDINALITY u (id, conversation, type, seq, created_at, data, i)`
	insertTickets = `INSERT INTO psi_router.tickets (opened_at, ticket, conversation, area, tag)
		SELECT $1::timestamptz, * FROM unnest($2::text[], $3::bigint[], $4::text[], $5::text[])`
	insertHandoffs = `INSERT INTO psi_router.handoffs (conversation, ticket, from_area, area, tag, note, by, at)
		SELECT u.conversation, u.ticket, u.from_area, u.area, u.tag, u.note, u.by, u.at
		FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[])
			WITH ORDINALITY u (conversation, ticket, from_area, area, tag, note, by, at, i) ORDER BY u.i`
	insertAudit = `INSERT INTO psi_router.audit (conversation, actor, action, detail, at)
		SELECT u.conversation, u.actor, u.action, u.detail, u.at
		FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
			WITH ORDINALITY u (conversation, actor, action, detail, at, i) ORDER BY u.i`
	insertTimers = `INSERT INTO psi_router.timers (kind, conversation, due)
		SELECT $1::text, * FROM unnest($2::bigint[], $3::timestamptz[])
		ON CONFLICT (conversation, kind) DO UPDATE SET
			due = CASE excluded.kind WHEN 'left' THEN excluded.due ELSE least(timers.due, excluded.due) END`
	insertRecords = `INSERT INTO psi_router.records (id, key, kind, line, line_ref, provider_id, person, reason, detail, received_at, raw)
		SELECT u.id, u.key, u.kind, u.line, u.line_ref, u.provider_id, u.person, u.reason, u.detail, u.received_at, u.raw
		FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
			$9::text[], $10::timestamptz[], $11::bytea[])
			WITH ORDINALITY u (id, key, kind, line, line_ref, provider_id, person, reason, detail, received_at, raw, i)
		ORDER BY u.i ON CONFLICT (key) DO NOTHING`
	insertParked = `INSERT INTO psi_router.parked (provider_id, line, person, status, code, detail, at, expires_at)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::timestamptz[],
			$8::timestamptz[])
		ON CONFLICT DO NOTHING`
	deleteParked = `DELETE FROM psi_router.parked p USING unnest($1::text[], $2::text[], $3::text[]) u (provider_id, line, person)
		WHERE p.provider_id = u.provider_id AND p.line = u.line AND p.person = u.person`
	// The recipient's contact is looked up now: it may be new.
	loadParked = `SELECT p.provider_id, p.line, p.person,
			coalesce((SELECT contact FROM psi_router.aliases WHERE alias = p.person), 0),
			p.status, p.code, p.detail, p.at, p.expires_at
		FROM psi_router.parked p WHERE p.provider_id = ANY ($1::text[]) ORDER BY p.at, p.status`

	// All turns of a line write here, so nobody waits: if another transaction has locked
	// the row, its own time is as recent.
	updateLine = `UPDATE psi_router.lines SET last_inbound = $2 WHERE line =
		(SELECT line FROM psi_router.lines WHERE line = $1 AND last_inbound < $2 FOR UPDATE SKIP LOCKED)`
	insertLine = `INSERT INTO psi_router.lines (line, last_inbound) VALUES ($1, $2) ON CONFLICT DO NOTHING`
)

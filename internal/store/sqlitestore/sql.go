package sqlitestore

import "strings"

// insertStatement is an INSERT of many rows at once. It has a few prepared lengths, of
// which the longest that fits is used.
type insertStatement struct {
	width int
	texts map[int]string // by number of rows
}

// batchSizes of prepared INSERTs, longest first.
var batchSizes = [...]int{48, 12, 3, 1}

func insertInto(head string, width int, row, tail string) insertStatement {
	if row == "" {
		row = "(?" + strings.Repeat(", ?", width-1) + ")"
	}
	t := insertStatement{width: width, texts: map[int]string{}}
	for _, n := range batchSizes {
		t.texts[n] = "INSERT INTO " + head + " VALUES " + row + strings.Repeat(", "+row, n-1) + " " + tail
	}
	return t
}

// valuesBuilder collects the values of an INSERT.
type valuesBuilder struct{ values []any }

func (r *valuesBuilder) add(values ...any) {
	if r.values == nil {
		r.values = make([]any, 0, batchSizes[0]*len(values))
	}
	r.values = append(r.values, values...)
}

// insert writes the rows and forgets them.
func (tx *txState) insert(t insertStatement, r *valuesBuilder) error {
	left := r.values
	for len(left) > 0 {
		for _, n := range batchSizes {
			if size := n * t.width; size <= len(left) {
				if _, err := tx.q.Exec(t.texts[n], left[:size]...); err != nil {
					return err
				}
				left = left[size:]
				break
			}
		}
	}
	r.values = r.values[:0]
	return nil
}

// The statements of every write.
var (
	insertContacts      = insertInto(`contacts (n, id, phone, user_id, username, name, blocked, opted_out, created_at, blocked_here, chose_at)`, 11, "", "")
	upsertAliases       = insertInto(`aliases (alias, contact)`, 2, "", `ON CONFLICT (alias) DO UPDATE SET contact = excluded.contact`)
	insertConversations = insertInto(`conversations (n, id, contact, line, state, area, tag, menu, epoch, ticket, invalid, offered, auto,
		last_inbound, last_human, timeout_at, to_phone, to_user, to_external, seq, last_message_at, created_at,
		waiting_since, opened, last_area, file_at, asked_at, said_at, left_at, left_reason, apologized_for)`, 31, "", "")
	insertInbound = insertInto(`messages (id, conversation, direction, author, type, text, media, reply_id, quoted_id, reactions,
		provider_id, origin, status, reason, error_code, error_detail, sent_at, received_at, edited_at, revoked_at, created_at, raw)`, 22, "", "")
	insertReplies = insertInto(`messages (id, conversation, author, type, text, body, media, quoted_id, status, reason, epoch, read_id,
		since, expires_at, created_at, notice, marketing, direction)`, 17, "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'outbound')", "")
	insertEvents   = insertInto(`events (id, conversation, type, seq, created_at, data)`, 6, "", "")
	insertTickets  = insertInto(`tickets (ticket, conversation, area, tag, opened_at)`, 5, "", "")
	insertHandoffs = insertInto(`handoffs (conversation, ticket, from_area, area, tag, note, by, at)`, 8, "", "")
	insertAudit    = insertInto(`audit (conversation, actor, action, detail, at)`, 5, "", "")
	insertTimers   = insertInto(`timers (conversation, kind, due)`, 3, "",
		`ON CONFLICT (conversation, kind) DO UPDATE SET due = CASE kind WHEN 'left' THEN excluded.due ELSE min(due, excluded.due) END`)
	insertRecords = insertInto(`records (id, key, kind, line, line_ref, provider_id, person, reason, detail, received_at, raw)`, 11, "", "")
	insertParked  = insertInto(`parked (provider_id, line, person, status, code, detail, at, expires_at)`, 8, "", `ON CONFLICT DO NOTHING`)
	// moveCursors keeps conversations lagging that have an event above the cursor.
	moveCursors = insertInto(`cursors (endpoint, conversation, seq)`, 3, "",
		`ON CONFLICT (endpoint, conversation) DO UPDATE SET seq = excluded.seq,
			since = CASE WHEN EXISTS (SELECT 1 FROM events e WHERE e.conversation = excluded.conversation AND e.seq > excluded.seq)
				THEN since ELSE 0 END WHERE seq < excluded.seq`)
	// noteLags adds cursors that begin before the first wanted event.
	noteLags = insertInto(`cursors (endpoint, conversation, seq, since)`, 4, "",
		`ON CONFLICT (endpoint, conversation) DO UPDATE SET since = excluded.since`)
	insertLines = insertInto(`lines (line, last_inbound)`, 2, "",
		`ON CONFLICT (line) DO UPDATE SET last_inbound = max(last_inbound, excluded.last_inbound)`)
)

const (
	// updateConversation leaves the contact alone: naming it would rewrite its index.
	updateConversation = `UPDATE conversations SET state = ?, area = ?, tag = ?, menu = ?, epoch = ?, ticket = ?,
		invalid = ?, offered = ?, auto = ?, last_inbound = ?, last_human = ?, timeout_at = ?, to_phone = ?, to_user = ?,
		to_external = ?, seq = ?, last_message_at = ?, created_at = ?, waiting_since = ?, opened = ?, last_area = ?,
		file_at = ?, asked_at = ?, said_at = ?, left_at = ?, left_reason = ?, apologized_for = ? WHERE n = ?`
	// supersede takes back the queued replies of a conversation that was merged.
	supersede = `UPDATE messages SET epoch = -1 WHERE status IN ('queued', 'sending') AND conversation = ? AND author = 'router'`

	updateMessage = `UPDATE messages SET text = ?, reactions = ?, provider_id = ?, status = ?, fate = ?, error_code = ?,
		error_detail = ?, epoch = ?, attempts = ?, token = ?, sent_at = ?, edited_at = ?, revoked_at = ? WHERE n = ?`
)

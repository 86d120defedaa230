package sqlitestore

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/store/unit"
)

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

// texts, pairs and numbers are lists as json_each reads them.
func texts(list []string) string {
	out, err := json.Marshal(list)
	if err != nil {
		return "[]" // strings always marshal
	}
	return string(out)
}

// pairs are lines and ids, each pair once.
func pairs(list []unit.ProviderID) string {
	seen := make(map[unit.ProviderID]bool, len(list))
	rest := make([][2]string, 0, len(list))
	for _, p := range list {
		if !seen[p] {
			seen[p] = true
			rest = append(rest, [2]string{p.Line, p.ID})
		}
	}
	out, err := json.Marshal(rest)
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

const contactColumns = `c.n, c.id, c.phone, c.user_id, c.username, c.name, c.blocked, c.opted_out, c.created_at, c.blocked_here, c.chose_at`

// contactScan takes a contact from its columns.
type contactScan struct {
	unit.ContactRow
	created, chose int64
}

func (c *contactScan) dest() []any {
	return []any{&c.Row, &c.ID, &c.Phone, &c.UserID, &c.Username, &c.Name, &c.Blocked, &c.OptedOut, &c.created, &c.BlockedHere, &c.chose}
}

func (c *contactScan) row() *unit.ContactRow {
	c.CreatedAt, c.ChoseAt = instant(c.created), instant(c.chose)
	return &c.ContactRow
}

const conversationColumns = `t.n, t.id, t.line, t.state, t.area, t.tag, t.menu, t.epoch, t.ticket, t.invalid, t.offered,
	t.auto, t.last_inbound, t.last_human, t.timeout_at, t.to_phone, t.to_user, t.to_external, t.seq, t.last_message_at,
	t.created_at, t.waiting_since, t.opened, t.last_area, t.file_at, t.asked_at, t.said_at, t.left_at, t.left_reason, t.apologized_for,
	(SELECT count(*) FROM messages o WHERE o.conversation = t.n AND o.status IN ('queued', 'sending') AND o.notice = '')`

// conversationScan takes a conversation from its columns.
type conversationScan struct {
	unit.ConversationRow
	auto                                       string
	in, human, timeout, last, created, waiting int64
	file, asked, said, left, apologized        int64
}

func (conv *conversationScan) dest() []any {
	r, to := &conv.Conversation.Conversation, &conv.Contact.Address
	return []any{
		&conv.Row, &conv.ID, &r.Line, &r.State, &r.Area, &r.Tag, &r.Menu, &r.Epoch, &r.Ticket, &r.Invalid, &r.Offered,
		&conv.auto, &conv.in, &conv.human, &conv.timeout, &to.Phone, &to.UserID, &to.ExternalID, &conv.Seq, &conv.last,
		&conv.created, &conv.waiting, &conv.Opened, &conv.LastArea, &conv.file, &conv.asked, &conv.said, &conv.left, &conv.Left.Reason, &conv.apologized, &conv.Unsent,
	}
}

// row finishes the conversation; its ContactRow is still missing.
func (conv *conversationScan) row() *unit.ConversationRow {
	r := &conv.Conversation.Conversation
	r.Auto = readAuto(conv.auto)
	r.LastInbound, r.LastHuman, r.TimeoutAt = instant(conv.in), instant(conv.human), instant(conv.timeout)
	conv.LastMessageAt, conv.CreatedAt, conv.WaitingSince = instant(conv.last), instant(conv.created), instant(conv.waiting)
	r.FileAt, conv.AskedAt, conv.AnsweredAt = instant(conv.file), instant(conv.asked), instant(conv.said)
	conv.Left.Since, conv.ApologizedFor = instant(conv.left), instant(conv.apologized)
	conv.Cursor = cursor(conv.last, conv.Row)
	return &conv.ConversationRow
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

const messageColumns = `m.n, m.id, m.conversation, m.direction, m.author, m.type, m.text, m.body, m.media, m.reply_id,
	m.quoted_id, m.reactions, coalesce(m.provider_id, ''), coalesce(m.origin, ''), m.status, m.reason, m.fate,
	m.error_code, m.error_detail, m.epoch, m.attempts, m.token, m.read_id, m.since, m.expires_at, m.sent_at,
	m.received_at, m.edited_at, m.revoked_at, m.created_at, m.notice <> '', m.marketing`

// scanMessage reads a row; its ConversationRow is still missing.
func scanMessage(rows *sql.Rows, more ...any) (m *unit.MessageRow, conversation int64, err error) {
	m = &unit.MessageRow{}
	var body, media, reactions string
	var since, expires, sent, received, edited, revoked, created int64
	dest := append([]any{
		&m.Row, &m.ID, &conversation, &m.Direction, &m.Author, &m.Type, &m.Text, &body, &media, &m.ReplyID,
		&m.QuotedID, &reactions, &m.ProviderID, &m.DedupKey, &m.Status, &m.Reason, &m.FailureReason,
		&m.ErrorCode, &m.ErrorDetail, &m.Epoch, &m.Attempts, &m.Token, &m.MarkReadID, &since, &expires, &sent,
		&received, &edited, &revoked, &created, &m.Notice, &m.Marketing,
	}, more...)
	if err := rows.Scan(dest...); err != nil {
		return nil, 0, err
	}
	m.PendingSince, m.ExpiresAt, m.SentAt, m.ReceivedAt = instant(since), instant(expires), instant(sent), instant(received)
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
	return m, conversation, nil
}

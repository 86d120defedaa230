package sqlitestore

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/store"
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

// Package sqlrow is what the rows of the engines have in common: the columns of contacts,
// conversations and messages, pages and their cursors, and sweeps over pending rows. T is
// an engine's type of times. It must never run a statement.
package sqlrow

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// ContactColumns are the columns of a Contact, of a table c.
const ContactColumns = `c.n, c.id, c.phone, c.user_id, c.username, c.name, c.blocked, c.opted_out, c.created_at, c.blocked_here, c.chose_at`

// Contact scans the columns of a contact.
type Contact[T any] struct {
	unit.ContactRow
	created, chose T
}

// Dest returns the scan targets.
func (c *Contact[T]) Dest() []any {
	return []any{&c.Row, &c.ID, &c.Phone, &c.UserID, &c.Username, &c.Name, &c.Blocked, &c.OptedOut, &c.created, &c.BlockedHere, &c.chose}
}

// Finish returns the row after the scan.
func (c *Contact[T]) Finish(instant func(T) time.Time) *unit.ContactRow {
	c.CreatedAt, c.ChoseAt = instant(c.created), instant(c.chose)
	return &c.ContactRow
}

// ConversationColumns are the columns of a Conversation, of a table t, but for the last
// one: how many messages wait to be sent, notices aside.
const ConversationColumns = `t.n, t.id, t.contact, t.line, t.state, t.area, t.tag, t.menu, t.epoch, t.ticket, t.invalid, t.offered, t.auto,
	t.last_inbound, t.last_human, t.timeout_at, t.to_phone, t.to_user, t.to_external, t.seq, t.last_message_at, t.created_at,
	t.waiting_since, t.opened, t.last_area, t.file_at, t.asked_at, t.said_at, t.left_at, t.left_reason, t.apologized_for`

// Conversation scans the columns of a conversation.
type Conversation[T any] struct {
	unit.ConversationRow
	ContactKey int64

	auto                                       string
	in, human, timeout, last, created, waiting T
	file, asked, said, left, apologized        T
}

// Dest returns the scan targets.
func (c *Conversation[T]) Dest() []any {
	r, to := &c.Conversation.Conversation, &c.Contact.Address
	return []any{
		&c.Row, &c.ID, &c.ContactKey, &r.Line, &r.State, &r.Area, &r.Tag, &r.Menu, &r.Epoch, &r.Ticket, &r.Invalid, &r.Offered,
		&c.auto, &c.in, &c.human, &c.timeout, &to.Phone, &to.UserID, &to.ExternalID, &c.Seq, &c.last, &c.created,
		&c.waiting, &c.Opened, &c.LastArea, &c.file, &c.asked, &c.said, &c.left, &c.Left.Reason, &c.apologized, &c.Unsent,
	}
}

// Finish returns the row after the scan. The caller sets its ContactRow.
func (c *Conversation[T]) Finish(instant func(T) time.Time) *unit.ConversationRow {
	r := &c.Conversation.Conversation
	r.Auto = readAuto(c.auto)
	r.LastInbound, r.LastHuman, r.TimeoutAt = instant(c.in), instant(c.human), instant(c.timeout)
	c.LastMessageAt, c.CreatedAt, c.WaitingSince = instant(c.last), instant(c.created), instant(c.waiting)
	r.FileAt, c.AskedAt, c.AnsweredAt = instant(c.file), instant(c.asked), instant(c.said)
	c.Left.Since, c.ApologizedFor = instant(c.left), instant(c.apologized)
	c.Cursor = Cursor(c.LastMessageAt, c.Row)
	return &c.ConversationRow
}

// MessageColumns are the columns of a Message, of a table m, but for the last three: body,
// media and reactions as JSON texts.
const MessageColumns = `m.n, m.id, m.conversation, m.direction, m.author, m.type, m.text, m.reply_id, m.quoted_id,
	coalesce(m.provider_id, ''), coalesce(m.origin, ''), m.status, m.reason, m.fate,
	m.error_code, m.error_detail, m.epoch, m.attempts, m.token, m.read_id, m.since, m.expires_at, m.sent_at,
	m.received_at, m.edited_at, m.revoked_at, m.created_at, m.notice <> '', m.marketing`

// Message scans the columns of a message.
type Message[T any] struct {
	unit.MessageRow
	ConversationKey int64

	since, expires, sent, received, edited, revoked, created T
	body, media, reactions                                   []byte
}

// Dest returns the scan targets.
func (m *Message[T]) Dest() []any {
	return []any{
		&m.Row, &m.ID, &m.ConversationKey, &m.Direction, &m.Author, &m.Type, &m.Text, &m.ReplyID, &m.QuotedID,
		&m.ProviderID, &m.DedupKey, &m.Status, &m.Reason, &m.FailureReason,
		&m.ErrorCode, &m.ErrorDetail, &m.Epoch, &m.Attempts, &m.Token, &m.MarkReadID, &m.since, &m.expires, &m.sent,
		&m.received, &m.edited, &m.revoked, &m.created, &m.Notice, &m.Marketing, &m.body, &m.media, &m.reactions,
	}
}

// Finish completes the row after the scan. The caller sets its ConversationRow.
func (m *Message[T]) Finish(instant func(T) time.Time) error {
	m.PendingSince, m.ExpiresAt, m.SentAt, m.ReceivedAt = instant(m.since), instant(m.expires), instant(m.sent), instant(m.received)
	m.EditedAt, m.RevokedAt, m.CreatedAt = instant(m.edited), instant(m.revoked), instant(m.created)
	for _, c := range [...]struct {
		column []byte
		dest   any
	}{{m.body, &m.Body}, {m.media, &m.Media}, {m.reactions, &m.Reactions}} {
		if len(c.column) == 0 {
			continue
		}
		if err := json.Unmarshal(c.column, c.dest); err != nil {
			return fmt.Errorf("message %s: %w", m.ID, err)
		}
	}
	m.body, m.media, m.reactions = nil, nil, nil
	if m.Text == "" && m.Body.Reply != nil {
		m.Text = m.Body.Reply.Text
	}
	return nil
}

// Text returns the column text of a message: a reply's text is in its body.
func Text(m *unit.MessageRow) string {
	if m.Body.Reply != nil {
		return ""
	}
	return m.Text
}

// NoticeLine returns the column notice of a message: a notice's line, an index of notices.
func NoticeLine(m *unit.MessageRow) string {
	if !m.Notice {
		return ""
	}
	return m.ConversationRow.Survivor().Line
}

// BodyJSON returns the column body.
func BodyJSON(b outbound.Body) (string, error) {
	if b.Reply == nil && b.Cloud == nil {
		return "", nil
	}
	out, err := json.Marshal(b)
	return string(out), err
}

// MediaJSON returns the column media.
func MediaJSON(m *store.Media) (string, error) {
	if m == nil {
		return "", nil
	}
	out, err := json.Marshal(m)
	return string(out), err
}

// ReactionsJSON returns the column reactions.
func ReactionsJSON(m *unit.MessageRow) string {
	if len(m.Reactions) == 0 {
		return ""
	}
	out, err := json.Marshal(m.Reactions)
	if err != nil {
		return "" // strings always marshal
	}
	return string(out)
}

// Auto returns the column auto: the times of a conversation's automatic messages.
func Auto(list []int64) string {
	var out []byte
	for i, n := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendInt(out, n, 10)
	}
	return string(out)
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

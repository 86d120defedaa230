package pgstore

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// stamp and instant are how times are kept: zero is NULL.
func stamp(t time.Time) pgtype.Timestamptz {
	return pgtype.Timestamptz{Time: t, Valid: !t.IsZero()}
}

func instant(t pgtype.Timestamptz) time.Time {
	if !t.Valid {
		return time.Time{}
	}
	return t.Time.UTC()
}

// epoch is what a column has for never that can be ordered by.
func epoch() time.Time { return time.Unix(0, 0).UTC() }

func orEpoch(t time.Time) pgtype.Timestamptz {
	if t.IsZero() {
		t = epoch()
	}
	return stamp(t)
}

func fromEpoch(t pgtype.Timestamptz) time.Time {
	if at := instant(t); !at.Equal(epoch()) {
		return at
	}
	return time.Time{}
}

const contactColumns = `c.n, c.id, c.phone, c.user_id, c.username, c.name, c.blocked, c.opted_out, c.created_at, c.blocked_here, c.chose_at`

func scanContact(rows pgx.Rows, more ...any) (*unit.ContactRow, error) {
	c := &unit.ContactRow{}
	var created, chose pgtype.Timestamptz
	dest := append([]any{&c.Row, &c.ID, &c.Phone, &c.UserID, &c.Username, &c.Name, &c.Blocked, &c.OptedOut, &created, &c.BlockedHere, &chose}, more...)
	err := scan(rows, dest...)
	c.CreatedAt, c.ChoseAt = instant(created), instant(chose)
	return c, err
}

const conversationColumns = `t.n, t.id, t.contact, t.line, t.state, t.area, t.tag, t.menu, t.epoch, t.ticket, t.invalid, t.offered, t.auto,
	t.last_inbound, t.last_human, t.timeout_at, t.to_phone, t.to_user, t.to_external, t.seq, t.last_message_at, t.created_at,
	t.waiting_since, t.opened, t.last_area, t.file_at, t.asked_at, t.said_at, t.left_at, t.left_reason, t.apologized_for,
	(SELECT count(*) FROM (SELECT doubt, notice FROM psi_router.pending WHERE conversation = t.n OFFSET 0) o WHERE NOT o.doubt AND o.notice = '')`

// conversationRow is a conversation whose contact is known by its key.
type conversationRow struct {
	unit.ConversationRow
	contact int64
}

func scanConversation(rows pgx.Rows, more ...any) (*conversationRow, error) {
	conv := &conversationRow{}
	r, to := &conv.Conversation.Conversation, &conv.Contact.Address
	var auto string
	var in, human, timeout, last, created, waiting, file, asked, said, left, apologized pgtype.Timestamptz
	dest := append([]any{
		&conv.Row, &conv.ID, &conv.contact, &r.Line, &r.State, &r.Area, &r.Tag, &r.Menu, &r.Epoch, &r.Ticket,
		&r.Invalid, &r.Offered, &auto, &in, &human, &timeout, &to.Phone, &to.UserID, &to.ExternalID, &conv.Seq, &last, &created,
		&waiting, &conv.Opened, &conv.LastArea, &file, &asked, &said, &left, &conv.Left.Reason, &apologized, &conv.Unsent,
	}, more...)
	if err := scan(rows, dest...); err != nil {
		return nil, err
	}
	r.Auto = readAuto(auto)
	r.LastInbound, r.LastHuman, r.TimeoutAt = instant(in), instant(human), instant(timeout)
	conv.LastMessageAt, conv.CreatedAt, conv.WaitingSince = fromEpoch(last), instant(created), instant(waiting)
	r.FileAt, conv.AskedAt, conv.AnsweredAt = instant(file), instant(asked), instant(said)
	conv.Left.Since, conv.ApologizedFor = instant(left), instant(apologized)
	conv.Cursor = cursor(last.Time, conv.Row)
	return conv, nil
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

const messageColumns = `m.n, m.id, m.conversation, m.direction, m.author, m.type, m.text, m.body::text, m.media::text, m.reply_id,
	m.quoted_id, m.reactions::text, coalesce(m.provider_id, ''), coalesce(m.origin, ''), m.status, m.reason, m.fate,
	m.error_code, m.error_detail, m.epoch, m.attempts, m.token, m.read_id, m.since, m.expires_at, m.sent_at,
	m.received_at, m.edited_at, m.revoked_at, m.created_at, m.notice <> '', m.marketing`

// messageRow is a message whose conversation is known by its key.
type messageRow struct {
	unit.MessageRow
	conversation int64
	contact      int64 // 0 where nobody asked
	line         string
	pending      bool // its conversation has something to send
}

func scanMessage(rows pgx.Rows, more ...any) (*messageRow, error) {
	m := &messageRow{}
	var body, media, reactions []byte
	var since, expires, sent, received, edited, revoked, created pgtype.Timestamptz
	dest := append([]any{
		&m.Row, &m.ID, &m.conversation, &m.Direction, &m.Author, &m.Type, &m.Text, &body, &media, &m.ReplyID,
		&m.QuotedID, &reactions, &m.ProviderID, &m.DedupKey, &m.Status, &m.Reason, &m.FailureReason,
		&m.ErrorCode, &m.ErrorDetail, &m.Epoch, &m.Attempts, &m.Token, &m.MarkReadID, &since, &expires, &sent,
		&received, &edited, &revoked, &created, &m.Notice, &m.Marketing,
	}, more...)
	if err := scan(rows, dest...); err != nil {
		return nil, err
	}
	m.PendingSince, m.ExpiresAt, m.SentAt, m.ReceivedAt = instant(since), instant(expires), instant(sent), instant(received)
	m.EditedAt, m.RevokedAt, m.CreatedAt = instant(edited), instant(revoked), instant(created)
	for _, c := range [...]struct {
		column []byte
		dest   any
	}{{body, &m.Body}, {media, &m.Media}, {reactions, &m.Reactions}} {
		if len(c.column) == 0 {
			continue
		}
		if err := json.Unmarshal(c.column, c.dest); err != nil {
			return nil, fmt.Errorf("message %s: %w", m.ID, err)
		}
	}
	if m.Text == "" && m.Body.Reply != nil {
		m.Text = m.Body.Reply.Text
	}
	return m, nil
}

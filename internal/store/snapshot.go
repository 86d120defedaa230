package store

import "time"

// Types of events.
const (
	EventReceived  = "message.received"
	EventSent      = "message.sent"
	EventStatus    = "message.status"
	EventFailed    = "message.failed"
	EventOpened    = "conversation.opened"
	EventUpdated   = "conversation.updated"
	EventHandedOff = "conversation.handed_off"
	EventClosed    = "conversation.closed"
	EventTagged    = "conversation.tagged"
)

// about is what an event says beside its conversation.
type about struct {
	Message *MessageRow
	Handoff *HandoffRow
	Merged  string // id of the conversation that this one was joined with
	From    string // area that it just left
	Label   string // tag that was put on it
}

// event adds what happened to the conversation, as it is at this moment. The
// snapshot has the field names of the API, so that a program reads events and
// answers with one set of types.
func (b *Book) event(t *TalkRow, kind string, a about) {
	t.Seq++
	t.Changed = true
	w := object{buf: make([]byte, 0, 1536)}
	w.open("")
	b.writeTalk(&w, t)
	if a.Message != nil {
		writeMessage(&w, a.Message)
	}
	if a.Handoff != nil {
		writeHandoff(&w, a.Handoff)
	}
	if a.Merged != "" {
		w.text("merged_with", a.Merged)
	}
	if a.From != "" {
		w.text("from_area", a.From)
	}
	if a.Label != "" {
		w.list("tags_added")
		w.text("", a.Label)
		w.end()
	}
	w.close()
	b.Events = append(b.Events, Event{
		ID: b.NewID(), Conversation: t.ID, Type: kind, Seq: t.Seq, Data: w.buf, CreatedAt: b.Now,
	})
}

func (b *Book) writeTalk(w *object, t *TalkRow) {
	w.open("conversation")
	w.text("id", t.ID)
	w.text("line", t.Line)
	w.text("area", t.Area)
	w.text("tag", t.Tag)
	w.text("state", string(t.State))
	w.text("menu", t.Menu)
	w.number("epoch", t.Epoch)
	writeContact(w, &t.Who.Contact)
	w.text("ticket", t.Ticket)
	var until time.Time
	if window := b.window(t.Line); window > 0 && !t.LastInbound.IsZero() {
		until = t.LastInbound.Add(window)
	}
	w.instant("window_expires_at", until)
	w.instant("last_message_at", t.LastMessageAt)
	w.instant("created_at", t.CreatedAt)
	w.close()
}

func writeContact(w *object, c *Contact) {
	w.open("contact")
	w.text("id", c.ID)
	w.text("phone", c.Phone)
	w.text("user_id", c.UserID)
	cut := w.copy("username", c.Username, CopiedName)
	cut = w.copy("name", c.Name, CopiedName) || cut
	w.flag("blocked", c.Blocked)
	w.flag("blocked_here_only", c.BlockedHere)
	w.flag("marketing_opt_out", c.OptedOut)
	w.flag("opted_out", c.OptedOut) // its earlier name
	w.flag("truncated", cut)
	w.close()
}

func writeMessage(w *object, row *MessageRow) {
	m := row.Shown()
	if m.Text == "" && m.Body.Reply != nil {
		m.Text = m.Body.Reply.Text
	}
	w.open("message")
	w.text("id", m.ID)
	w.text("conversation_id", m.Conversation)
	w.text("line", m.Line)
	w.text("direction", m.Direction)
	w.text("author", string(m.Author))
	cut := w.copy("type", m.Type, CopiedName)
	cut = w.copy("text", m.Text, CopiedText) || cut
	if m.Media != nil {
		w.open("media")
		w.text("state", m.Media.State)
		cut = w.copy("mime", m.Media.MIME, CopiedName) || cut
		w.number("size", m.Media.Size)
		cut = w.copy("name", m.Media.Name, CopiedName) || cut
		w.close()
	}
	cut = w.copy("reply_id", m.ReplyID, CopiedName) || cut
	w.text("quoted_id", m.QuotedID)
	w.list("reactions")
	for _, r := range m.Reactions {
		w.open("")
		w.text("author", string(r.Author))
		cut = w.copy("emoji", r.Emoji, CopiedName) || cut
		w.close()
	}
	w.end()
	w.text("provider_id", m.ProviderID)
	w.text("status", string(m.Status))
	w.text("reason", string(m.Reason))
	if m.ErrorCode != 0 || m.ErrorDetail != "" {
		w.open("error")
		w.number("code", int64(m.ErrorCode))
		cut = w.copy("detail", m.ErrorDetail, CopiedText) || cut
		w.close()
	}
	w.instant("sent_at", m.SentAt)
	w.instant("received_at", m.ReceivedAt)
	w.instant("created_at", m.CreatedAt)
	if !m.EditedAt.IsZero() {
		w.instant("edited_at", m.EditedAt)
	}
	if !m.RevokedAt.IsZero() {
		w.instant("revoked_at", m.RevokedAt)
	}
	w.flag("truncated", cut)
	w.close()
}

func writeHandoff(w *object, h *HandoffRow) {
	w.open("handoff")
	w.text("ticket", h.Ticket)
	w.text("from_area", h.FromArea)
	w.text("area", h.Area)
	w.text("tag", h.Tag)
	cut := w.copy("note", h.Note, CopiedText)
	w.text("by", h.By)
	w.flag("truncated", cut)
	w.close()
}

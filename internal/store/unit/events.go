package unit

import (
	"time"

	"github.com/psivisionhub/psi-router/internal/store"
)

// eventDetail is what an event says beside its conversation.
type eventDetail struct {
	Message *MessageRow
	Handoff *store.HandoffRow
	Merged  string // id of the conversation that was merged into this one
	From    string // the previous area
	Label   string // the new tag
}

// addEvent adds an event with the conversation as it is now. The snapshot has the field
// names of the API, so that a program reads events and answers with one set of types.
func (u *Unit) addEvent(conv *ConversationRow, kind string, detail eventDetail) {
	conv.Seq++
	conv.Changed = true
	w := jsonBuilder{buf: make([]byte, 0, 1536)}
	w.open("")
	u.writeConversation(&w, conv)
	if detail.Message != nil {
		writeMessage(&w, detail.Message)
	}
	if detail.Handoff != nil {
		writeHandoff(&w, detail.Handoff)
	}
	if detail.Merged != "" {
		w.text("merged_with", detail.Merged)
	}
	if detail.From != "" {
		w.text("from_area", detail.From)
	}
	if detail.Label != "" {
		w.openList("tags_added")
		w.text("", detail.Label)
		w.closeList()
	}
	w.close()
	u.Events = append(u.Events, store.Event{
		ID: u.NewID(), Conversation: conv.ID, Type: kind, Seq: conv.Seq, Data: w.buf, CreatedAt: u.Now,
	})
}

func (u *Unit) writeConversation(w *jsonBuilder, conv *ConversationRow) {
	w.open("conversation")
	w.text("id", conv.ID)
	w.text("line", conv.Line)
	w.text("area", conv.Area)
	w.text("tag", conv.Tag)
	w.text("state", string(conv.State))
	w.text("menu", conv.Menu)
	w.number("epoch", conv.Epoch)
	writeContact(w, &conv.ContactRow.Contact)
	w.text("ticket", conv.Ticket)
	var until time.Time
	if window := u.window(conv.Line); window > 0 && !conv.LastInbound.IsZero() {
		until = conv.LastInbound.Add(window)
	}
	w.timestamp("window_expires_at", until)
	w.timestamp("last_message_at", conv.LastMessageAt)
	w.timestamp("created_at", conv.CreatedAt)
	w.close()
}

func writeContact(w *jsonBuilder, c *store.Contact) {
	w.open("contact")
	w.text("id", c.ID)
	w.text("phone", c.Phone)
	w.text("user_id", c.UserID)
	cut := w.cutText("username", c.Username, store.MaxCopiedName)
	cut = w.cutText("name", c.Name, store.MaxCopiedName) || cut
	w.flag("blocked", c.Blocked)
	w.flag("blocked_here_only", c.BlockedHere)
	w.flag("marketing_opt_out", c.OptedOut)
	w.flag("opted_out", c.OptedOut) // its earlier name
	w.flag("truncated", cut)
	w.close()
}

func writeMessage(w *jsonBuilder, row *MessageRow) {
	m := row.View()
	if m.Text == "" && m.Body.Reply != nil {
		m.Text = m.Body.Reply.Text
	}
	w.open("message")
	w.text("id", m.ID)
	w.text("conversation_id", m.Conversation)
	w.text("line", m.Line)
	w.text("direction", m.Direction)
	w.text("author", string(m.Author))
	cut := w.cutText("type", m.Type, store.MaxCopiedName)
	cut = w.cutText("text", m.Text, store.MaxCopiedText) || cut
	if m.Media != nil {
		w.open("media")
		w.text("state", m.Media.State)
		cut = w.cutText("mime", m.Media.MIME, store.MaxCopiedName) || cut
		w.number("size", m.Media.Size)
		cut = w.cutText("name", m.Media.Name, store.MaxCopiedName) || cut
		w.close()
	}
	cut = w.cutText("reply_id", m.ReplyID, store.MaxCopiedName) || cut
	w.text("quoted_id", m.QuotedID)
	w.openList("reactions")
	for _, r := range m.Reactions {
		w.open("")
		w.text("author", string(r.Author))
		cut = w.cutText("emoji", r.Emoji, store.MaxCopiedName) || cut
		w.close()
	}
	w.closeList()
	w.text("provider_id", m.ProviderID)
	w.text("status", string(m.Status))
	w.text("reason", string(m.Reason))
	if m.ErrorCode != 0 || m.ErrorDetail != "" {
		w.open("error")
		w.number("code", int64(m.ErrorCode))
		cut = w.cutText("detail", m.ErrorDetail, store.MaxCopiedText) || cut
		w.close()
	}
	w.timestamp("sent_at", m.SentAt)
	w.timestamp("received_at", m.ReceivedAt)
	w.timestamp("created_at", m.CreatedAt)
	if !m.EditedAt.IsZero() {
		w.timestamp("edited_at", m.EditedAt)
	}
	if !m.RevokedAt.IsZero() {
		w.timestamp("revoked_at", m.RevokedAt)
	}
	w.flag("truncated", cut)
	w.close()
}

func writeHandoff(w *jsonBuilder, h *store.HandoffRow) {
	w.open("handoff")
	w.text("ticket", h.Ticket)
	w.text("from_area", h.FromArea)
	w.text("area", h.Area)
	w.text("tag", h.Tag)
	cut := w.cutText("note", h.Note, store.MaxCopiedText)
	w.text("by", h.By)
	w.flag("truncated", cut)
	w.close()
}

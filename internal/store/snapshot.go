package store

import (
	"encoding/json"
	"time"
)

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
)

// about is what an event says beside its conversation.
type about struct {
	Message *MessageRow
	Handoff *HandoffRow
	Merged  string // id of the conversation that this one was joined with
}

// The snapshot is written with the field names of the API, so that a program
// reads events and answers with one set of types.
type snapshot struct {
	Conversation talkJSON     `json:"conversation"`
	Message      *messageJSON `json:"message,omitempty"`
	Handoff      *handoffJSON `json:"handoff,omitempty"`
	Merged       string       `json:"merged_with,omitempty"`
}

type talkJSON struct {
	ID              string      `json:"id"`
	Line            string      `json:"line"`
	Area            string      `json:"area"`
	Tag             string      `json:"tag"`
	State           string      `json:"state"`
	Menu            string      `json:"menu"`
	Epoch           int64       `json:"epoch"`
	Contact         contactJSON `json:"contact"`
	Ticket          string      `json:"ticket"`
	WindowExpiresAt *time.Time  `json:"window_expires_at"`
	LastMessageAt   *time.Time  `json:"last_message_at"`
	CreatedAt       *time.Time  `json:"created_at"`
}

type contactJSON struct {
	ID       string `json:"id"`
	Phone    string `json:"phone"`
	UserID   string `json:"user_id"`
	Username string `json:"username"`
	Name     string `json:"name"`
	Blocked  bool   `json:"blocked,omitempty"`
	OptedOut bool   `json:"opted_out,omitempty"`
}

type mediaJSON struct {
	State string `json:"state"`
	MIME  string `json:"mime"`
	Size  int64  `json:"size"`
	Name  string `json:"name"`
	URL   string `json:"url"`
}

type errorJSON struct {
	Code   int    `json:"code"`
	Detail string `json:"detail"`
}

type messageJSON struct {
	ID           string     `json:"id"`
	Conversation string     `json:"conversation_id"`
	Line         string     `json:"line"`
	Direction    string     `json:"direction"`
	Author       Author     `json:"author"`
	Type         string     `json:"type"`
	Text         string     `json:"text"`
	Media        *mediaJSON `json:"media,omitempty"`
	ReplyID      string     `json:"reply_id"`
	QuotedID     string     `json:"quoted_id"`
	Reactions    []Reaction `json:"reactions"`
	ProviderID   string     `json:"provider_id"`
	Status       Status     `json:"status"`
	Reason       string     `json:"reason"`
	Error        *errorJSON `json:"error,omitempty"`
	SentAt       *time.Time `json:"sent_at"`
	ReceivedAt   *time.Time `json:"received_at"`
	CreatedAt    *time.Time `json:"created_at"`
	EditedAt     *time.Time `json:"edited_at,omitempty"`
	RevokedAt    *time.Time `json:"revoked_at,omitempty"`
}

type handoffJSON struct {
	Ticket   string `json:"ticket"`
	FromArea string `json:"from_area"`
	Area     string `json:"area"`
	Tag      string `json:"tag"`
	Note     string `json:"note"`
	By       string `json:"by"`
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// event adds what happened to the conversation, as it is at this moment.
func (b *Book) event(t *TalkRow, kind string, a about) {
	t.Seq++
	t.Changed = true
	data, err := json.Marshal(b.snapshot(t, a))
	if err != nil { // only strings and numbers: cannot happen
		data = []byte("{}")
	}
	b.Events = append(b.Events, Event{
		ID: b.NewID(), Conversation: t.ID, Type: kind, Seq: t.Seq, Data: data, CreatedAt: b.Now,
	})
}

func (b *Book) snapshot(t *TalkRow, a about) snapshot {
	s := snapshot{Conversation: b.talkJSON(t), Merged: a.Merged}
	if a.Message != nil {
		s.Message = b.messageJSON(a.Message)
	}
	if h := a.Handoff; h != nil {
		s.Handoff = &handoffJSON{Ticket: h.Ticket, FromArea: h.FromArea, Area: h.Area, Tag: h.Tag, Note: h.Note, By: h.By}
	}
	return s
}

func (b *Book) talkJSON(t *TalkRow) talkJSON {
	c := t.Who
	v := talkJSON{
		ID: t.ID, Line: t.Line, Area: t.Area, Tag: t.Tag, State: string(t.State), Menu: t.Menu, Epoch: t.Epoch,
		Contact: contactJSON{
			ID: c.ID, Phone: c.Phone, UserID: c.UserID, Username: c.Username, Name: c.Name,
			Blocked: c.Blocked, OptedOut: c.OptedOut,
		},
		Ticket: t.Ticket, LastMessageAt: when(t.LastMessageAt), CreatedAt: when(t.CreatedAt),
	}
	if w := b.window(t.Line); w > 0 && !t.LastInbound.IsZero() {
		v.WindowExpiresAt = when(t.LastInbound.Add(w))
	}
	return v
}

func (b *Book) messageJSON(row *MessageRow) *messageJSON {
	m := row.Shown()
	v := &messageJSON{
		ID: m.ID, Conversation: m.Conversation, Line: m.Line, Direction: m.Direction, Author: m.Author, Type: m.Type,
		Text: m.Text, ReplyID: m.ReplyID, QuotedID: m.QuotedID, Reactions: m.Reactions, ProviderID: m.ProviderID,
		Status: m.Status, Reason: string(m.Reason), SentAt: when(m.SentAt), ReceivedAt: when(m.ReceivedAt),
		CreatedAt: when(m.CreatedAt), EditedAt: when(m.EditedAt), RevokedAt: when(m.RevokedAt),
	}
	if v.Reactions == nil {
		v.Reactions = []Reaction{}
	}
	if v.Text == "" && m.Body.Reply != nil {
		v.Text = m.Body.Reply.Text
	}
	if m.Media != nil {
		v.Media = &mediaJSON{State: m.Media.State, MIME: m.Media.MIME, Size: m.Media.Size, Name: m.Media.Name}
	}
	if m.ErrorCode != 0 || m.ErrorDetail != "" {
		v.Error = &errorJSON{Code: m.ErrorCode, Detail: m.ErrorDetail}
	}
	return v
}

package api

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/store"
)

// Contact is the person of a conversation.
type Contact struct {
	_        struct{} `additionalProperties:"true"`
	ID       string   `json:"id" example:"01987f3e-5d3c-7c11-b5a5-6f0b8f2d1a01" doc:"Our id of the person."`
	Phone    string   `json:"phone" example:"5491100000001" doc:"Digits as WhatsApp gives them; empty for a person who hides it."`
	UserID   string   `json:"user_id" example:"AR.10000000000000000001" doc:"WhatsApp's business-scoped user id; may be empty."`
	Username string   `json:"username" example:"persona.prueba" doc:"For display only."`
	Name     string   `json:"name" example:"Persona Prueba" doc:"The name of the profile."`
	Blocked  bool     `json:"blocked,omitempty" example:"false" doc:"Nothing that they write is answered, and nothing is sent to them."`
	HereOnly bool     `json:"blocked_here_only,omitempty" example:"false" doc:"WhatsApp did not block them too."`
	NoPromos bool     `json:"marketing_opt_out,omitempty" example:"false" doc:"They want no marketing: templates of that category are refused."`
	OptedOut bool     `json:"opted_out,omitempty" example:"false" doc:"The earlier name of marketing_opt_out."`

	Truncated bool `json:"truncated,omitempty" example:"false" doc:"In lists and events: a name was cut; the conversation itself has it whole."`
}

// Conversation is one person on one line.
type Conversation struct {
	_               struct{}   `additionalProperties:"true"`
	ID              string     `json:"id" example:"01987f3e-5d3c-7c11-b5a5-6f0b8f2d1a02" doc:"Our id; one for each person and line, for ever."`
	Line            string     `json:"line" example:"wsp4" doc:"The line that it came in on, and leaves by."`
	State           string     `json:"state" example:"handed_off" enum:"menu,handed_off,closed,disconnected" doc:"Who has it: the menu, a team, nobody (closed), or people elsewhere with the bot silent (disconnected)."`
	Area            string     `json:"area" example:"admin" doc:"The team that has it; empty while none does."`
	Tag             string     `json:"tag" example:"pagos" doc:"What the person chose."`
	Menu            string     `json:"menu" example:"principal" doc:"The menu that the person is in."`
	Epoch           int64      `json:"epoch" example:"2" doc:"Grows whenever the conversation changes hands; automatic messages of an older epoch are not sent any more."`
	Contact         Contact    `json:"contact" doc:"The person."`
	Ticket          string     `json:"ticket" example:"PSI-2026-000123" doc:"The open ticket; empty without one."`
	WindowExpiresAt *time.Time `json:"window_expires_at" example:"2026-11-25T10:00:00Z" doc:"Until when free messages may be sent; null when the person never wrote, and on lines without a window."`
	LastMessageAt   *time.Time `json:"last_message_at" example:"2026-11-24T10:00:00Z" doc:"When the last message came or went."`
	CreatedAt       *time.Time `json:"created_at" example:"2026-11-24T09:00:00Z" doc:"When the person first wrote on this line."`
	Left            *Left      `json:"left" doc:"Set while the person's last message has no answer, no team has the conversation, and nothing waits to be sent; null once that message is seven days old; not in events."`
}

// Left is why and since when a person has no answer.
type Left struct {
	_      struct{}  `additionalProperties:"true"`
	Reason string    `json:"reason" example:"stale" doc:"Why there is no answer; see /reasons."`
	Since  time.Time `json:"since" example:"2026-11-24T10:00:00Z" doc:"Since when no answer is to come."`
}

// Media is the file of a message.
type Media struct {
	_     struct{} `additionalProperties:"true"`
	State string   `json:"state" example:"ready" doc:"pending, ready or failed."`
	MIME  string   `json:"mime" example:"image/jpeg" doc:"Its type."`
	Size  int64    `json:"size" example:"48213" doc:"Bytes; 0 while unknown."`
	Name  string   `json:"name" example:"comprobante.jpg" doc:"The sender's name for it."`
	URL   string   `json:"url" example:"" doc:"Where it can be fetched; empty where it cannot yet."`
}

// Reaction is an emoji on a message.
type Reaction struct {
	_      struct{} `additionalProperties:"true"`
	Author string   `json:"author" example:"contact" doc:"Who reacted."`
	Emoji  string   `json:"emoji" example:"👍" doc:"The emoji."`
}

// MessageError is why a message failed.
type MessageError struct {
	_      struct{} `additionalProperties:"true"`
	Code   int      `json:"code" example:"131047" doc:"WhatsApp's code; 0 for our own refusals."`
	Detail string   `json:"detail" example:"Re-engagement message" doc:"In words."`
}

// Message is one message of a conversation.
type Message struct {
	_            struct{}      `additionalProperties:"true"`
	ID           string        `json:"id" example:"01987f3e-5d3c-7c11-b5a5-6f0b8f2d1a03" doc:"Our id."`
	Conversation string        `json:"conversation_id" example:"01987f3e-5d3c-7c11-b5a5-6f0b8f2d1a02" doc:"Its conversation."`
	Line         string        `json:"line" example:"wsp4" doc:"Its line."`
	Direction    string        `json:"direction" example:"inbound" enum:"inbound,outbound" doc:"From the person, or to them."`
	Author       string        `json:"author" example:"contact" enum:"contact,router,agent,program,phone,system" doc:"Who wrote it; program is a notice (takeover: false), phone is our side's WhatsApp app."`
	Type         string        `json:"type" example:"text" doc:"WhatsApp's word: text, image, interactive…"`
	Text         string        `json:"text" example:"hola" doc:"What a person reads: body, caption, or title of what was tapped."`
	Media        *Media        `json:"media,omitempty" doc:"Its file, when it has one."`
	ReplyID      string        `json:"reply_id" example:"" doc:"Id of the tapped button or row."`
	QuotedID     string        `json:"quoted_id" example:"" doc:"WhatsApp's id of the message that it answers."`
	Reactions    []Reaction    `json:"reactions" nullable:"false" doc:"Emojis on it."`
	ProviderID   string        `json:"provider_id" example:"wamid.HBgNNTQ5MTE=" doc:"WhatsApp's id."`
	Status       string        `json:"status" example:"received" enum:"received,queued,sending,sent,delivered,read,played,failed,uncertain" doc:"How far it got. uncertain: it may have been sent, and is not repeated."`
	Reason       string        `json:"reason" example:"first_contact" doc:"Why it was answered, or not; see /reasons."`
	Error        *MessageError `json:"error,omitempty" doc:"Why it failed, when it did."`
	SentAt       *time.Time    `json:"sent_at" example:"2026-11-24T10:00:00Z" doc:"When it was sent, by WhatsApp's clock."`
	ReceivedAt   *time.Time    `json:"received_at" example:"2026-11-24T10:00:01Z" doc:"When it reached us; null for what we sent."`
	CreatedAt    *time.Time    `json:"created_at" example:"2026-11-24T10:00:01Z" doc:"When it was stored."`
	EditedAt     *time.Time    `json:"edited_at,omitempty" example:"2026-11-24T10:02:00Z" doc:"When its author changed it: the text is the new one."`
	RevokedAt    *time.Time    `json:"revoked_at,omitempty" example:"2026-11-24T10:03:00Z" doc:"When its author took it back; it is kept."`
	Truncated    bool          `json:"truncated,omitempty" example:"false" doc:"In lists and events: a text or name was cut; GET /trace/{id} of the message has it whole."`
}

// shortened is the message as lists show it: long texts are cut.
func (m Message) shortened() Message {
	cut := func(text *string, most int) {
		short, more := inbound.Truncate(*text, most)
		*text, m.Truncated = short, m.Truncated || more
	}
	cut(&m.Text, store.MaxCopiedText)
	cut(&m.Type, store.MaxCopiedName)
	cut(&m.ReplyID, store.MaxCopiedName)
	if m.Media != nil {
		media := *m.Media
		cut(&media.MIME, store.MaxCopiedName)
		cut(&media.Name, store.MaxCopiedName)
		m.Media = &media
	}
	m.Reactions = slices.Clone(m.Reactions)
	for i := range m.Reactions {
		cut(&m.Reactions[i].Emoji, store.MaxCopiedName)
	}
	if m.Error != nil {
		failure := *m.Error
		cut(&failure.Detail, store.MaxCopiedText)
		m.Error = &failure
	}
	return m
}

// shortened is the conversation as lists show it.
func (c Conversation) shortened() Conversation {
	for _, name := range []*string{&c.Contact.Name, &c.Contact.Username} {
		short, more := inbound.Truncate(*name, store.MaxCopiedName)
		*name, c.Contact.Truncated = short, c.Contact.Truncated || more
	}
	return c
}

func timePtr(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// jsonOrText returns data as JSON where it is JSON: one bad row must not break a page.
func jsonOrText(data []byte) any {
	if json.Valid(data) {
		return json.RawMessage(data)
	}
	return string(data)
}

func contactView(c store.Conversation) Contact {
	p := c.Contact
	return Contact{
		ID: p.ID, Phone: p.Phone, UserID: p.UserID, Username: p.Username, Name: p.Name,
		Blocked: p.Blocked, HereOnly: p.BlockedHere, NoPromos: p.OptedOut, OptedOut: p.OptedOut,
	}
}

func (s *server) conversationView(c store.Conversation) Conversation {
	v := Conversation{
		ID: c.ID, Line: c.Line, State: string(c.State), Area: c.Area, Tag: c.Tag, Menu: c.Menu,
		Epoch: c.Epoch, Ticket: c.Ticket,
		Contact:       contactView(c),
		LastMessageAt: timePtr(c.LastMessageAt), CreatedAt: timePtr(c.CreatedAt),
	}
	if left := c.Left.At(s.opts.Now()); !left.Since.IsZero() {
		v.Left = &Left{Reason: string(left.Reason), Since: left.Since.UTC()}
	}
	if !c.LastInbound.IsZero() && s.opts.Window > 0 && !slices.Contains(s.opts.Windowless, c.Line) {
		v.WindowExpiresAt = timePtr(c.LastInbound.Add(s.opts.Window))
	}
	return v
}

func messageView(m store.Message) Message {
	v := Message{
		ID: m.ID, Conversation: m.Conversation, Line: m.Line, Direction: m.Direction,
		Author: string(m.Author), Type: m.Type, Text: m.Text, ReplyID: m.ReplyID, QuotedID: m.QuotedID,
		Reactions: make([]Reaction, len(m.Reactions)), ProviderID: m.ProviderID,
		Status: string(m.Status), Reason: string(m.Reason),
		SentAt: timePtr(m.SentAt), ReceivedAt: timePtr(m.ReceivedAt), CreatedAt: timePtr(m.CreatedAt),
		EditedAt: timePtr(m.EditedAt), RevokedAt: timePtr(m.RevokedAt),
	}
	for i, r := range m.Reactions {
		v.Reactions[i] = Reaction{Author: string(r.Author), Emoji: r.Emoji}
	}
	if v.Text == "" && m.Body.Reply != nil {
		v.Text = m.Body.Reply.Text
	}
	if m.Media != nil {
		v.Media = &Media{State: m.Media.State, MIME: m.Media.MIME, Size: m.Media.Size, Name: m.Media.Name}
		if m.Direction == "outbound" { // an inbound link needs the provider's token and expires in minutes
			v.Media.URL = m.Media.URL
		}
	}
	if m.ErrorCode != 0 || m.ErrorDetail != "" {
		v.Error = &MessageError{Code: m.ErrorCode, Detail: m.ErrorDetail}
	}
	return v
}

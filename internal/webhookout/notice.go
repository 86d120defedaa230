package webhookout

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	"github.com/psivisionhub/psi-router/internal/store"
)

// inboxNotice is the body that the previous router sent to n8n workflows: about an inbound
// message or a hand-off.
type inboxNotice struct {
	Conversation string  `json:"conversacion_id"`
	Phone        string  `json:"telefono"`
	Message      string  `json:"mensaje"`
	Area         string  `json:"area"`
	Kind         string  `json:"tipo"` // derivacion, mensaje_proxy, mensaje_normal
	Timestamp    string  `json:"timestamp"`
	Ticket       *string `json:"ticket_id"`
	Handoff      *string `json:"derivacion_id"`
	Metadata     struct {
		Source string `json:"source"`
		Proxy  bool   `json:"proxy_activo"`
		Event  string `json:"event_id"` // the same on every delivery
		Seq    int64  `json:"seq"`
		Line   string `json:"line"`
	} `json:"metadata"`
}

// NoticeTypes returns the types of events that have a notice.
func NoticeTypes() []string { return []string{store.EventReceived, store.EventHandedOff} }

// placeholders replace the text of messages without one.
var placeholders = map[string]string{
	"image": "[Imagen]", "audio": "[Audio]", "voice": "[Audio]", "video": "[Video]", "document": "[Documento]", "sticker": "[Sticker]",
}

func notice(e store.Event) ([]byte, error) {
	var data struct {
		Conversation struct {
			ID, Line, Area, State, Ticket string
			Contact                       struct {
				ID     string
				Phone  string
				UserID string `json:"user_id"`
			}
		}
		Message *struct {
			Type, Text string
			Media      *struct{}
		}
		Handoff *struct{ Ticket, Area, Tag, Note string }
	}
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	conversation := data.Conversation
	n := inboxNotice{
		Conversation: cmp.Or(conversation.ID, e.Conversation), Area: conversation.Area, Kind: "mensaje_normal",
		Phone:     cmp.Or(conversation.Contact.Phone, conversation.Contact.UserID, conversation.Contact.ID),
		Timestamp: e.CreatedAt.UTC().Format(time.RFC3339Nano),
	}
	n.Metadata.Source, n.Metadata.Event, n.Metadata.Seq, n.Metadata.Line = "psi-router", e.ID, e.Seq, conversation.Line
	// The old router called it proxy when people answer instead of the bot.
	n.Metadata.Proxy = conversation.State == "handed_off" || conversation.State == "disconnected"
	ticket := conversation.Ticket
	if m := data.Message; m != nil {
		n.Message = m.Text
		if n.Message == "" {
			if n.Message = placeholders[m.Type]; n.Message == "" && m.Media != nil {
				n.Message = "[Multimedia]"
			}
		}
	}
	switch {
	case e.Type == store.EventHandedOff:
		n.Kind, n.Handoff = "derivacion", &e.ID
		if h := data.Handoff; h != nil {
			ticket = cmp.Or(h.Ticket, ticket)
			n.Area = cmp.Or(h.Area, n.Area)
			n.Message = cmp.Or(n.Message, h.Note, h.Tag)
		}
	case n.Metadata.Proxy:
		n.Kind = "mensaje_proxy"
	}
	if ticket != "" {
		n.Ticket = &ticket
	}
	return encode(n)
}

package whatsapp

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/limits"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
	"github.com/psivisionhub/psi-router/internal/router"
)

// maxOpaque is the longest biz_opaque_callback_data, in UTF-16 units.
const maxOpaque = 512

const defaultListButton = "Ver opciones"

// message is the body of POST /{number}/messages.
type message struct {
	Product       string       `json:"messaging_product"`
	RecipientType string       `json:"recipient_type"`
	To            string       `json:"to,omitempty"`
	Recipient     string       `json:"recipient,omitempty"`
	Context       *quote       `json:"context,omitempty"`
	Type          string       `json:"type"`
	Text          *textBody    `json:"text,omitempty"`
	Interactive   *interactive `json:"interactive,omitempty"`
	Opaque        string       `json:"biz_opaque_callback_data,omitempty"`
}

type quote struct {
	MessageID string `json:"message_id"`
}

type textBody struct {
	PreviewURL bool   `json:"preview_url"`
	Body       string `json:"body"`
}

type interactive struct {
	Type   string  `json:"type"`
	Body   phrase  `json:"body"`
	Footer *phrase `json:"footer,omitempty"`
	Action action  `json:"action"`
}

type phrase struct {
	Text string `json:"text"`
}

type action struct {
	Button   string    `json:"button,omitempty"`
	Sections []section `json:"sections,omitempty"`
	Buttons  []button  `json:"buttons,omitempty"`
}

type section struct {
	Rows []row `json:"rows"`
}

type row struct {
	ID          string `json:"id"`
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
}

type button struct {
	Type  string `json:"type"`
	Reply row    `json:"reply"`
}

func compose(p outbound.Post) ([]byte, error) {
	m := message{Product: "whatsapp", RecipientType: "individual"}
	switch {
	case p.To.Phone != "": // WhatsApp prefers it too
		m.To = "+" + strings.TrimPrefix(p.To.Phone, "+")
	case p.To.UserID != "":
		m.Recipient = p.To.UserID
	default:
		return nil, errors.New("the person has neither a phone nor a user id")
	}
	if p.QuotedID != "" {
		m.Context = &quote{p.QuotedID}
	}
	if limits.Units(p.ID) <= maxOpaque {
		m.Opaque = p.ID
	}
	if p.Body.Reply == nil {
		return composeCloud(m, p.Body.Cloud)
	}
	r := *p.Body.Reply
	if m.Interactive = menu(r); m.Interactive != nil {
		m.Type = "interactive"
	} else {
		m.Type, m.Text = "text", &textBody{Body: clip(r.Plain(), limits.Text)}
		if strings.TrimSpace(m.Text.Body) == "" {
			return nil, errors.New("the text is empty")
		}
	}
	return json.Marshal(m)
}

// composeCloud puts a body in the Cloud API's own shape into the envelope. The body
// cannot choose the recipient or the quoted message.
func composeCloud(m message, body json.RawMessage) ([]byte, error) {
	v, ok := rawjson.Parse(body)
	kind := v.Get("type").Text()
	if !ok || !v.IsObject() || kind == "" || !v.Get(kind).Exists() {
		return nil, errors.New(`the body needs a type and an object of that name: {"type":"text","text":{"body":"…"}}`)
	}
	if m.Type = kind; kind == "reaction" {
		m.Context = nil // WhatsApp refuses it
	}
	head, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("compose: %w", err)
	}
	out := head[:len(head)-1]
	for key, member := range v.Members() {
		switch key {
		case "messaging_product", "recipient_type", "to", "recipient", "context", "type", "biz_opaque_callback_data",
			"status", "message_id", "typing_indicator":
			continue
		}
		name, err := json.Marshal(key)
		if err != nil {
			return nil, fmt.Errorf("compose: %w", err)
		}
		out = append(append(append(append(out, ','), name...), ':'), member...)
	}
	return append(out, '}'), nil
}

// menu shows a reply as list or buttons. It returns nil if the reply fits neither: then
// the options go as text, as a refused list would reach nobody.
func menu(r router.Reply) *interactive {
	if len(r.Options) == 0 || r.Style == flow.StyleText || r.Style == "" || limits.Units(r.Text) > limits.Body || strings.TrimSpace(r.Text) == "" {
		return nil
	}
	i := &interactive{Body: phrase{r.Text}}
	if r.Footer != "" {
		i.Footer = &phrase{clip(line(r.Footer), limits.Footer)}
	}
	if r.Style == flow.StyleButtons {
		if buttons := buttonsOf(r.Options); buttons != nil {
			i.Type, i.Action.Buttons = "button", buttons
			return i
		}
	}
	rows := rowsOf(r.Options)
	if rows == nil {
		return nil
	}
	label := line(r.Button)
	label = cmp.Or(label, defaultListButton)
	i.Type = "list"
	i.Action = action{Button: clip(label, limits.ListButton), Sections: []section{{rows}}}
	return i
}

// buttonsOf returns nil if WhatsApp would refuse the buttons: more than three, or the
// same id or title twice.
func buttonsOf(options []router.Option) []button {
	var buttons []button
	seen := map[string]bool{}
	for _, o := range options {
		title := clip(titleOf(o), limits.ButtonTitle)
		if !fitsID(o.ID, limits.ButtonID) || title == "" || seen["id "+o.ID] || seen["title "+title] {
			return nil
		}
		seen["id "+o.ID], seen["title "+title] = true, true
		buttons = append(buttons, button{Type: "reply", Reply: row{ID: o.ID, Title: title}})
	}
	if len(buttons) > limits.Buttons {
		return nil
	}
	return buttons
}

// rowsOf returns nil if WhatsApp would refuse the rows: more than ten, or the same id twice.
func rowsOf(options []router.Option) []row {
	var rows []row
	seen := map[string]bool{}
	for _, o := range options {
		title := clip(titleOf(o), limits.RowTitle)
		if !fitsID(o.ID, limits.RowID) || title == "" || seen[o.ID] {
			return nil
		}
		seen[o.ID] = true
		rows = append(rows, row{ID: o.ID, Title: title, Description: clip(line(o.Row()), limits.RowDescription)})
	}
	if len(rows) > limits.Rows {
		return nil
	}
	return rows
}

func titleOf(o router.Option) string {
	return cmp.Or(line(o.Title), line(o.Code))
}

func fitsID(id string, limit int) bool {
	return id != "" && limits.Units(id) <= limit && strings.TrimSpace(id) == id
}

func line(s string) string { return strings.Join(strings.Fields(s), " ") }

// clip shortens a text to at most limit UTF-16 units, ellipsis included.
func clip(s string, limit int) string {
	if limits.Units(s) <= limit {
		return s
	}
	used := 1 // the ellipsis
	for i, r := range s {
		if used += max(1, utf16.RuneLen(r)); used > limit {
			return strings.TrimRight(s[:i], " \n\u200d") + "…"
		}
	}
	return s
}

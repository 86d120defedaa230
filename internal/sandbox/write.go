package sandbox

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"time"
	"unicode/utf8"
)

// Input is an action of a person on their phone.
type Input struct {
	// Type is text, reply, reaction, media, location, contact, poll (which WhatsApp
	// delivers as unsupported) or number (the person changes their number).
	Type string `json:"type"`
	Text string `json:"text,omitempty"` // or the caption of media
	// Quoted is the message that is quoted, tapped or reacted to.
	Quoted string `json:"quoted,omitempty"`
	// Reply is the id of the tapped row or button of Quoted.
	Reply string `json:"reply,omitempty"`
	Emoji string `json:"emoji,omitempty"`
	// Sample names a sample file to send: image, audio, document or sticker.
	Sample string `json:"sample,omitempty"`
	// AgeSeconds is how late WhatsApp delivers it.
	AgeSeconds int `json:"age_seconds,omitempty"`
	// Repeat makes WhatsApp deliver it twice.
	Repeat bool `json:"repeat,omitempty"`
	// File is a file of the person's own.
	File *Upload `json:"-"`
	root string  // for the URL of media
}

// Upload is a file that a person sends.
type Upload struct {
	Name, MIME string
	Data       []byte
	Voice      bool
}

// ErrUnknown means that there is no such phone, message or option.
var ErrUnknown = errors.New("not found")

var (
	errEmpty = errors.New("no hay nada para mandar")
	errType  = errors.New("tipo de mensaje desconocido")
)

const maxTyped = 65_536 // the longest text that WhatsApp lets a person type

// Write makes somebody of the cast (by id, phone or user id) do something. It
// returns the message as it is on their phone; the webhook follows from Run.
func (a *phones) Write(ref string, in Input) (Message, error) {
	now := a.opt.Now()
	sentAt := now.Add(-time.Duration(max(0, in.AgeSeconds)) * time.Second)
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.findPhone(ref)
	if p == nil {
		return Message{}, ErrUnknown
	}
	m := &Message{ID: wamid(cmp.Or(p.Phone, "0"), true), From: fromPerson, Quoted: in.Quoted, At: sentAt.UnixMilli(), Tick: statusSent}
	extra, err := a.compose(p, in, m)
	if err != nil {
		return Message{}, err
	}
	sender := p.Person
	wire := wireMessage{From: sender.Phone, FromUserID: sender.UserID, ID: m.ID, Timestamp: seconds(sentAt), Type: m.Type}
	if in.Quoted != "" && m.Type != "reaction" {
		wire.Context = &wireContext{From: a.opt.DisplayNumber, ID: in.Quoted}
		if quoted := p.byID[in.Quoted]; quoted != nil && quoted.From == fromPerson {
			wire.Context.From = sender.Phone
		}
	}
	event := &webhookEvent{due: time.Now(), lane: p.ID, contact: contactOf(sender), id: m.ID, repeat: in.Repeat}
	if m.Type == "system" { // comes without contacts, from the old number
		event.contact = nil
		wire.FromUserID = ""
	}
	body := map[string]any{m.Type: m.Body}
	maps.Copy(body, extra)
	event.message = wire.withBody(body)
	if err := a.out.add(event); err != nil {
		return Message{}, err
	}
	if p.used = now; sentAt.After(p.lastWrote) {
		p.lastWrote = sentAt
	}
	if fault, times := faultInText(in.Text); fault != nil && !a.opt.NoFaults {
		p.nextFault, p.faultSends = fault, times
	}
	if m.Type == "reaction" {
		a.applyReaction(p, fromPerson, in.Quoted, in.Emoji)
		return *m, nil
	}
	if m.Type == "system" {
		a.renumber(p)
	}
	p.add(m)
	a.hub.broadcast("message", map[string]any{"phone": p.view(), "message": m})
	return *m, nil
}

// compose fills type and body; extra are fields of the message beside them.
func (a *phones) compose(p *phone, in Input, m *Message) (extra map[string]any, err error) {
	m.Type = in.Type
	switch in.Type {
	case "text":
		if strings.TrimSpace(in.Text) == "" || utf8.RuneCountInString(in.Text) > maxTyped {
			return nil, errEmpty
		}
		m.Body = map[string]string{"body": in.Text}
	case "reply":
		return nil, composeReply(p.byID[in.Quoted], in.Reply, m)
	case "reaction":
		if p.byID[in.Quoted] == nil {
			return nil, ErrUnknown
		}
		reaction := map[string]string{"message_id": in.Quoted}
		if in.Emoji != "" {
			reaction["emoji"] = in.Emoji
		}
		m.Body = reaction
	case "media":
		return nil, a.attachFile(in, m)
	case "location":
		m.Body = map[string]any{"latitude": -34.6037, "longitude": -58.3816, "name": "Obelisco", "address": "Av. 9 de Julio, CABA"}
	case "contact":
		m.Type = "contacts"
		card := map[string]any{"phones": []any{map[string]string{"phone": "+" + cmp.Or(p.Phone, "5491155550003"), "wa_id": cmp.Or(p.Phone, "5491155550003"), "type": "CELL"}}}
		if in.Quoted != "" { // the answer to a request for the number
			card["origin"] = "contact_request"
		} else {
			card["name"] = map[string]string{"formatted_name": p.Name, "first_name": p.Name}
		}
		m.Body = []any{card}
	case "poll":
		m.Type = "unsupported"
		m.Body = map[string]string{"type": "poll_creation"}
		extra = map[string]any{"errors": []wireError{{
			Code: 131051, Title: "Message type unknown", Message: "Message type unknown",
			ErrorData: map[string]string{"details": "Message type is currently not supported."},
		}}}
	case "number":
		if p.Phone == "" {
			return nil, errType
		}
		m.Type = "system"
		next := renumbered(p.Person)
		m.Body = map[string]string{
			"body": "User " + p.Name + " changed from " + p.Phone + " to " + next.Phone,
			"type": "user_changed_number", "wa_id": next.Phone, "user_id": next.UserID, "previous_user_id": p.UserID,
		}
	default:
		return nil, errType
	}
	return extra, nil
}

// composeReply makes the reply to a tap on a row, a button or a template's button.
func composeReply(quoted *Message, reply string, m *Message) error {
	if quoted == nil || quoted.From != fromBusiness {
		return ErrUnknown
	}
	body, _ := quoted.Body.(json.RawMessage)
	m.Type = "interactive"
	switch quoted.Type {
	case "interactive":
		var i interactive
		if json.Unmarshal(body, &i) != nil {
			return ErrUnknown
		}
		for _, b := range i.Action.Buttons {
			if b.Reply.ID == reply {
				m.Body = map[string]any{"type": "button_reply", "button_reply": map[string]string{"id": reply, "title": b.Reply.Title}}
				return nil
			}
		}
		for _, section := range i.Action.Sections {
			for _, row := range section.Rows {
				if row.ID != reply {
					continue
				}
				answer := map[string]string{"id": reply, "title": row.Title}
				if row.Description != "" {
					answer["description"] = row.Description
				}
				m.Body = map[string]any{"type": "list_reply", "list_reply": answer}
				return nil
			}
		}
	case "template":
		var t struct {
			Components []struct {
				SubType    string `json:"sub_type"`
				Parameters []struct{ Payload string }
			}
		}
		if json.Unmarshal(body, &t) != nil {
			return ErrUnknown
		}
		for _, c := range t.Components {
			if c.SubType == "quick_reply" && len(c.Parameters) > 0 && c.Parameters[0].Payload == reply {
				m.Type = "button"
				m.Body = map[string]string{"payload": reply, "text": reply}
				return nil
			}
		}
	}
	return ErrUnknown
}

func (a *phones) attachFile(in Input, m *Message) error {
	up := in.File
	if up == nil {
		sample, err := sample(in.Sample)
		if err != nil {
			return err
		}
		up = &sample
	}
	f := a.media.put(up.Name, up.MIME, up.Data, a.opt.Now().Add(keepFromWA))
	media := a.media.inbound(f, in.root, a.opt.Now())
	major, _, _ := strings.Cut(up.MIME, "/")
	switch major {
	case "image", "audio", "video":
		m.Type = major
	default:
		m.Type = "document"
	}
	if in.Sample == "sticker" {
		m.Type = "sticker"
		media["animated"] = false
	}
	switch m.Type {
	case "audio":
		media["voice"] = up.Voice
	case "document":
		media["filename"] = up.Name
	}
	if in.Text != "" && m.Type != "audio" && m.Type != "sticker" {
		media["caption"] = in.Text
	}
	m.Body = media
	return nil
}

// applyReaction shows a reaction under its message. The lock is held.
func (a *phones) applyReaction(p *phone, from, target, emoji string) {
	m := p.byID[target]
	if m == nil {
		return
	}
	if m.Reactions == nil {
		m.Reactions = map[string]string{}
	}
	if m.Reactions[from] = emoji; emoji == "" {
		delete(m.Reactions, from)
	}
	a.hub.broadcast("message", map[string]any{"phone": p.view(), "message": m})
}

// renumbered returns the person with another number and, as WhatsApp does, another user id.
func renumbered(p Person) Person {
	next := []byte(p.Phone)
	for i := len(next) - 4; i >= 0; i-- { // add one thousand, to avoid neighbouring numbers
		if next[i]++; next[i] <= '9' {
			break
		}
		next[i] = '0'
	}
	p.Phone = string(next)
	if p.UserID != "" {
		p.UserID += "7"
	}
	return p
}

func (a *phones) renumber(p *phone) {
	delete(a.byRef, canonical(p.Phone))
	delete(a.byRef, p.UserID)
	p.Person = renumbered(p.Person)
	a.addRefs(p)
}

// findPhone finds a phone by id, number or user id. The lock is held.
func (a *phones) findPhone(ref string) *phone {
	if p := a.byID[ref]; p != nil {
		return p
	}
	if p := a.byRef[ref]; p != nil {
		return p
	}
	if digits := digitsOnly(ref); digits != "" {
		return a.byRef[canonical(digits)]
	}
	return nil
}

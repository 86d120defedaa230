package whatsapp

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// message reads one element of messages or message_echoes.
func (d *decoder) message(m rawjson.Value, kind inbound.Kind) {
	if !m.IsObject() {
		d.broken(m)
		return
	}
	contact := readSender
	if kind == inbound.Echo {
		contact = readAddressee
	}
	a := inbound.Arrival{
		Kind:     kind,
		ID:       m.Get("id").Text(),
		LineRef:  d.lineRef,
		Provider: Provider,
		Shape:    d.shape,
		Person:   d.person(contact(m)),
		SentAt:   m.Get("timestamp").Time(),
		Raw:      json.RawMessage(m),
	}
	if !usable(a.ID) {
		a.ID = ""
		if !a.SentAt.IsZero() {
			a.ID = contentID(m)
		}
	}
	content := readContent(m)
	if kind == inbound.Message && content.Type == "system" {
		if change, ok := readChange(m, a.Person); ok {
			a.Kind, a.Change = inbound.Identity, &change
			change.From.Name = cmp.Or(change.From.Name, a.Person.Name)
			a.Person = change.From // so it queues in the old identity's lane
			d.batch.Add(a)
			return
		}
	}
	if content.Group != "" {
		a.Quarantine = "group"
	}
	if a.Person.IsZero() && content.Group == "" {
		d.broken(m)
		return
	}
	a.Content = &content
	d.batch.Add(a)
}

// readContent reads the content of a message. An unknown type is kept as it came.
func readContent(m rawjson.Value) inbound.Content {
	var c inbound.Content
	for key, member := range m.Members() {
		switch key {
		case "type":
			c.Type = member.Text()
		case "group_id":
			c.Group = member.Text()
		case "referral":
			if member.IsObject() {
				c.Referral = json.RawMessage(member)
			}
		case "context":
			c.QuotedID = member.Get("id").Text()
			c.QuotedID = cmp.Or(c.QuotedID, member.Get("message_id").Text())
			if ad := member.Get("referral"); ad.IsObject() && c.Referral == nil {
				c.Referral = json.RawMessage(ad)
			}
		case "errors":
			c.Error = int(member.First().Get("code").Int())
		}
	}
	if c.Type == "" {
		c.Type = inferType(m)
	}
	if inner := m.Get("unsupported", "type").Text(); c.Type == "unsupported" && gestures[inner] {
		c.Type = inner
	}
	if typed[c.Type] {
		fill(&c, m.Get(c.Type))
	}
	if c.Type == "voice" { // the old name of audio with voice:true
		c.Type = "audio"
		if c.Media != nil {
			c.Media.Voice = true
		}
	}
	if c.Type == "" {
		c.Type = "unknown"
	}
	return c
}

// gestures are the things people do to an existing message. WhatsApp delivers them as
// unsupported, without content; they say nothing that deserves an answer.
var gestures = map[string]bool{"edit": true, "reaction": true, "pin": true, "keep_in_chat": true, "poll_update": true}

// inferType finds the type of a message whose type field a forwarder removed.
func inferType(m rawjson.Value) string {
	for key := range m.Members() {
		if typed[key] {
			return key
		}
	}
	return ""
}

// typed lists the types whose object we read. Any other is kept as it came.
var typed = map[string]bool{
	"text": true, "image": true, "video": true, "audio": true, "voice": true, "document": true,
	"sticker": true, "location": true, "contacts": true, "interactive": true, "button": true,
	"reaction": true, "order": true, "edit": true, "revoke": true, "system": true,
}

// fill reads the object that is named after the content's type.
func fill(c *inbound.Content, body rawjson.Value) {
	switch c.Type {
	case "text":
		c.Text = cmp.Or(body.Get("body").Text(), body.Text())
	case "image", "video", "audio", "voice", "document", "sticker":
		readMedia(c, body)
	case "location":
		c.Text = inbound.PlaceText(body.Get("latitude").Text(), body.Get("longitude").Text(), body.Get("name").Text(), body.Get("address").Text())
	case "contacts":
		c.Text = readCards(body)
	case "interactive":
		for key, reply := range body.Members() {
			switch key {
			case "button_reply", "list_reply":
				c.Text, c.ReplyID = reply.Get("title").Text(), reply.Get("id").Text()
			case "nfm_reply":
				c.Text, c.Form = inbound.FormText(reply.Get("body").Text(), reply.Get("response_json")), true
			case "call_permission_reply":
				c.Text, c.Form = reply.Get("response").Text(), true
			}
		}
	case "button":
		c.Text, c.ReplyID = body.Get("text").Text(), body.Get("payload").Text()
	case "reaction":
		c.TargetID, c.Emoji = body.Get("message_id").Text(), body.Get("emoji").Text()
	case "order":
		c.Text = body.Get("text").Text()
	case "edit":
		c.TargetID = body.Get("original_message_id").Text()
		if inner := body.Get("message"); inner.IsObject() && !inner.Get("edit").Exists() {
			edited := readContent(inner)
			c.Text, c.Media = edited.Text, edited.Media
		}
	case "revoke":
		c.TargetID = body.Get("original_message_id").Text()
	case "system":
		c.Text = body.Get("body").Text()
	}
}

func readCards(body rawjson.Value) string {
	var cards []string
	for card := range body.Items() {
		name, phone := card.Get("name", "formatted_name").Text(), card.Get("phones").First().Get("phone").Text()
		if text := strings.TrimSpace(name + " " + phone); text != "" {
			cards = append(cards, text)
		}
	}
	return strings.Join(cards, ", ")
}

func readMedia(c *inbound.Content, body rawjson.Value) {
	if !body.IsObject() {
		return
	}
	media := &inbound.Media{}
	for key, member := range body.Members() {
		switch key {
		case "id":
			media.ID = member.Text()
		case "url", "link":
			media.URL = member.Text()
		case "mime_type":
			media.MIME = member.Text()
		case "sha256":
			media.SHA256 = hexDigest(member.Text())
		case "filename":
			media.Name = member.Text()
		case "file_size":
			media.Size = max(0, member.Int())
		case "voice":
			media.Voice = member.Bool()
		case "caption":
			c.Text = member.Text()
		}
	}
	if media.ID != "" || media.URL != "" {
		c.Media = media
	}
}

// hexDigest returns a SHA-256 in lower-case hex, "" if the text is none. Webhooks send it
// in base64, the media API in hex.
func hexDigest(text string) string {
	const size = 32
	if len(text) == 2*size {
		if _, err := hex.DecodeString(text); err == nil {
			return strings.ToLower(text)
		}
	}
	text = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(text), "=")
	if sum, err := base64.RawStdEncoding.DecodeString(text); err == nil && len(sum) == size {
		return hex.EncodeToString(sum)
	}
	return ""
}

// movedTypes are the system messages that link an old identity to a new one. A changed
// security key (customer_identity_changed) is not one: the person keeps all aliases.
var movedTypes = map[string]bool{
	"user_changed_number": true, "customer_changed_number": true, "user_changed_user_id": true,
}

// readChange reads a change of identity. The old aliases are in from and previous_*, the
// new ones in the system object (new_wa_id in older webhooks).
func readChange(m rawjson.Value, sender inbound.Person) (inbound.Change, bool) {
	body := m.Get("system")
	if !movedTypes[body.Get("type").Text()] {
		return inbound.Change{}, false
	}
	change := inbound.Change{From: sender}
	for key, member := range body.Members() {
		switch key {
		case "previous_user_id":
			setID(&change.From.UserID, member.Text())
		case "previous_parent_user_id":
			setID(&change.From.ParentUserID, member.Text())
		case "customer": // the old number, in older webhooks
			if change.From.Phone == "" {
				Identify(&change.From, member.Text())
			}
		case "wa_id", "new_wa_id":
			Identify(&change.To, member.Text())
		case "user_id":
			setID(&change.To.UserID, member.Text())
		case "parent_user_id":
			setID(&change.To.ParentUserID, member.Text())
		}
	}
	// Newer webhooks already name the sender by the new user id.
	if change.To.UserID != "" && change.From.UserID == change.To.UserID && body.Get("previous_user_id").Exists() {
		change.From.UserID = body.Get("previous_user_id").Text()
	}
	return change, !change.From.IsZero() && !change.To.IsZero()
}

// status reads one element of statuses.
func (d *decoder) status(s rawjson.Value) {
	a := inbound.Arrival{
		Kind:     inbound.Status,
		LineRef:  d.lineRef,
		Provider: Provider,
		Shape:    d.shape,
		Person:   d.person(readRecipient(s)),
		Raw:      json.RawMessage(s),
		Report:   &inbound.Report{},
	}
	for key, member := range s.Members() {
		switch key {
		case "id":
			a.ID = member.Text()
		case "status":
			a.Report.Status = member.Text()
		case "timestamp":
			a.SentAt = member.Time()
		case "biz_opaque_callback_data":
			a.Report.Ref = member.Text()
		case "errors":
			a.Report.Code, a.Report.Detail = readError(member.First())
		}
	}
	if !usable(a.ID) || !usable(a.Report.Status) {
		d.broken(s)
		return
	}
	d.batch.Add(a)
}

// readError reads Meta's error object. details tell a person most; titles are unstable, so
// they come last.
func readError(e rawjson.Value) (code int, detail string) {
	for _, path := range [][]string{{"error_data", "details"}, {"message"}, {"title"}} {
		if detail = e.Get(path...).Text(); detail != "" {
			break
		}
	}
	return int(e.Get("code").Int()), detail
}

// preference reads one opt-out, or its withdrawal.
func (d *decoder) preference(p rawjson.Value) {
	person := d.person(readPerson(p, "wa_id", "user_id", "parent_user_id"))
	value, category := p.Get("value").Text(), p.Get("category").Text()
	if person.IsZero() || value == "" {
		d.broken(p)
		return
	}
	a := d.keep(inbound.Preference, p, "")
	a.Person = person
	a.SentAt = p.Get("timestamp").Time()
	a.Choice = &inbound.Choice{Category: category, Stop: value == "stop"}
}

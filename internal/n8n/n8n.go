// Package n8n reads the flat objects that hand-made nodes of workflows build, in
// Spanish or English. It must never guess a line or invent a sender.
package n8n

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/evolution"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/phone"
	"github.com/psivisionhub/psi-router/internal/rawjson"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

// Provider is the Provider of Arrivals of this package.
const Provider = "n8n"

// Shapes of this package, as Arrival.Shape names them.
const (
	ShapeSimple = "simple" // {from, message} or {from, text}
	ShapeFlat   = "flat"   // Spanish and English aliases
	ShapeIngest = "ingest" // {telefono, contenido, whatsapp_message_id, multimedia}
)

// Decoder reads flat objects. The zero Decoder is ready.
type Decoder struct {
	// Zone applies to times that name no zone; nil is UTC.
	Zone *time.Location
	// Country (ISO 3166 alpha-2) applies to phones that have no country code; "" is none.
	Country string
}

// The names that flat objects use for each field, best first.
var (
	phoneNames  = []string{"telefono", "phone", "from", "remoteJid"}
	userNames   = []string{"user_id", "from_user_id", "bsuid"}
	textNames   = []string{"mensaje", "message", "text", "body", "contenido"}
	idNames     = []string{"whatsapp_message_id", "messageId", "message_id", "wamid", "id"}
	personNames = []string{"nombre", "name", "pushName", "nombre_contacto"}
	mediaNames  = []string{"mediaUrl", "media_url"}
	typeNames   = []string{"mediaType", "media_type", "messageType", "tipo", "type"}
	quoteNames  = []string{"whatsapp_context_id", "contextMessageId"}
	replyNames  = []string{"reply_id", "replyId", "selectedRowId", "selectedButtonId"}
	lineNames   = []string{"linea", "line", "inbox", "instance"}
	timeNames   = []string{"timestamp", "messageTimestamp", "fecha"}
)

// flatNames are all the names that are looked up in a flat object.
var flatNames = namesOf(phoneNames, userNames, textNames, idNames, personNames, mediaNames, typeNames, quoteNames, replyNames,
	lineNames, timeNames, []string{
		"remoteJidAlt", "senderPn", "to", "participant", "participantAlt", "participantPn", "fromMe", "from_me", "metadata", "referral", "context", "multimedia", "mime_type",
		"mimetype", "reactionToMessageId", "emoji", "mediaId", "media_id", "filename", "fileName",
	})

func namesOf(lists ...[]string) map[string]bool {
	all := map[string]bool{}
	for _, list := range lists {
		for _, name := range list {
			all[name] = true
		}
	}
	return all
}

// fields are the members of a flat object that flatNames lists. They are collected in one
// pass, as there are many names and may be many members.
type fields map[string]rawjson.Value

func fieldsOf(v rawjson.Value) fields {
	f := fields{}
	for name, member := range v.Members() {
		if _, taken := f[name]; !taken && flatNames[name] {
			f[name] = member
		}
	}
	return f
}

// get returns a member, or the value at a path within it.
func (f fields) get(name string, path ...string) rawjson.Value {
	if v := f[name]; v.Exists() {
		return v.Get(path...)
	}
	return nil
}

// kinds maps the types of flat objects to the Cloud API's.
var kinds = map[string]string{
	"text": "text", "texto": "text", "conversation": "text", "chat": "text",
	"image": "image", "imagen": "image", "imagemessage": "image", "foto": "image",
	"audio": "audio", "audiomessage": "audio", "voice": "audio", "ptt": "audio", "voz": "audio",
	"video": "video", "videomessage": "video",
	"document": "document", "documento": "document", "documentmessage": "document", "archivo": "document",
	"sticker": "sticker", "stickermessage": "sticker",
	"location": "location", "ubicacion": "location", "ubicación": "location",
	"contacts": "contacts", "contacto": "contacts", "contact": "contacts",
	"reaction": "reaction", "reaccion": "reaction", "reacción": "reaction", "reactionmessage": "reaction",
	"interactive": "interactive", "button": "button", "list": "interactive",
	"extendedtextmessage": "text",
	// These say nothing to a menu, so they must not become a text.
	"system": "system", "order": "order", "unsupported": "unsupported", "edit": "edit", "revoke": "revoke",
	"request_welcome": "request_welcome", "protocol": "protocol", "ephemeral": "ephemeral",
}

// placeholders are the texts that older workflows wrote for messages without one.
var placeholders = map[string]bool{
	"[Imagen]": true, "[Audio]": true, "[Video]": true, "[Documento]": true, "[Sticker]": true, "[Multimedia]": true,
}

// Add reads one flat object. known is false if it has no sender, or neither content nor
// an id.
func (o Decoder) Add(b *inbound.Batch, v rawjson.Value) (known bool) {
	if !v.IsObject() {
		return false
	}
	f := fieldsOf(v)
	person, elsewhere := o.readPerson(f)
	a := inbound.Arrival{
		Kind:     inbound.Message,
		ID:       pick(f, idNames),
		LineRef:  pick(f, lineNames),
		Provider: Provider,
		Shape:    shapeOf(v),
		Person:   person,
		Raw:      json.RawMessage(v),
	}
	for _, name := range timeNames {
		if a.SentAt = f.get(name).TimeIn(cmp.Or(o.Zone, time.UTC)); !a.SentAt.IsZero() {
			break
		}
	}
	content := readContent(f)
	if a.Person.IsZero() && elsewhere == "" || !says(content) && a.ID == "" {
		return false
	}
	if id := f.get("metadata", "phone_number_id").Text(); id != "" {
		a.LineRef = id
	}
	a.LineRef, _ = inbound.Truncate(a.LineRef, inbound.MaxID) // a longer one matches no line
	if len(a.ID) > inbound.MaxID || a.ID == "" {
		// Equal objects without an id or a time are different messages: ingest gives
		// each its own id.
		if a.ID = ""; !a.SentAt.IsZero() {
			a.ID = inbound.ContentID(v)
		}
	}
	if fromMe(f) {
		a.Kind = inbound.Echo
		a.Person.Name = "" // the name is our own side's
	}
	if elsewhere != "" {
		content.Group, a.Quarantine = elsewhere, "group"
	}
	a.Content = &content
	b.Add(a)
	return true
}

func says(c inbound.Content) bool {
	return c.Text != "" || c.Media != nil || c.TargetID != "" || c.ReplyID != "" || c.Type != "text"
}

// shapeOf names the flat shape, for people who search the arrivals.
func shapeOf(v rawjson.Value) string {
	ingest, simple, n := false, true, 0
	for key := range v.Members() {
		switch key {
		case "contenido", "multimedia", "utm_data", "area_ingesta":
			ingest = true
		case "from", "message", "text":
		default:
			simple = false
		}
		n++
	}
	switch {
	case simple && n == 2:
		return ShapeSimple
	case ingest && v.Get("telefono").Exists():
		return ShapeIngest
	}
	return ShapeFlat
}

func fromMe(f fields) bool { return f.get("fromMe").Bool() || f.get("from_me").Bool() }

// readPerson returns the person of a flat object, and the group, channel or status that it
// was written in, "" for a chat between the person and us. Several fields may name people
// and chats; one that names no person decides.
func (o Decoder) readPerson(f fields) (p inbound.Person, elsewhere string) {
	p.Name = inbound.TruncateName(pick(f, personNames))
	key := evolution.Key{FromMe: fromMe(f)}
	for _, name := range []string{"telefono", "phone", "from", "remoteJidAlt", "senderPn", "remoteJid", "to"} {
		if name == "to" && !key.FromMe {
			continue
		}
		id := strings.TrimSpace(f.get(name).Text())
		switch {
		case evolution.IsJID(id), strings.Contains(id, "@") && strings.HasPrefix(name, "remoteJid"):
			key.Alts = append(key.Alts, id)
			if key.Chat == "" || evolution.Somebody(key.Chat) {
				key.Chat = id
			}
		case strings.Contains(id, "@"): // an e-mail address
		case whatsapp.IsUserID(id):
			whatsapp.Identify(&p, id)
		default:
			number, err := phone.Typed(id, o.Country)
			switch {
			case err != nil:
			case !evolution.Somebody(number): // WhatsApp itself
				elsewhere = cmp.Or(elsewhere, number)
			default:
				p.Phone = cmp.Or(p.Phone, number)
			}
		}
	}
	for _, name := range []string{"participantAlt", "participantPn", "participant"} {
		key.Participants = append(key.Participants, f.get(name).Text())
	}
	who, place := key.Who()
	p.Phone, p.ExternalID = cmp.Or(p.Phone, who.Phone), cmp.Or(p.ExternalID, who.ExternalID)
	elsewhere = cmp.Or(place, elsewhere)
	if p.IsZero() && strings.HasSuffix(elsewhere, "@g.us") {
		p.ExternalID = elsewhere
	}
	for _, name := range userNames {
		if id := f.get(name).Text(); whatsapp.IsUserID(id) {
			whatsapp.Identify(&p, id)
		}
	}
	return p, elsewhere
}

func readContent(f fields) inbound.Content {
	c := inbound.Content{
		Type:     "text",
		Text:     pickText(f),
		QuotedID: pick(f, quoteNames),
		ReplyID:  pick(f, replyNames),
	}
	if ad := f.get("referral"); ad.IsObject() {
		c.Referral = json.RawMessage(ad)
	}
	c.QuotedID = cmp.Or(c.QuotedID, f.get("context", "id").Text())
	file := f.get("multimedia")
	kind := cmp.Or(pick(f, typeNames), file.Get("tipo").Text())
	url := cmp.Or(pick(f, mediaNames), file.Get("url").Text())
	mime := cmp.Or(f.get("mime_type").Text(), f.get("mimetype").Text(), file.Get("metadata", "mimetype").Text())
	if strings.Contains(kind, "/") { // a MIME type where a type should be
		mime = cmp.Or(mime, kind)
		kind, _, _ = strings.Cut(kind, "/")
		if kind == "application" {
			kind = "document"
		}
	}
	low := strings.ToLower(kind)
	switch word, ok := kinds[low]; {
	case ok:
		c.Type = word
	case evolution.KindOf(low) != "" && (c.Text == "" || strings.HasSuffix(low, "message")):
		c.Type = evolution.KindOf(low) // "notice" for gestures
	case kind != "" && c.Text == "":
		c.Type = kind // with a text it stays a text: workflows use tipo for many things
	}
	if c.Type == "reaction" {
		c.TargetID, c.Emoji = cmp.Or(f.get("reactionToMessageId").Text(), c.QuotedID), f.get("emoji").Text()
		c.Text, c.QuotedID = "", ""
		return c
	}
	if c.ReplyID != "" && c.Type == "text" {
		c.Type = "interactive"
	}
	mediaID := cmp.Or(f.get("mediaId").Text(), f.get("media_id").Text())
	if url == "" && mediaID == "" {
		return c
	}
	c.Media = &inbound.Media{
		ID:   mediaID,
		URL:  url,
		MIME: mime,
		Name: cmp.Or(f.get("filename").Text(), f.get("fileName").Text(), file.Get("metadata", "filename").Text()),
		Size: max(0, file.Get("metadata", "size").Int()),
	}
	if c.Type == "text" {
		c.Type = "document"
	}
	if placeholders[c.Text] {
		c.Text = ""
	}
	return c
}

// pickText finds the text, at the top or one level down: half-unwrapped workflows send
// {text: {body}} and {message: {conversation}}.
func pickText(f fields) string {
	for _, name := range textNames {
		member := f.get(name)
		if text := member.Text(); text != "" {
			return text
		}
		for _, inner := range []string{"body", "conversation", "text", "message"} {
			if text := member.Get(inner).Text(); text != "" {
				return text
			}
		}
	}
	return ""
}

// pick returns the first text or number among the names.
func pick(f fields, names []string) string {
	for _, name := range names {
		if text := strings.TrimSpace(f.get(name).Text()); text != "" {
			return text
		}
	}
	return ""
}

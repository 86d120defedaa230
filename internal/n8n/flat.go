package n8n

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/psivisionhub/psi-router/internal/evolution"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

// The names that flat objects have for one thing, best first.
var (
	phoneNames  = []string{"telefono", "phone", "from", "remoteJid"}
	userNames   = []string{"user_id", "from_user_id", "bsuid"}
	textNames   = []string{"mensaje", "message", "text", "body", "contenido"}
	idNames     = []string{"whatsapp_message_id", "messageId", "message_id", "wamid", "id"}
	personNames = []string{"nombre", "name", "pushName", "nombre_contacto"}
	mediaNames  = []string{"mediaUrl", "media_url"}
	typeNames   = []string{"mediaType", "media_type", "tipo", "type"}
	quoteNames  = []string{"whatsapp_context_id", "contextMessageId"}
	replyNames  = []string{"reply_id", "replyId", "selectedRowId", "selectedButtonId"}
	lineNames   = []string{"linea", "line", "inbox", "instance"}
	timeNames   = []string{"timestamp", "messageTimestamp", "fecha"}
)

// kinds maps what flat objects call a type to the Cloud API's word.
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
	// What says nothing to a menu must not become a text on the way here.
	"system": "system", "order": "order", "unsupported": "unsupported", "edit": "edit", "revoke": "revoke",
	"request_welcome": "request_welcome", "protocol": "protocol", "ephemeral": "ephemeral",
}

// placeholders are what older flows wrote where a message had no text. Nobody
// said them.
var placeholders = map[string]bool{
	"[Imagen]": true, "[Audio]": true, "[Video]": true, "[Documento]": true, "[Sticker]": true, "[Multimedia]": true,
}

// readFlat reads one flat object. known is false when it names no sender, or
// nothing that the sender said.
func readFlat(v rawjson.Value) (a inbound.Arrival, known bool) {
	if !v.IsObject() {
		return a, false
	}
	a = inbound.Arrival{
		Kind:     inbound.Message,
		ID:       pick(v, idNames),
		LineRef:  pick(v, lineNames),
		Provider: Provider,
		Shape:    shapeOf(v),
		Person:   readPerson(v),
		Raw:      json.RawMessage(v),
	}
	for _, name := range timeNames {
		if a.SentAt = v.Get(name).Time(); !a.SentAt.IsZero() {
			break
		}
	}
	content := readContent(v)
	if a.Person.IsZero() || !says(content) && a.ID == "" {
		return a, false
	}
	if id := v.Get("metadata", "phone_number_id").Text(); id != "" {
		a.LineRef = id
	}
	a.LineRef, _ = inbound.Cut(a.LineRef, inbound.MaxID) // longer it is nobody's
	if len(a.ID) > inbound.MaxID || a.ID == "" {
		// Without an id or a time, equal objects are as many messages: the door
		// gives each its own id.
		if a.ID = ""; !a.SentAt.IsZero() {
			a.ID = contentID(v)
		}
	}
	if v.Get("fromMe").Bool() || v.Get("from_me").Bool() {
		a.Kind = inbound.Echo
		a.Person.Name = "" // it is our own side's
	}
	if jid := pick(v, phoneNames); strings.HasSuffix(jid, "@g.us") || strings.HasSuffix(jid, "@broadcast") {
		content.Group, a.Quarantine = jid, "group"
	}
	a.Content = &content
	return a, true
}

func says(c inbound.Content) bool {
	return c.Text != "" || c.Media != nil || c.TargetID != "" || c.ReplyID != "" || c.Type != "text"
}

// shapeOf names the flat shape for people who look for what arrived.
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

func readPerson(v rawjson.Value) inbound.Person {
	p := inbound.Person{Name: inbound.Name(pick(v, personNames))}
	for _, name := range []string{"telefono", "phone", "from", "remoteJidAlt", "remoteJid", "to"} {
		if name == "to" && !v.Get("fromMe").Bool() {
			continue
		}
		id := whole(v.Get(name))
		switch {
		case strings.HasSuffix(id, "@g.us"), strings.HasSuffix(id, "@broadcast"), id == "":
		case strings.Contains(id, "@"):
			evolution.Identify(&p, id)
		default:
			whatsapp.Identify(&p, id)
			p.National = p.Phone != ""
		}
	}
	if strings.HasSuffix(pick(v, phoneNames), "@g.us") {
		evolution.Identify(&p, v.Get("participant").Text())
		if p.IsZero() {
			p.ExternalID = pick(v, phoneNames)
		}
	}
	for _, name := range userNames {
		if id := v.Get(name).Text(); whatsapp.IsUserID(id) {
			whatsapp.Identify(&p, id)
		}
	}
	return p
}

// whole returns a phone also where a spreadsheet made it 5.491100000001E+12.
func whole(v rawjson.Value) string {
	text := v.Text()
	if v.IsNumber() && strings.ContainsAny(text, ".eE") {
		if f, err := strconv.ParseFloat(text, 64); err == nil && f > 0 && f < 1e18 {
			return strconv.FormatFloat(f, 'f', 0, 64)
		}
	}
	return text
}

func readContent(v rawjson.Value) inbound.Content {
	c := inbound.Content{
		Type:     "text",
		Text:     pickText(v),
		QuotedID: pick(v, quoteNames),
		ReplyID:  pick(v, replyNames),
	}
	if ad := v.Get("referral"); ad.IsObject() {
		c.Referral = json.RawMessage(ad)
	}
	if c.QuotedID == "" {
		c.QuotedID = v.Get("context", "id").Text()
	}
	file := v.Get("multimedia")
	kind := orElse(pick(v, typeNames), file.Get("tipo").Text())
	url := orElse(pick(v, mediaNames), file.Get("url").Text())
	mime := orElse(v.Get("mime_type").Text(), orElse(v.Get("mimetype").Text(), file.Get("metadata", "mimetype").Text()))
	if strings.Contains(kind, "/") { // a MIME type where a type should be
		mime = orElse(mime, kind)
		kind, _, _ = strings.Cut(kind, "/")
		if kind == "application" {
			kind = "document"
		}
	}
	switch word, ok := kinds[strings.ToLower(kind)]; {
	case ok:
		c.Type = word
	case kind != "" && c.Text == "":
		c.Type = kind // flows call many things a tipo: with a text it is a text
	}
	if c.Type == "reaction" {
		c.TargetID, c.Emoji = orElse(v.Get("reactionToMessageId").Text(), c.QuotedID), v.Get("emoji").Text()
		c.Text, c.QuotedID = "", ""
		return c
	}
	if c.ReplyID != "" && c.Type == "text" {
		c.Type = "interactive"
	}
	mediaID := orElse(v.Get("mediaId").Text(), v.Get("media_id").Text())
	if url == "" && mediaID == "" {
		return c
	}
	c.Media = &inbound.Media{
		ID:   mediaID,
		URL:  url,
		MIME: mime,
		Name: orElse(v.Get("filename").Text(), orElse(v.Get("fileName").Text(), file.Get("metadata", "filename").Text())),
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

// pickText finds the text, also one level down: {text: {body}} and
// {message: {conversation}} are what half-unwrapped flows send.
func pickText(v rawjson.Value) string {
	for _, name := range textNames {
		member := v.Get(name)
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

// pick returns the first of the names that holds a text or number.
func pick(v rawjson.Value, names []string) string {
	for _, name := range names {
		if text := strings.TrimSpace(v.Get(name).Text()); text != "" {
			return text
		}
	}
	return ""
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

package evolution

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// message reads one message of messages.upsert or send.message.
func (d *decoder) message(m rawjson.Value) {
	key := m.Get("key")
	person, elsewhere := keyOf(key).Who()
	own := key.Get("fromMe").Bool() || d.name == "send.message"
	a := inbound.Arrival{
		Kind:     inbound.Message,
		ID:       key.Get("id").Text(),
		LineRef:  d.instance,
		Provider: Provider,
		Shape:    Shape,
		Person:   person,
		SentAt:   m.Get("messageTimestamp").Time(),
	}
	if own {
		a.Kind = inbound.Echo
	} else {
		a.Person.Name = inbound.Name(m.Get("pushName").Text())
	}
	content, raw := d.content(m, a.ID)
	a.Raw = raw
	d.add(a, a.Person, elsewhere, content, m)
}

// add adds a message of somebody, or of ours to somebody. What was said elsewhere, in a
// group, a channel or a status, is kept and answered to nobody.
func (d *decoder) add(a inbound.Arrival, person inbound.Person, elsewhere string, c inbound.Content, m rawjson.Value) {
	c.Group = elsewhere
	switch {
	case !m.IsObject() || !usable(a.ID) || person.IsZero() && elsewhere == "":
		d.broken(m)
		return
	case elsewhere != "":
		a.Quarantine = "group"
	case person.Phone != "" && person.Phone == d.own:
		a.Quarantine = "invalid" // a note to oneself: nobody to answer
	}
	a.Person, a.Content = person, &c
	d.batch.Add(a)
}

// content reads what a message says, and returns the message's JSON. A file that
// is sent along is not kept twice: it is taken out of a big raw message.
func (d *decoder) content(m rawjson.Value, id string) (inbound.Content, json.RawMessage) {
	c := inbound.Content{QuotedID: m.Get("contextInfo", "stanzaId").Text()}
	if ad := m.Get("contextInfo", "externalAdReply"); ad.IsObject() {
		c.Referral = json.RawMessage(ad)
	}
	body := m.Get("message")
	fill(&c, body)
	raw := json.RawMessage(m)
	file := body.Get("base64")
	if !file.Exists() {
		file = m.Get("base64")
	}
	const big = 4 << 10
	if c.Media == nil && file.IsString() && len(file) > big {
		c.Media = &inbound.Media{} // of a type that we do not know
	}
	if c.Media == nil {
		return c, raw
	}
	c.Media.ID = id
	c.Media.URL = body.Get("mediaUrl").Text()
	c.Media.Inline = file.Text()
	if len(file) > big {
		start := bytes.Index(raw, file)
		raw = append(append(append(json.RawMessage{}, raw[:start]...), `""`...), raw[start+len(file):]...)
	}
	return c, raw
}

// kinds maps the members of a Baileys message to the Cloud API's words.
var kinds = map[string]string{
	"conversation":               "text",
	"extendedTextMessage":        "text",
	"imageMessage":               "image",
	"videoMessage":               "video",
	"ptvMessage":                 "video",
	"audioMessage":               "audio",
	"documentMessage":            "document",
	"stickerMessage":             "sticker",
	"locationMessage":            "location",
	"liveLocationMessage":        "location",
	"contactMessage":             "contacts",
	"contactsArrayMessage":       "contacts",
	"reactionMessage":            "reaction",
	"buttonsResponseMessage":     "interactive",
	"templateButtonReplyMessage": "button",
	"listResponseMessage":        "interactive",
	"interactiveResponseMessage": "interactive",
	"orderMessage":               "order",
	"protocolMessage":            "protocol",
	"editedMessage":              "edit",
	"pinInChatMessage":           "pin",
	"keepInChatMessage":          "keep_in_chat",
	"pollUpdateMessage":          "poll_update",
}

// gestures are the members by which somebody does something without saying anything, or
// the phones tell each other something: kept, and never answered.
var gestures = map[string]bool{
	"albumMessage": true, // says how many pictures follow
	"bcallMessage": true, "call": true, "callLogMesssage": true, "scheduledCallEditMessage": true,
	"chat": true, "encCommentMessage": true, "encEventResponseMessage": true, "encReactionMessage": true,
	"groupStatusMentionMessage": true, "limitSharingMessage": true, "messageHistoryBundle": true, "messageHistoryNotice": true,
	"newsletterAdminInviteMessage": true, "newsletterFollowerInviteMessageV2": true, "placeholderMessage": true,
	"pollResultSnapshotMessage": true, "pollResultSnapshotMessageV3": true, "secretEncryptedMessage": true,
	"statusAddYours": true, "statusMentionMessage": true, "statusNotificationMessage": true, "statusQuestionAnswerMessage": true,
	"statusStickerInteractionMessage": true, "stickerSyncRmrMessage": true,
}

// beside are members that stand beside what is said, and say nothing themselves.
var beside = map[string]bool{
	"messageContextInfo": true, "senderKeyDistributionMessage": true, "fastRatchetKeySenderKeyDistributionMessage": true,
}

// fill adds what a message object says. The first member that we know decides; one that
// we do not know names the type, so that it is not lost.
func fill(c *inbound.Content, body rawjson.Value) {
	body = innermost(body)
	other, bare := "", false // bare: nothing but what stands beside
	for name, part := range body.Members() {
		kind, known := kinds[name]
		switch {
		case !part.Exists():
		case beside[name]:
			bare = true
		case known:
			c.Type = kind
			fillKind(c, name, part)
			return
		case gestures[name]:
			c.Type = "notice"
			return
		case strings.HasSuffix(name, "Message") || strings.HasPrefix(name, "poll"):
			other = orElse(other, name)
		}
	}
	if c.Type = orElse(other, "unknown"); other == "" && bare {
		c.Type = "notice"
	}
}

// innermost goes down to the message that somebody wrote. Baileys packs it into others,
// several deep: disappearing chats, view-once, albums, documents with a caption, what
// was sent from another device, mentions, bots, and whatever comes next; each wrapper
// has a message of its own. An edit is read where it is: what it holds is about another
// message.
func innermost(body rawjson.Value) rawjson.Value {
	for {
		inner := rawjson.Value(nil)
		for name, part := range body.Members() {
			if _, known := kinds[name]; known || gestures[name] {
				return body
			}
			if message := part.Get("message"); message.IsObject() && inner == nil {
				inner = message
			}
		}
		if inner == nil {
			return body
		}
		body = inner
	}
}

func fillKind(c *inbound.Content, name string, part rawjson.Value) {
	if quoted := part.Get("contextInfo", "stanzaId").Text(); quoted != "" {
		c.QuotedID = quoted
	}
	switch name {
	case "conversation":
		c.Text = part.Text()
	case "extendedTextMessage":
		c.Text = part.Get("text").Text()
	case "imageMessage", "videoMessage", "ptvMessage", "audioMessage", "documentMessage", "stickerMessage":
		c.Text = part.Get("caption").Text()
		c.Media = readMedia(part)
	case "locationMessage", "liveLocationMessage":
		c.Text = readLocation(part)
	case "contactMessage":
		c.Text = part.Get("displayName").Text()
	case "contactsArrayMessage":
		var names []string
		for card := range part.Get("contacts").Items() {
			names = append(names, card.Get("displayName").Text())
		}
		c.Text = strings.Join(names, ", ")
	case "reactionMessage":
		c.TargetID, c.Emoji = part.Get("key", "id").Text(), part.Get("text").Text()
	case "buttonsResponseMessage":
		c.Text, c.ReplyID = part.Get("selectedDisplayText").Text(), part.Get("selectedButtonId").Text()
	case "templateButtonReplyMessage":
		c.Text, c.ReplyID = part.Get("selectedDisplayText").Text(), part.Get("selectedId").Text()
	case "listResponseMessage":
		c.Text, c.ReplyID = part.Get("title").Text(), part.Get("singleSelectReply", "selectedRowId").Text()
	case "interactiveResponseMessage":
		c.Text = part.Get("body", "text").Text()
		if answers := part.Get("nativeFlowResponseMessage", "paramsJson"); answers.Exists() {
			c.Text, c.Form = inbound.FormText(c.Text, answers), true
		}
	case "orderMessage":
		c.Text = part.Get("message").Text()
	case "protocolMessage", "editedMessage":
		readProtocol(c, part)
	}
}

func readMedia(part rawjson.Value) *inbound.Media {
	media := &inbound.Media{
		MIME:  part.Get("mimetype").Text(),
		Name:  part.Get("fileName").Text(),
		Size:  max(0, part.Get("fileLength").Int()),
		Voice: part.Get("ptt").Bool(),
	}
	if low := part.Get("fileLength", "low"); low.Exists() {
		media.Size = max(0, low.Int())
	}
	if sum, err := base64.StdEncoding.DecodeString(part.Get("fileSha256").Text()); err == nil && len(sum) == 32 {
		media.SHA256 = hex.EncodeToString(sum)
	}
	return media
}

func readLocation(part rawjson.Value) string {
	var parts []string
	for _, key := range []string{"name", "address"} {
		if text := part.Get(key).Text(); text != "" {
			parts = append(parts, text)
		}
	}
	if lat, long := part.Get("degreesLatitude").Text(), part.Get("degreesLongitude").Text(); lat != "" && long != "" {
		parts = append(parts, lat+","+long)
	}
	return strings.Join(parts, " · ")
}

// readProtocol reads an edit or a revoke: a message about another message.
func readProtocol(c *inbound.Content, part rawjson.Value) {
	if inner := innermost(part.Get("message")).Get("protocolMessage"); inner.IsObject() {
		part = inner
	}
	c.TargetID = part.Get("key", "id").Text()
	kind := part.Get("type").Text()
	edited := part.Get("editedMessage")
	switch {
	case edited.IsObject():
		c.Type = "edit"
		var now inbound.Content
		fill(&now, edited)
		c.Text = now.Text
	case kind == "REVOKE" || kind == "0":
		c.Type = "revoke"
	default:
		c.Type = "protocol"
	}
}

// edited reads messages.edited: the protocol message itself.
func (d *decoder) edited(m rawjson.Value) {
	d.aboutAnother(m, func(c *inbound.Content) { readProtocol(c, m) })
}

// deleted reads messages.delete: the key of what was deleted.
func (d *decoder) deleted(m rawjson.Value) {
	d.aboutAnother(m, func(c *inbound.Content) {
		c.Type = "revoke"
		c.TargetID = orElse(m.Get("key", "id").Text(), orElse(m.Get("id").Text(), m.Get("keyId").Text()))
	})
}

// aboutAnother adds an edit or a delete. They have no id of their own.
func (d *decoder) aboutAnother(m rawjson.Value, read func(*inbound.Content)) {
	key := m.Get("key")
	if !key.IsObject() {
		key = m
	}
	var c inbound.Content
	read(&c)
	person, group := keyOf(key).Who()
	if c.TargetID == "" || person.IsZero() && group == "" {
		d.broken(m)
		return
	}
	a := d.keep(inbound.Message, m, "")
	if key.Get("fromMe").Bool() {
		a.Kind = inbound.Echo
	}
	c.Group = group
	a.Person, a.Content = person, &c
	a.SentAt = m.Get("timestampMs").Time()
	if group != "" {
		a.Quarantine = "group"
	}
}

// fates maps Baileys' words to the Cloud API's.
var fates = map[string]string{
	"ERROR": "failed", "PENDING": "accepted", "SERVER_ACK": "sent", "DELIVERY_ACK": "delivered",
	"READ": "read", "PLAYED": "played",
	"0": "failed", "1": "accepted", "2": "sent", "3": "delivered", "4": "read", "5": "played",
}

// update reads one fate of messages.update.
func (d *decoder) update(m rawjson.Value) {
	id := orElse(m.Get("keyId").Text(), m.Get("key", "id").Text())
	word := orElse(m.Get("status").Text(), m.Get("update", "status").Text())
	if !usable(id) || !usable(word) {
		d.broken(m)
		return
	}
	key := m.Get("key")
	if !key.IsObject() {
		key = m
	}
	person, group := keyOf(key).Who()
	fate, ok := fates[strings.ToUpper(word)]
	if !ok {
		fate = strings.ToLower(word)
	}
	a := d.keep(inbound.Status, m, "")
	a.ID, a.Person = id, person
	a.Report = &inbound.Report{Status: fate}
	if group != "" {
		a.Person.ExternalID = orElse(a.Person.ExternalID, group)
	}
	// The event's date_time is local time with a false Z: no time is better.
}

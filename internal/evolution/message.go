package evolution

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// message reads one message, of messages.upsert, send.message or any other event.
func (d *decoder) message(m rawjson.Value) {
	if ofGo(m) {
		d.fromGo(m)
		return
	}
	key := keyOf(m.Get("key"))
	key.FromMe = key.FromMe || d.ours()
	d.said(m, key, m.Get("key", "id").Text(), m.Get("pushName").Text(), m.Get("messageTimestamp").Time())
}

// ours reports whether the event is about a message sent through the instance's API.
func (d *decoder) ours() bool { return squeeze(d.name) == "sendmessage" }

// said reads the content of a message and adds the arrival.
func (d *decoder) said(m rawjson.Value, key Key, id, name string, at time.Time) {
	a := inbound.Arrival{
		Kind: inbound.Message, ID: id, LineRef: d.instance, Provider: Provider, Shape: Shape, SentAt: at,
	}
	person, elsewhere := key.Who()
	if key.FromMe {
		a.Kind = inbound.Echo
	} else {
		person.Name = inbound.TruncateName(name)
	}
	content, raw := d.content(m, id)
	a.Raw = raw
	if content.Type == "edit" && content.TargetID == "" {
		aim(&content, id)
		a.ID = inbound.ContentID(raw) // id is the edited message's
	}
	d.add(a, person, elsewhere, content, m)
}

// add adds a message of a contact, or of ours to one. elsewhere names the group, channel or
// status that it was written in; such a message is kept and never answered.
func (d *decoder) add(a inbound.Arrival, person inbound.Person, elsewhere string, c inbound.Content, m rawjson.Value) {
	c.Group = elsewhere
	switch {
	case !m.IsObject() || !usable(a.ID) || person.IsZero() && elsewhere == "":
		d.broken(m)
		return
	case elsewhere != "":
		a.Quarantine = "group"
	case person.Phone != "" && person.Phone == d.ownNumber:
		a.Quarantine = "invalid" // a note to ourselves: nobody to answer
	}
	a.Person, a.Content = person, &c
	d.batch.Add(a)
}

// content reads the content of a message, and returns it with the message's JSON. A large
// inline file is cut out of the JSON, so that it is not stored twice.
func (d *decoder) content(m rawjson.Value, id string) (inbound.Content, json.RawMessage) {
	c := inbound.Content{QuotedID: get(m, "contextInfo", "stanzaId").Text()}
	if ad := m.Get("contextInfo", "externalAdReply"); ad.IsObject() {
		c.Referral = json.RawMessage(ad)
	}
	body := get(m, "message")
	fill(&c, body)
	raw := json.RawMessage(m)
	file := body.Get("base64")
	if !file.Exists() {
		file = m.Get("base64")
	}
	const big = 4 << 10
	if c.Media == nil && file.IsString() && len(file) > big {
		c.Media = &inbound.Media{} // a file of an unknown type
	}
	if c.Media == nil {
		return c, raw
	}
	c.Media.ID = cmp.Or(c.Media.ID, id)
	c.Media.MIME = cmp.Or(c.Media.MIME, body.Get("mimetype").Text()) // here if the file is in storage
	c.Media.URL = body.Get("mediaUrl").Text()
	c.Media.Inline = file.Text()
	if len(file) > big {
		start := bytes.Index(raw, file)
		raw = append(append(append(json.RawMessage{}, raw[:start]...), `""`...), raw[start+len(file):]...)
	}
	return c, raw
}

// folded returns a table with lower-case names: whatsmeow and hand-made flat objects spell
// them differently.
func folded[V any](table map[string]V) map[string]V {
	all := make(map[string]V, len(table))
	for name, v := range table {
		all[strings.ToLower(name)] = v
	}
	return all
}

// kinds maps the members of a Baileys message to the Cloud API's types.
var kinds = folded(map[string]string{
	"conversation":               "text",
	"extendedTextMessage":        "text",
	"questionResponseMessage":    "text",
	"statusQuotedMessage":        "text",
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
})

// place says where a member has its text, best first, and its file.
type place struct{ texts, files []string }

// places lists the members without a Cloud API type. Their own name becomes the type, and
// their text and file are read.
var places = folded(map[string]place{
	"groupInviteMessage":           {texts: []string{"caption", "groupName"}},
	"stickerPackMessage":           {texts: []string{"caption", "name"}},
	"productMessage":               {texts: []string{"body", "product.title"}},
	"interactiveMessage":           {texts: []string{"body.text", "header.title"}, files: []string{"header"}},
	"buttonsMessage":               {texts: []string{"contentText", "text"}, files: []string{""}},
	"templateMessage":              templated(""),
	"highlyStructuredMessage":      templated("hydratedHsm."),
	"listMessage":                  {texts: []string{"description", "title"}},
	"eventMessage":                 {texts: []string{"name", "description"}},
	"pollCreationMessage":          {texts: []string{"name"}},
	"pollCreationMessageV2":        {texts: []string{"name"}},
	"pollCreationMessageV3":        {texts: []string{"name"}},
	"pollCreationMessageV5":        {texts: []string{"name"}},
	"pollCreationMessageV6":        {texts: []string{"name"}},
	"eventInviteMessage":           {texts: []string{"caption", "eventTitle"}}, // only whatsmeow has this and the next two yet
	"splitPaymentMessage":          {texts: []string{"description"}},
	"paymentReminderMessage":       {texts: []string{"description"}},
	"invoiceMessage":               {texts: []string{"note"}},
	"scheduledCallCreationMessage": {texts: []string{"title"}},
	"richResponseMessage":          {}, // a forwarded answer of an assistant, in parts
})

// templated returns the place of a template, with its newer and older names.
func templated(at string) place {
	return place{
		texts: []string{
			at + "hydratedTemplate.hydratedContentText", at + "hydratedFourRowTemplate.hydratedContentText",
			at + "interactiveMessageTemplate.body.text",
		},
		files: []string{at + "hydratedTemplate", at + "hydratedFourRowTemplate", at + "interactiveMessageTemplate.header"},
	}
}

// gestures lists the members that say nothing: somebody did something, or phones
// synchronise. They are kept and never answered.
var gestures = folded(map[string]bool{
	"albumMessage": true, // says how many pictures follow
	"bcallMessage": true, "call": true, "callLogMesssage": true, "scheduledCallEditMessage": true,
	"cancelPaymentRequestMessage": true, "declinePaymentRequestMessage": true, "requestPhoneNumberMessage": true,
	"chat": true, "encCommentMessage": true, "encEventResponseMessage": true, "encReactionMessage": true,
	"groupRootKeyShare": true, "rootSecretDistributeMessage": true, "splitPaymentUpdateMessage": true,
	"groupStatusMentionMessage": true, "limitSharingMessage": true, "messageHistoryBundle": true, "messageHistoryNotice": true,
	"newsletterAdminInviteMessage": true, "newsletterFollowerInviteMessageV2": true, "placeholderMessage": true,
	"pollAddOptionMessage": true, "pollResultSnapshotMessage": true, "pollResultSnapshotMessageV3": true, "secretEncryptedMessage": true,
	"statusAddYours": true, "statusMentionMessage": true, "statusNotificationMessage": true, "statusQuestionAnswerMessage": true,
	"statusStickerInteractionMessage": true, "stickerSyncRmrMessage": true,
})

// beside lists members that accompany the content and have none of their own.
var beside = folded(map[string]bool{
	"messageContextInfo": true, "senderKeyDistributionMessage": true, "fastRatchetKeySenderKeyDistributionMessage": true,
	"statusLinkPreviewMetadata": true,
})

// KindOf returns the Cloud API's type for the name of a message's member, in any case:
// "notice" for a gesture, "" for an unknown name.
func KindOf(name string) string {
	name = strings.ToLower(name)
	if gestures[name] || beside[name] {
		return "notice"
	}
	return kinds[name]
}

// oneofs lists the protobuf oneofs that whatsmeow writes around a member. Baileys leaves
// them out.
var oneofs = map[string]bool{
	"format": true, "header": true, "interactivemessage": true, "interactiveresponsemessage": true, "media": true, "response": true, "title": true,
}

// get is v.Get that ignores case (whatsmeow writes stanzaID, Baileys stanzaId) and looks
// into oneofs.
func get(v rawjson.Value, path ...string) rawjson.Value {
	for _, name := range path {
		if v = member(v, name); !v.Exists() {
			return nil
		}
	}
	return v
}

func member(v rawjson.Value, name string) (within rawjson.Value) {
	for key, m := range v.Members() {
		switch {
		case strings.EqualFold(key, name):
			return m
		case within == nil && m.IsObject() && oneofs[strings.ToLower(key)]:
			for key, m := range m.Members() {
				if strings.EqualFold(key, name) {
					within = m
					break
				}
			}
		}
	}
	return within
}

// at is get with a dotted path; "" is v itself.
func at(v rawjson.Value, path string) rawjson.Value {
	if path == "" {
		return v
	}
	return get(v, strings.Split(path, ".")...)
}

// fill reads a message object. The first known member decides. Without one, the first member
// that is named like a message becomes the type, so that it is not lost.
func fill(c *inbound.Content, body rawjson.Value) {
	body = innermost(body)
	other, bare := "", false // bare: no member but those of beside
	for name, part := range body.Members() {
		if !part.Exists() {
			continue
		}
		low := strings.ToLower(name)
		kind, known := kinds[low]
		place, placed := places[low]
		switch {
		case beside[low]:
			bare = true
		case known:
			c.Type = kind
			fillKind(c, low, part)
			return
		case gestures[low]:
			c.Type, c.Text = "notice", get(part, "caption").Text()
			return
		case placed:
			c.Type = name
			fillPlace(c, place, part)
			return
		case strings.HasSuffix(low, "message") || strings.HasPrefix(low, "poll"):
			if other == "" {
				other = name
				quote(c, part)
			}
		}
	}
	if c.Type = cmp.Or(other, "unknown"); other == "" && bare {
		c.Type = "notice"
	}
}

// innermost unwraps a message. Baileys nests it several deep: disappearing chats,
// view-once, albums, documents with a caption, messages sent from another device, mentions,
// bots, and whatever comes next. Each wrapper has a message member, a payment a noteMessage.
// An edit is not unwrapped: its content belongs to another message.
func innermost(body rawjson.Value) rawjson.Value {
	for {
		inner := rawjson.Value(nil)
		for name, part := range body.Members() {
			if !part.Exists() {
				continue
			}
			low := strings.ToLower(name)
			if _, placed := places[low]; placed || gestures[low] || kinds[low] != "" {
				return body
			}
			for _, packed := range []string{"message", "noteMessage"} {
				if message := get(part, packed); inner == nil && holds(message) {
					inner = message
				}
			}
		}
		if inner == nil {
			return body
		}
		body = inner
	}
}

// holds reports whether an object has any member.
func holds(v rawjson.Value) bool {
	for range v.Members() {
		return true
	}
	return false
}

// quote sets the message that a part quotes.
func quote(c *inbound.Content, part rawjson.Value) {
	c.QuotedID = cmp.Or(get(part, "contextInfo", "stanzaId").Text(), c.QuotedID)
}

// fillPlace reads a member that has a place.
func fillPlace(c *inbound.Content, where place, part rawjson.Value) {
	quote(c, part)
	for _, path := range where.texts {
		if c.Text = at(part, path).Text(); c.Text != "" {
			break
		}
	}
	for _, path := range where.files {
		for _, name := range []string{"imageMessage", "videoMessage", "documentMessage"} {
			if file := get(at(part, path), name); c.Media == nil && file.IsObject() {
				c.Media = readMedia(file)
			}
		}
	}
	var lines []string
	for line := range get(part, "submessages").Items() {
		if text := get(line, "messageText").Text(); text != "" {
			lines = append(lines, text)
		}
	}
	c.Text = cmp.Or(c.Text, strings.Join(lines, "\n"))
}

// fillKind reads the member of this name (lower case), which has a kind.
func fillKind(c *inbound.Content, name string, part rawjson.Value) {
	quote(c, part)
	switch name {
	case "conversation":
		c.Text = part.Text()
	case "extendedtextmessage", "questionresponsemessage", "statusquotedmessage":
		c.Text = get(part, "text").Text()
	case "imagemessage", "videomessage", "ptvmessage", "audiomessage", "documentmessage", "stickermessage":
		c.Text = get(part, "caption").Text()
		c.Media = readMedia(part)
	case "locationmessage", "livelocationmessage":
		c.Text = inbound.PlaceText(get(part, "degreesLatitude").Text(), get(part, "degreesLongitude").Text(),
			get(part, "name").Text(), get(part, "address").Text(), get(part, "caption").Text(), get(part, "comment").Text())
	case "contactmessage":
		c.Text = get(part, "displayName").Text()
	case "contactsarraymessage":
		var names []string
		for card := range get(part, "contacts").Items() {
			names = append(names, get(card, "displayName").Text())
		}
		c.Text = strings.Join(names, ", ")
	case "reactionmessage":
		c.TargetID, c.Emoji = get(part, "key", "id").Text(), get(part, "text").Text()
	case "buttonsresponsemessage":
		c.Text, c.ReplyID = get(part, "selectedDisplayText").Text(), get(part, "selectedButtonId").Text()
	case "templatebuttonreplymessage":
		c.Text, c.ReplyID = get(part, "selectedDisplayText").Text(), get(part, "selectedId").Text()
	case "listresponsemessage":
		c.Text, c.ReplyID = get(part, "title").Text(), get(part, "singleSelectReply", "selectedRowId").Text()
	case "interactiveresponsemessage":
		c.Text = get(part, "body", "text").Text()
		readNative(c, get(part, "nativeFlowResponseMessage"))
	case "ordermessage":
		c.Text = get(part, "message").Text()
	case "protocolmessage", "editedmessage":
		readProtocol(c, part)
	}
}

// forms are the names of native flows that are filled in. Any other with an id was tapped.
var forms = map[string]bool{"flow": true, "galaxy_message": true}

// readNative reads the answer to a native flow: a completed form, or a tapped button or row.
func readNative(c *inbound.Content, native rawjson.Value) {
	answers := get(native, "paramsJson")
	if !answers.Exists() {
		return
	}
	tap := answers
	if answers.IsString() {
		tap, _ = rawjson.Parse([]byte(answers.Text()))
	}
	if id := get(tap, "id").Text(); id != "" && !forms[get(native, "name").Text()] {
		c.ReplyID = id
		c.Text = cmp.Or(c.Text, get(tap, "title").Text(), get(tap, "display_text").Text())
		return
	}
	c.Text, c.Form = inbound.FormText(c.Text, answers), true
}

func readMedia(part rawjson.Value) *inbound.Media {
	media := &inbound.Media{
		MIME:  get(part, "mimetype").Text(),
		Name:  get(part, "fileName").Text(),
		Size:  max(0, get(part, "fileLength").Int()),
		Voice: get(part, "ptt").Bool(),
	}
	if low := get(part, "fileLength", "low"); low.Exists() {
		media.Size = max(0, low.Int())
	}
	if sum, err := base64.StdEncoding.DecodeString(get(part, "fileSha256").Text()); err == nil && len(sum) == 32 {
		media.SHA256 = hex.EncodeToString(sum)
	}
	return media
}

// readProtocol reads an edit or a revoke: a message about another message.
func readProtocol(c *inbound.Content, part rawjson.Value) {
	packed := get(part, "message")
	edited := get(part, "editedMessage")
	if inner := get(innermost(packed), "protocolMessage"); inner.IsObject() {
		part, edited = inner, get(inner, "editedMessage")
	} else if packed.IsObject() && !edited.IsObject() { // only the new text, under the edited message's id
		edited = packed
	}
	c.TargetID = get(part, "key", "id").Text()
	kind := get(part, "type").Text()
	switch {
	case edited.IsObject():
		readEdit(c, edited)
	case kind == "REVOKE" || kind == "0":
		c.Type = "revoke"
	default:
		c.Type = "protocol"
	}
}

// readEdit reads the new content of an edited message.
func readEdit(c *inbound.Content, edited rawjson.Value) {
	var now inbound.Content
	fill(&now, edited)
	c.Type, c.Text, c.Media, c.QuotedID = "edit", now.Text, now.Media, cmp.Or(now.QuotedID, c.QuotedID)
	aim(c, "") // sets the file's id to the edited message's
}

// aim sets the target of an edit that has none, and gives its file the target's id.
func aim(c *inbound.Content, id string) {
	c.TargetID = cmp.Or(c.TargetID, id)
	if c.Media != nil {
		c.Media.ID = c.TargetID
	}
}

// edited reads messages.edited, which holds the bare protocol message.
func (d *decoder) edited(m rawjson.Value) {
	d.readTarget(m, func(c *inbound.Content) { readProtocol(c, m) })
}

// deleted reads messages.delete, which holds the key of the deleted message.
func (d *decoder) deleted(m rawjson.Value) {
	d.readTarget(m, func(c *inbound.Content) {
		c.Type = "revoke"
		c.TargetID = cmp.Or(m.Get("key", "id").Text(), m.Get("id").Text(), m.Get("keyId").Text())
	})
}

// readTarget adds an edit or a delete. They have no id of their own.
func (d *decoder) readTarget(m rawjson.Value, read func(*inbound.Content)) {
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

// statuses maps Baileys' statuses to the Cloud API's.
var statuses = map[string]string{
	"ERROR": "failed", "PENDING": "accepted", "SERVER_ACK": "sent", "DELIVERY_ACK": "delivered",
	"READ": "read", "PLAYED": "played",
	"0": "failed", "1": "accepted", "2": "sent", "3": "delivered", "4": "read", "5": "played",
}

// update reads one status of messages.update.
func (d *decoder) update(m rawjson.Value) {
	id := cmp.Or(m.Get("keyId").Text(), m.Get("key", "id").Text())
	if edited := m.Get("update", "message", "editedMessage"); edited.IsObject() { // an edit, as Baileys reports it
		d.readTarget(m, func(c *inbound.Content) {
			readProtocol(c, edited)
			aim(c, id)
		})
		return
	}
	word := cmp.Or(m.Get("status").Text(), m.Get("update", "status").Text())
	if !usable(id) || !usable(word) {
		d.broken(m)
		return
	}
	key := m.Get("key")
	if !key.IsObject() {
		key = m
	}
	person, group := keyOf(key).Who()
	status, ok := statuses[strings.ToUpper(word)]
	if !ok {
		status = strings.ToLower(word)
	}
	a := d.keep(inbound.Status, m, "")
	a.ID, a.Person = id, person
	a.Report = &inbound.Report{Status: status}
	if group != "" {
		a.Person.ExternalID = cmp.Or(a.Person.ExternalID, group)
	}
	// SentAt stays zero: the event's date_time is local time with a wrong Z.
}

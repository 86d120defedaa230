package evolution

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
)

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

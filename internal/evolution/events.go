package evolution

import (
	"encoding/json"
	"strings"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// passing are the events of presence and of chats, as squeeze writes them: there are
// many for each message, and nobody asks for them later.
var passing = map[string]bool{
	"chatsdelete": true, "chatsset": true, "chatsupdate": true, "chatsupsert": true, "presenceupdate": true,
	"chatpresence": true, "presence": true, // Evolution Go
}

// quiet are the other events that carry nobody's message: about the instance,
// contacts, groups and calls. An event that is not among them may hold what somebody
// wrote, so it is never put aside in silence.
var quiet = map[string]bool{
	"applicationstartup": true, "call": true, "connectionupdate": true, "contactsset": true, "contactsupdate": true, "contactsupsert": true,
	"groupparticipantsupdate": true, "groupsupdate": true, "groupupdate": true, "groupsupsert": true,
	"instancecreate": true, "instancedelete": true, "labelsassociation": true, "labelsedit": true, "logoutinstance": true,
	"newjwt": true, "newtoken": true, "qrcodeupdated": true, "removeinstance": true,
	"sendmessageupdate": true, "statusinstance": true, "typebotchangestatus": true, "typebotstart": true,
	// Evolution Go.
	"connected": true, "disconnected": true, "loggedout": true, "pairsuccess": true,
	"qrcode": true, "receipt": true,
}

// squeeze writes PRESENCE_UPDATE, presence.update and PresenceUpdate alike.
func squeeze(event string) string {
	return strings.NewReplacer("_", "", "-", "", ".", "").Replace(strings.ToLower(event))
}

// other reads an event of another name than those of messages.
func (d *decoder) other() {
	switch name := squeeze(d.name); {
	case name == "message" && d.data.Get("Info").IsObject():
		d.fromGo(d.data)
	case passing[name]:
		d.keep(inbound.Presence, d.event, "")
	case quiet[name]:
		d.keep(inbound.Account, d.event, "")
	default:
		d.keep(inbound.Unknown, d.event, "unknown_shape")
	}
}

// fromGo reads a message of Evolution Go, which names it as whatsmeow does.
func (d *decoder) fromGo(m rawjson.Value) {
	info := m.Get("Info")
	a := inbound.Arrival{
		Kind: inbound.Message, ID: info.Get("ID").Text(), LineRef: d.instance, Provider: Provider, Shape: Shape,
		SentAt: info.Get("Timestamp").Time(), Raw: json.RawMessage(m),
	}
	person, elsewhere := inbound.Person{}, ""
	if chat := info.Get("Chat").Text(); info.Get("IsGroup").Bool() || !Somebody(chat) {
		elsewhere = chat
		Identify(&person, info.Get("SenderAlt").Text(), info.Get("Sender").Text())
	} else {
		Identify(&person, info.Get("SenderAlt").Text(), info.Get("RecipientAlt").Text(), chat)
	}
	if info.Get("IsFromMe").Bool() {
		a.Kind = inbound.Echo
	} else {
		person.Name = inbound.Name(info.Get("PushName").Text())
	}
	var c inbound.Content
	fill(&c, m.Get("Message"))
	if c.Media != nil {
		c.Media.ID = a.ID
	}
	d.add(a, person, elsewhere, c, m)
}

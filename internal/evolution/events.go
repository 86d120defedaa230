package evolution

import (
	"cmp"
	"strings"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// passing lists the events of presence and chats, as squeeze writes them. There are many
// per message, and nobody needs them later.
var passing = map[string]bool{
	"chatsdelete": true, "chatsset": true, "chatsupdate": true, "chatsupsert": true, "presenceupdate": true,
	"archive": true, "chatpresence": true, "presence": true, // Evolution Go
}

// quiet lists the other events that carry no message: about the instance, contacts, groups
// and calls. An event on neither list may hold a message, so it is never dropped silently.
var quiet = map[string]bool{
	"applicationstartup": true, "call": true, "connectionupdate": true, "contactsset": true, "contactsupdate": true, "contactsupsert": true,
	"credsupdate": true, "error": true, "errors": true,
	"groupparticipantsupdate": true, "groupsupdate": true, "groupupdate": true, "groupsupsert": true,
	"instancecreate": true, "instancedelete": true, "labelsassociation": true, "labelsedit": true, "logoutinstance": true,
	"newjwt": true, "newtoken": true, "qrcodeupdated": true, "removeinstance": true,
	"sendmessageupdate": true, "statusinstance": true, "typebotchangestatus": true, "typebotstart": true,
	// Evolution Go.
	"callaccept": true, "calloffer": true, "calloffernotice": true, "callrelaylatency": true, "callterminate": true,
	"connected": true, "connectfailure": true, "contact": true, "disconnected": true, "groupinfo": true, "joinedgroup": true,
	"labelassociationchat": true, "labelassociationmessage": true, "labeledit": true, "loggedout": true,
	"newsletterjoin": true, "newsletterleave": true, "offlinesynccompleted": true, "pairsuccess": true, "pushname": true,
	"qrcode": true, "qrtimeout": true, "receipt": true, "temporaryban": true,
}

// squeeze maps PRESENCE_UPDATE, presence.update and PresenceUpdate to the same name.
func squeeze(event string) string {
	return strings.NewReplacer("_", "", "-", "", ".", "").Replace(strings.ToLower(event))
}

// other reads an event that is not named after messages.
func (d *decoder) other() {
	switch name := squeeze(d.name); {
	case name == "message" && get(d.data, "Info").IsObject(): // the server may have failed to decrypt it
		d.fromGo(d.data)
	case name == "historysync":
		d.keep(inbound.History, d.event, "")
	case passing[name]:
		d.keep(inbound.Presence, d.event, "")
	case quiet[name]:
		d.keep(inbound.Account, d.event, "")
	case d.data.IsArray():
		d.unnamed()
	case ofGo(d.data), ofBaileys(d.data):
		d.message(d.data)
	default:
		d.keep(inbound.Unknown, d.event, "unknown_shape")
	}
}

// unnamed reads a list in an event of unknown name. Without a message in it, the event is
// kept whole.
func (d *decoder) unnamed() {
	is := func(m rawjson.Value) bool { return ofGo(m) || ofBaileys(m) }
	found := false
	for item := range d.data.Items() {
		if found = is(item); found {
			break
		}
	}
	if !found {
		d.keep(inbound.Unknown, d.event, "unknown_shape")
		return
	}
	for item := range inbound.Within(d.batch, d.data.Items()) {
		if is(item) {
			d.message(item)
		} else {
			d.keep(inbound.Unknown, item, "unknown_shape")
		}
	}
}

// ofBaileys reports whether a value is a message as Baileys writes it, whatever the
// event's name. A key without a message belongs to a receipt or a change.
func ofBaileys(v rawjson.Value) bool {
	return v.Get("key", "remoteJid").IsString() && v.Get("message").IsObject()
}

// ofGo reports whether a value is a message of Evolution Go, which writes them as whatsmeow
// does.
func ofGo(v rawjson.Value) bool { return v.Get("Info").IsObject() && v.Get("Message").IsObject() }

func (d *decoder) fromGo(m rawjson.Value) {
	info := m.Get("Info")
	text := func(name string) string { return info.Get(name).Text() }
	key := Key{
		Chat:         text("Chat"),
		Alts:         []string{text("SenderAlt")},
		Participants: []string{text("SenderAlt"), text("Sender")},
		FromMe:       info.Get("IsFromMe").Bool() || d.ours(),
	}
	if key.FromMe { // we are the sender
		key.Alts = []string{text("RecipientAlt")}
		outgoing, _ := phoneOf(text("Sender"))
		d.ownNumber = cmp.Or(d.ownNumber, outgoing)
		// Evolution Go puts our own number in Chat if the chat has a hidden id.
		if to, ok := phoneOf(text("RecipientAlt")); ok && to != outgoing && key.Chat == text("Sender") {
			key.Chat = text("RecipientAlt")
		}
	}
	d.said(m, key, text("ID"), text("PushName"), info.Get("Timestamp").Time())
}

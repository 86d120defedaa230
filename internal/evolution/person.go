package evolution

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// Servers of JIDs. A server that WhatsApp adds later is not taken for a person's.
const (
	personServer    = "s.whatsapp.net"
	oldServer       = "c.us"
	hiddenServer    = "lid"
	hostedServer    = "hosted"
	hiddenHosted    = "hosted.lid"
	groupServer     = "g.us"
	broadcastServer = "broadcast"
	// statusUser is the broadcast list of status updates.
	statusUser = "status"
)

// whatsApps matches WhatsApp's own accounts, which look like a person's: announcements,
// support, bots.
var whatsApps = regexp.MustCompile(`^(?:0|16505361212|1313555\d{4}|131655500\d{2})$`)

// userOf matches the user part of a person's JID: digits, then perhaps agent and device.
var userOf = regexp.MustCompile(`^\+?(\d+)(?:_\d+)?(?:(?:\.\d+)?:\d+)?$`)

// split returns the user and server of a JID, without the device:
// 549…_1:12@s.whatsapp.net is the user 549…. Bare digits have no server.
func split(jid string) (user, server string) {
	user, server, _ = strings.Cut(strings.TrimSpace(jid), "@")
	if digits := userOf.FindStringSubmatch(user); digits != nil {
		user = digits[1]
	}
	return user, server
}

// personal reports whether a server is for people.
func personal(server string) bool {
	switch server {
	case "", personServer, oldServer, hostedServer, hiddenServer, hiddenHosted:
		return true
	}
	return false
}

// named reports whether a user of a personal server is a number. Words name nobody, and a
// number in scientific notation (5.49116E+12) names many people.
func named(user string) bool { return user != "" && strings.Trim(user, "0123456789") == "" }

// Somebody reports whether a JID, or bare digits, belongs to a person who may be answered.
func Somebody(jid string) bool {
	user, server := split(jid)
	if server == hiddenServer || server == hiddenHosted {
		return named(user)
	}
	return personal(server) && named(user) && !whatsApps.MatchString(user)
}

// notPerson reports whether a JID names a group, a channel, a bot or WhatsApp itself. A
// personal JID without a number names nothing.
func notPerson(jid string) bool {
	user, server := split(jid)
	return jid != "" && !Somebody(jid) && (!personal(server) || named(user))
}

// IsJID reports whether a text is a JID on a known server.
func IsJID(text string) bool {
	_, server := split(text)
	switch server {
	case groupServer, broadcastServer, "newsletter", "bot", "call":
		return true
	}
	return server != "" && personal(server)
}

// phoneOf returns the phone of a personal JID, or of bare digits. A hidden id has none.
func phoneOf(jid string) (phone string, ok bool) {
	user, server := split(jid)
	if !Somebody(jid) || server == hiddenServer || server == hiddenHosted {
		return "", false
	}
	return user, true
}

// Identify adds the JIDs of one person: the digits of a personal JID are the phone, a
// hidden one is an external id and never a phone. Others are ignored.
func Identify(p *inbound.Person, jids ...string) {
	for _, jid := range jids {
		if len(jid) > inbound.MaxID {
			continue
		}
		if phone, ok := phoneOf(jid); ok {
			p.Phone = cmp.Or(p.Phone, phone)
		} else if Somebody(jid) {
			user, server := split(jid)
			p.ExternalID = cmp.Or(p.ExternalID, user+"@"+server)
		}
	}
}

// Key names the chat and the people of a message, as JIDs. Any of them may be missing.
type Key struct {
	Chat         string
	Alts         []string // other JIDs of the person in the chat
	Participants []string // JIDs of the author, in a chat of several people
	FromMe       bool
}

// Who returns the person that a message is from or to. elsewhere is the JID of the group,
// channel or status that it was written in, "" for a chat between the person and us; nobody
// is answered elsewhere. A contact's message to a broadcast list counts as a private one.
func (k Key) Who() (p inbound.Person, elsewhere string) {
	switch user, server := split(k.Chat); {
	case server == broadcastServer && user != statusUser && !k.FromMe:
		Identify(&p, k.Participants...)
		return p, ""
	case server == groupServer, server == broadcastServer:
		Identify(&p, k.Participants...)
		return p, k.Chat
	}
	names := append(slices.Clone(k.Alts), k.Chat)
	for _, jid := range names {
		if notPerson(jid) {
			return p, jid
		}
	}
	Identify(&p, names...)
	return p, ""
}

func keyOf(key rawjson.Value) Key {
	text := func(name string) string { return key.Get(name).Text() }
	return Key{
		Chat:         text("remoteJid"),
		Alts:         []string{text("remoteJidAlt"), text("senderPn")}, // senderPn is the older name
		Participants: []string{text("participantAlt"), text("participantPn"), text("participant")},
		FromMe:       key.Get("fromMe").Bool(),
	}
}

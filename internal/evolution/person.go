package evolution

import (
	"regexp"
	"slices"
	"strings"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// Servers of JIDs. Those of people are listed, as whatever else WhatsApp adds is not
// somebody who waits for an answer.
const (
	personServer    = "s.whatsapp.net"
	oldServer       = "c.us"
	hiddenServer    = "lid"
	hostedServer    = "hosted"
	hiddenHosted    = "hosted.lid"
	groupServer     = "g.us"
	broadcastServer = "broadcast"
	// statusUser is the broadcast list of those who put something into their status.
	statusUser = "status"
)

// whatsApps own accounts have the form of a person's: announcements, support, bots.
var whatsApps = regexp.MustCompile(`^(?:0|16505361212|1313555\d{4}|131655500\d{2})$`)

// userOf is the user of a person's JID: digits, before the agent and the device.
var userOf = regexp.MustCompile(`^\+?(\d+)(?:_\d+)?(?:(?:\.\d+)?:\d+)?$`)

// split takes a JID apart: 549…_1:12@s.whatsapp.net is the user 549…, on a device of
// theirs. Bare digits have no server.
func split(jid string) (user, server string) {
	user, server, _ = strings.Cut(strings.TrimSpace(jid), "@")
	if digits := userOf.FindStringSubmatch(user); digits != nil {
		user = digits[1]
	}
	return user, server
}

// personal reports whether a server is one of people.
func personal(server string) bool {
	switch server {
	case "", personServer, oldServer, hostedServer, hiddenServer, hiddenHosted:
		return true
	}
	return false
}

// named reports whether a user of a personal server has a number. What a spreadsheet
// made of it (5.49116E+12) is that of many, and words are nobody's.
func named(user string) bool { return user != "" && strings.Trim(user, "0123456789") == "" }

// Somebody reports whether a JID, or bare digits, are of a person who may be answered.
func Somebody(jid string) bool {
	user, server := split(jid)
	if server == hiddenServer || server == hiddenHosted {
		return named(user)
	}
	return personal(server) && named(user) && !whatsApps.MatchString(user)
}

// notPerson reports whether a JID names what is not a person: a group, a channel, a
// bot, WhatsApp itself. A personal one without a number names nothing.
func notPerson(jid string) bool {
	user, server := split(jid)
	return jid != "" && !Somebody(jid) && (!personal(server) || named(user))
}

// IsJID reports whether a text is an address of WhatsApp's: on a server that we know.
func IsJID(text string) bool {
	_, server := split(text)
	switch server {
	case groupServer, broadcastServer, "newsletter", "bot", "call":
		return true
	}
	return server != "" && personal(server)
}

// phoneOf returns the digits of a personal JID, or bare digits. Hidden ids have none.
func phoneOf(jid string) (phone string, ok bool) {
	user, server := split(jid)
	if !Somebody(jid) || server == hiddenServer || server == hiddenHosted {
		return "", false
	}
	return user, true
}

// Identify puts the JIDs that name one person where they belong: digits of a
// personal one are the phone; a hidden one is an external id and never a phone.
// What is nobody's names nobody.
func Identify(p *inbound.Person, jids ...string) {
	for _, jid := range jids {
		if len(jid) > inbound.MaxID {
			continue
		}
		if phone, ok := phoneOf(jid); ok {
			p.Phone = orElse(p.Phone, phone)
		} else if Somebody(jid) {
			user, server := split(jid)
			p.ExternalID = orElse(p.ExternalID, user+"@"+server)
		}
	}
}

// Key names where a message was said and by whom, in JIDs; any of them may be missing.
type Key struct {
	Chat         string
	Alts         []string // other names of whom we talk with there
	Participants []string // names of who wrote, where there are several
	FromMe       bool
}

// Who reads who a message is about: the person, and where it was said when that
// is not between them and us: a group, a channel, a status. Nobody is answered there.
// Who sends to a broadcast list writes to each of its members alone.
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

// keyOf reads the key of a message.
func keyOf(key rawjson.Value) Key {
	text := func(name string) string { return key.Get(name).Text() }
	return Key{
		Chat:         text("remoteJid"),
		Alts:         []string{text("remoteJidAlt"), text("senderPn")}, // senderPn is what older versions called it
		Participants: []string{text("participantAlt"), text("participantPn"), text("participant")},
		FromMe:       key.Get("fromMe").Bool(),
	}
}

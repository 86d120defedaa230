package evolution

import (
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

// whatsApps own accounts have the form of a person's: announcements, support, Meta AI.
var whatsApps = map[string]bool{"0": true, "server": true, "16505361212": true, "13135550002": true}

// split takes a JID apart: 549…:12@s.whatsapp.net is the user 549…, on a device of
// theirs. Bare digits have no server.
func split(jid string) (user, server string) {
	user, server, _ = strings.Cut(strings.TrimSpace(jid), "@")
	user, _, _ = strings.Cut(user, ":")
	return strings.TrimPrefix(user, "+"), server
}

// somebody reports whether a JID is of a person who may be answered.
func somebody(jid string) bool {
	user, server := split(jid)
	switch server {
	case "", personServer, oldServer, hostedServer:
		return user != "" && !whatsApps[user]
	case hiddenServer, hiddenHosted:
		return user != ""
	}
	return false
}

// phoneOf returns the digits of a personal JID, or bare digits. Hidden ids have none.
func phoneOf(jid string) (phone string, ok bool) {
	user, server := split(jid)
	if !somebody(jid) || server == hiddenServer || server == hiddenHosted || strings.Trim(user, "0123456789") != "" {
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
		} else if strings.Contains(jid, "@") && somebody(jid) {
			p.ExternalID = orElse(p.ExternalID, jid)
		}
	}
}

// readKey reads who a message key is about: the person, and where it was said when that
// is not between them and us: a group, a channel, a status. Nobody is answered there.
// Who sends to a broadcast list writes to each of its members alone.
func readKey(key rawjson.Value) (p inbound.Person, elsewhere string) {
	jid := key.Get("remoteJid").Text()
	switch user, server := split(jid); {
	case server == broadcastServer && user != statusUser && !key.Get("fromMe").Bool():
		Identify(&p, key.Get("participantAlt").Text(), key.Get("participantPn").Text(), key.Get("participant").Text())
		return p, ""
	case server == groupServer, server == broadcastServer:
		Identify(&p, key.Get("participantAlt").Text(), key.Get("participantPn").Text(), key.Get("participant").Text())
		return p, jid
	case jid != "" && !somebody(jid):
		return p, jid
	}
	// senderPn is what versions before remoteJidAlt called it.
	Identify(&p, key.Get("remoteJidAlt").Text(), key.Get("senderPn").Text(), jid)
	return p, ""
}

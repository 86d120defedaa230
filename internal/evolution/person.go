package evolution

import (
	"strings"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
)

const (
	personSuffix    = "@s.whatsapp.net"
	oldPersonSuffix = "@c.us"
	lidSuffix       = "@lid"
	groupSuffix     = "@g.us"
	broadcastSuffix = "@broadcast"
)

// phoneOf returns the digits of a personal JID (with or without a device,
// 549…:12@s.whatsapp.net), or of bare digits. Hidden ids, groups and broadcasts
// have none.
func phoneOf(jid string) (phone string, ok bool) {
	user, server, found := strings.Cut(strings.TrimSpace(jid), "@")
	if server = "@" + server; found && server != personSuffix && server != oldPersonSuffix {
		return "", false
	}
	user, _, _ = strings.Cut(user, ":")
	user = strings.TrimPrefix(user, "+")
	if user == "" || strings.Trim(user, "0123456789") != "" {
		return "", false
	}
	return user, true
}

// Identify puts the JIDs that name one person where they belong: digits of a
// personal one are the phone; a hidden one is an external id and never a phone.
func Identify(p *inbound.Person, jids ...string) {
	for _, jid := range jids {
		if len(jid) > inbound.MaxID {
			continue
		}
		if phone, ok := phoneOf(jid); ok {
			p.Phone = orElse(p.Phone, phone)
		} else if strings.Contains(jid, "@") {
			p.ExternalID = orElse(p.ExternalID, jid)
		}
	}
}

// readKey reads who a message key is about: the person, and the group when it
// was said in one.
func readKey(key rawjson.Value) (p inbound.Person, group string) {
	jid := key.Get("remoteJid").Text()
	if strings.HasSuffix(jid, groupSuffix) || strings.HasSuffix(jid, broadcastSuffix) {
		Identify(&p, key.Get("participantAlt").Text(), key.Get("participant").Text())
		return p, jid
	}
	// senderPn is what versions before remoteJidAlt called it.
	Identify(&p, key.Get("remoteJidAlt").Text(), key.Get("senderPn").Text(), jid)
	return p, ""
}

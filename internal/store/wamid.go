package store

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/psivisionhub/psi-router/internal/inbound"
)

// wamidSuffix returns the part of a WhatsApp message id that is the same on both
// sides of a chat, "" when the id has no such part. The rest of an id names the
// other side's number, so that a reaction may name its message by another id
// than the one that we were given.
func wamidSuffix(id string) string {
	encoded, ok := strings.CutPrefix(id, "wamid.")
	if !ok {
		return ""
	}
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if err != nil {
		return ""
	}
	// 1c 18 <len> number … 18 <len> stanza 00
	number, ok := bytes.CutPrefix(raw, []byte{0x1c, 0x18})
	if !ok || len(number) == 0 || len(number) <= int(number[0]) {
		return ""
	}
	rest := number[1+int(number[0]):]
	i := bytes.IndexByte(rest, 0x18)
	if i < 0 || len(rest) < i+2 {
		return ""
	}
	size := int(rest[i+1])
	if rest = rest[i+2:]; size == 0 || len(rest) < size {
		return ""
	}
	return string(rest[:size])
}

// findBySuffix returns the message of a conversation whose id has the same suffix.
func (u *Unit) findBySuffix(contact *ContactRow, a *inbound.Arrival) *MessageRow {
	want := wamidSuffix(a.Content.TargetID)
	if want == "" || contact == nil {
		return nil
	}
	conv := contact.conversations[a.Line]
	for _, m := range u.Messages {
		if conv != nil && m.ConversationRow.Survivor() == conv && wamidSuffix(m.ProviderID) == want {
			return m
		}
	}
	return nil
}

// Package wamid reads the ids that WhatsApp gives to messages ("wamid." and base64):
// the part that tells two messages apart, and the mask under which an id may be
// logged, as it holds a phone number. It must never refuse an id.
package wamid

import (
	"bytes"
	"encoding/base64"
	"strings"
)

// Suffix returns the part of a WhatsApp message id that is the same on both
// sides of a chat, "" when the id has no such part. The rest of an id names the
// other side's number, so that a reaction may name its message by another id
// than the one that we were given.
func Suffix(id string) string {
	encoded, ok := strings.CutPrefix(id, "wamid.")
	if !ok {
		return ""
	}
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if err != nil {
		return ""
	}
	// 1c 18 <len> number … 18 <len> suffix 00
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

// Mask hides the phone number that an id carries in base64. It keeps the end, which
// tells ids apart.
func Mask(id string) string {
	const keep = 24
	head, rest, found := strings.Cut(id, "wamid.")
	if !found || len(rest) <= keep {
		return id
	}
	return head + "wamid.***" + rest[len(rest)-keep:]
}

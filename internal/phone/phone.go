// Package phone knows telephone numbers as WhatsApp writes them: Key gives all spellings of
// a number one form, Typed reads the numbers that people type, and Mask hides a number in
// logs. It must never refuse a number that WhatsApp sent.
package phone

import (
	"log/slog"
	"strings"
	"unicode/utf8"
)

// Masked is a phone number or another personal id that logs show masked.
type Masked string

// LogValue implements slog.LogValuer.
func (m Masked) LogValue() slog.Value { return slog.StringValue(Mask(string(m))) }

// String masks too, so that %s and %v cannot leak it.
func (m Masked) String() string { return Mask(string(m)) }

// Mask keeps the last three characters: enough for a person to recognise a
// number, not enough to have it.
func Mask(id string) string {
	const keep = 3
	n := utf8.RuneCountInString(id)
	if n <= keep {
		return strings.Repeat("*", n)
	}
	tail := id
	for range n - keep {
		_, size := utf8.DecodeRuneInString(tail)
		tail = tail[size:]
	}
	return "***" + tail
}

// Package phone knows telephone numbers as WhatsApp writes them: the key under
// which the ways to write one number meet, and the mask under which a number
// may be logged. It must never refuse a number: validity is not its business.
package phone

import (
	"log/slog"
	"strings"
)

// Masked is a phone number or another personal id that logs print masked.
type Masked string

// LogValue implements slog.LogValuer.
func (m Masked) LogValue() slog.Value { return slog.StringValue(Mask(string(m))) }

// String masks too, so that %s and %v cannot leak it.
func (m Masked) String() string { return Mask(string(m)) }

// Mask keeps the last three characters: enough for a person to recognise a
// number, not enough to have it.
func Mask(id string) string {
	const keep = 3
	if len(id) <= keep {
		return strings.Repeat("*", len(id))
	}
	return "***" + id[len(id)-keep:]
}

// Key returns the form under which the ways to write one number meet: digits in
// international form, with Argentina's mobile 9 added and Mexico's 1 dropped.
// country (ISO 3166 alpha-2) is where a national number belongs.
func Key(raw, country string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, raw)
}

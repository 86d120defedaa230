package phone

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// ErrNotPhone is returned by Typed for anything but one phone number.
var ErrNotPhone = errors.New("not a phone number")

// A shorter number reaches no WhatsApp account; E.164 ends at 15 digits.
const (
	minDigits = 6
	maxDigits = 15
)

// prefixes are the prefixes of links to a number.
var prefixes = []string{"tel:", "whatsapp:"}

// Typed reads a phone as a person, a spreadsheet or a workflow wrote it, and returns the
// digits of its international form. country (ISO 3166 alpha-2) applies to numbers without a
// country code; "" is none. Invisible marks, brackets, and dashes and spaces of every kind
// are ignored. Typed returns ErrNotPhone if the text may stand for another number: letters,
// two numbers, scientific notation, more or fewer digits than the country has, a leading 0
// that no trunk or exit code explains.
//
// It is not for numbers that WhatsApp sends: those are valid whatever they look like.
func Typed(text, country string) (string, error) {
	digits, explicit, ok := typed(text)
	if !ok {
		return "", ErrNotPhone
	}
	written := digits
	if explicit {
		written = "+" + digits
	}
	var rules []Rule
	key := canonical(written, country, &rules)
	did := func(any ...Rule) bool {
		return slices.ContainsFunc(any, func(r Rule) bool { return slices.Contains(rules, r) })
	}
	if strings.HasPrefix(digits, "0") && !did(RuleTrunk, RuleExit) || !fits(key, explicit || did(RuleExit), country == "") || len(key) < minDigits {
		return "", ErrNotPhone
	}
	if did(RuleCountry, RuleTrunk, RuleLocal15, RuleArea15) { // it was in national form
		return key, nil
	}
	return strings.TrimLeft(digits, "0"), nil
}

// typed returns the digits of a text; ok is false if it has characters that no number has.
func typed(text string) (digits string, explicit, ok bool) {
	text = strings.TrimSpace(strings.Map(visible, text))
	for _, p := range prefixes {
		if len(text) >= len(p) && strings.EqualFold(text[:len(p)], p) {
			text = text[len(p):]
			break
		}
	}
	if whole := decimal.FindStringSubmatch(text); whole != nil {
		text = whole[1]
	}
	before, after, found := strings.Cut(text, "(0)")
	if !found || before == "" {
		return scan(text)
	}
	code, _, ok := scan(before) // a country code before "(0)" makes it international
	rest, plus, rested := scan(after)
	return code + rest, true, ok && rested && !plus && trunked(code)
}

// scan returns the digits; ok is false if a character other than a usual separator stands
// between them.
func scan(text string) (digits string, explicit, ok bool) {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r >= '0' && r <= '9':
			b.WriteRune(r)
		case (r == '+' || r == '＋') && b.Len() == 0 && !explicit:
			explicit = true
		case r == '.' || r == '(' || r == ')' || r == '−' || unicode.IsSpace(r) || unicode.Is(unicode.Pd, r):
		default:
			return "", false, false
		}
	}
	return b.String(), explicit, b.Len() > 0
}

// decimal matches a number to which a spreadsheet added ".0".
var decimal = regexp.MustCompile(`^(\+?\d+)\.0+$`)

// trunked reports whether digits are a country code that people write "(0)" after. North
// America's is not: it has no trunk 0.
func trunked(digits string) bool {
	code := strings.TrimPrefix(digits, "00")
	return code != "1" && codeOf(code) == code
}

// visible drops the invisible marks of copied numbers: direction, joiners, variants.
func visible(r rune) rune {
	if unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r) {
		return -1
	}
	return r
}

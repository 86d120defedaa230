package phone

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// ErrNotPhone is what Typed says of everything that is not one phone number.
var ErrNotPhone = errors.New("not a phone number")

// Numbers of fewer digits reach no WhatsApp account; E.164 ends at 15.
const (
	minDigits = 6
	maxDigits = 15
)

// prefixes are those of links to a number.
var prefixes = []string{"tel:", "whatsapp:"}

// Typed reads what a person, a spreadsheet or a workflow wrote as a phone, and
// returns the digits of its international form. country (ISO 3166 alpha-2) is where
// numbers without a country code belong; "" is none. Invisible marks, brackets, and
// dashes and spaces of every kind do not matter. Whatever may be another number than
// the one meant is ErrNotPhone: letters, two numbers, scientific notation, more or
// fewer digits than the country has, a leading 0 that no trunk or exit code explains.
//
// It is not for what WhatsApp sends: that is a number however it looks.
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
	if did(RuleCountry, RuleTrunk, RuleLocal15, RuleArea15) { // as it is dialled at home only
		return key, nil
	}
	return strings.TrimLeft(digits, "0"), nil
}

// typed takes away what does not matter in a number, and is not ok with what does.
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
	code, _, ok := scan(before) // what follows "(0)" is of a country then, as after a plus
	rest, plus, rested := scan(after)
	return code + rest, true, ok && rested && !plus && trunked(code)
}

// scan keeps the digits, and is not ok with what does not stand between those of a number.
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

// decimal is a number as a spreadsheet writes it.
var decimal = regexp.MustCompile(`^(\+?\d+)\.0+$`)

// trunked reports whether digits are a country code that people write "(0)" behind:
// that of North America has no 0 to dial.
func trunked(digits string) bool {
	code := strings.TrimPrefix(digits, "00")
	return code != "1" && codeOf(code) == code
}

// visible drops the marks that come along with copied numbers: direction, joiners, variants.
func visible(r rune) rune {
	if unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r) {
		return -1
	}
	return r
}

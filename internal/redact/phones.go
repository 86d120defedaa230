package redact

import (
	"regexp"
	"slices"
	"strings"

	"github.com/psivisionhub/psi-router/internal/phone"
)

var (
	// dates have many digits and are no phone numbers; m=+… is Go's monotonic clock.
	dates = regexp.MustCompile(`\d{4}[-/]\d{2}[-/]\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[+-]\d{2}(?::?\d{2})?)?)?|\d{8}T\d{6}|m=\+\d+\.\d+`)
	// writtenNumber is a number as people write it: with a plus, or ending in two groups.
	writtenNumber = regexp.MustCompile(`\+[ (]{0,2}\d{1,4}(?:[ .()-]{0,3}\d{1,8}){1,7}|\(?\d{1,5}\)?(?:[ -]{1,2}\(?\d{1,5}\)?)*[ -]\d{3,4}[ -]\d{4}`)
	// timestamps are dates without separators: days, and Unix seconds or milliseconds. No
	// number in Argentina or the USA looks like one.
	timestamps = regexp.MustCompile(`^(?:20\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])|1[6-9]\d{8}|1[6-9]\d{11})$`)
)

// Phone numbers have 8 to 13 digits in practice. With 14 and more, only a plus tells them from
// Meta's ids.
const (
	minDigits        = 8
	minGroupedDigits = 10 // in groups, without a plus
	maxDigits        = 13
	maxPlusDigits    = 15
)

// phones returns the places of phone numbers, in any view of a text.
func phones(s string) (found []span) {
	if len(s) < minDigits {
		return nil
	}
	for _, v := range views(s) {
		for _, at := range numbers(v.text) {
			found = append(found, span{v.at(at.from), v.at(at.to)})
		}
	}
	return found
}

func numbers(s string) (found []span) {
	for i := 0; i < len(s); {
		chain, groups := nextDigits(s, i)
		i = chain.to
		for _, at := range groups {
			if isNumber(s, at) {
				found = append(found, at)
			}
		}
		text := s[chain.from:chain.to]
		if n := len(digitsOf(text)); len(groups) < 2 || n < minDigits || n < minGroupedDigits && !strings.Contains(text, "+") {
			continue
		}
		for _, at := range spans(writtenNumber, text) {
			at = span{chain.from + at.from, chain.from + at.to}
			if isWritten(s, at) {
				found = append(found, at)
			}
		}
	}
	if found == nil {
		return nil
	}
	known := slices.Concat(spans(dates, s), spans(uuid, s), spans(ids, s))
	return slices.DeleteFunc(found, func(at span) bool { return within(at, known) })
}

// nextDigits finds the next groups of digits from i on, as long as only separators of a number
// stand between them. The chain includes a plus or bracket before them.
func nextDigits(s string, i int) (chain span, groups []span) {
	for i < len(s) && !digit(s[i]) {
		i++
	}
	chain = span{i, i}
	for chain.from > 0 && strings.IndexByte("+( ", s[chain.from-1]) >= 0 {
		chain.from--
	}
	for i < len(s) && digit(s[i]) {
		at := span{i, i}
		for at.to < len(s) && digit(s[at.to]) {
			at.to++
		}
		chain.to = at.to
		if at.from > 0 && s[at.from-1] == '+' {
			at.from--
		}
		groups = append(groups, at)
		for i = chain.to; i < len(s) && i < chain.to+3 && strings.IndexByte(" .()-", s[i]) >= 0; {
			i++
		}
	}
	return chain, groups
}

// isNumber reports whether one group of digits is a phone number, by its length and its
// neighbours.
func isNumber(s string, at span) bool {
	digits, plus := strings.CutPrefix(s[at.from:at.to], "+")
	least := minDigits
	if at.from > 0 && !plus {
		switch before := s[at.from-1]; {
		case letter(before), before == '.' && at.from > 1 && digit(s[at.from-2]):
			return false // part of a word or a fraction
		case before == '-', before == '_':
			least = minGroupedDigits // mostly part of a name
		}
	}
	if at.to < len(s) {
		switch after := s[at.to]; {
		case letter(after):
			return false
		case after == '-', after == '_':
			least = minGroupedDigits
		}
	}
	if plus {
		return len(digits) >= minDigits && len(digits) <= maxPlusDigits
	}
	return len(digits) >= least && len(digits) <= maxDigits && !timestamps.MatchString(digits)
}

// isWritten reports whether several groups of digits are one phone number.
func isWritten(s string, at span) bool {
	part := func(c byte) bool { return letter(c) || digit(c) || c == '-' || c == '_' || c == '.' }
	if at.from > 0 && part(s[at.from-1]) || at.to < len(s) && (letter(s[at.to]) || digit(s[at.to])) {
		return false
	}
	n := len(digitsOf(s[at.from:at.to]))
	if s[at.from] == '+' {
		return n >= minDigits && n <= maxPlusDigits
	}
	return n >= minGroupedDigits && n <= maxDigits
}

func digitsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// mask keeps the last digits, by which a person recognises the number.
func mask(s string) string { return phone.Mask(digitsOf(s)) }

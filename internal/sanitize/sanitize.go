// Package sanitize makes values of the outside fit for a log line: short, and
// printable. Whoever logs what a stranger chose passes it through here. It must
// never decide what may be shown at all: secrets and message texts are not made
// harmless by being cut.
package sanitize

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Most characters of a value of the outside, and of anything that is logged.
const (
	longestValue = 120
	longestText  = 4000
)

// Value returns what a stranger chose as it may stand in a log line: at most 120
// characters and one line. What controls a terminal or turns the direction of
// writing becomes U+FFFD.
func Value(s string) string {
	return clean(s, longestValue, unicode.IsPrint)
}

// Text is for what we say ourselves, which may quote others and have lines: at
// most 4,000 characters.
func Text(s string) string {
	return clean(s, longestText, func(r rune) bool { return unicode.IsPrint(r) || r == '\n' || r == '\t' })
}

// clean looks at no more of s than it returns, however long s is.
func clean(s string, most int, keep func(rune) bool) string {
	count := 0
	for i := range s {
		if count == most {
			return repaired(s[:i], keep) + "… (" + strconv.Itoa(len(s)-i) + " bytes more)"
		}
		count++
	}
	return repaired(s, keep)
}

func repaired(s string, keep func(rune) bool) string {
	return strings.Map(func(r rune) rune {
		if keep(r) {
			return r
		}
		return utf8.RuneError
	}, s)
}

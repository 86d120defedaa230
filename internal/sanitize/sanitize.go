// Package sanitize makes untrusted values fit for a log line: short and printable. Every value
// that a stranger chose passes through it before it is logged. It must never decide whether a
// value may be logged: cutting does not make a secret or a message text harmless.
package sanitize

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits in characters: of an untrusted value, and of any logged text.
const (
	longestValue = 120
	longestText  = 4000
)

// Value returns an untrusted value for a log line: one line of at most 120 characters.
// Unprintable characters, such as terminal controls and direction marks, become U+FFFD.
func Value(s string) string {
	return clean(s, longestValue, unicode.IsPrint)
}

// Text is for our own texts, which may quote others: at most 4,000 characters, in lines.
func Text(s string) string {
	return clean(s, longestText, func(r rune) bool { return unicode.IsPrint(r) || r == '\n' || r == '\t' })
}

// clean reads no more of s than it returns.
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

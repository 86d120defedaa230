// Package lang is a text in the program's two languages, Spanish (rioplatense) and
// English. It must never know a text: each package keeps its own in a table, one line
// a text.
package lang

import "fmt"

// Text is one text in both languages. Both have the same verbs, in the same order or
// with indexes ("%[2]s"); a test of this package checks every Text of the program.
type Text struct{ ES, EN string }

// In returns the text in lang: English for "en", Spanish for anything else. With args
// it is a format; without them it is returned as is.
func (t Text) In(lang string, args ...any) string {
	text := t.ES
	if lang == "en" {
		text = t.EN
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// Package lang is a text in the two languages that the program speaks, Spanish
// (rioplatense) and English. It must never know what it is about: each face
// keeps its texts in a table of its own, one line a text.
package lang

import "fmt"

// Text is one text in both languages. Both take the same verbs, in the same
// order or with indexes ("%[2]s"); the test of this package reads every Text of
// the program and says where they do not.
type Text struct{ ES, EN string }

// In is the text in lang: English for "en", Spanish for everything else. With
// args it is a format, without them it is taken as it stands.
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

package redact

import (
	"regexp"
	"strings"
)

// maxWord is how many letters and digits a word may have. Meta's app secrets have 32, its
// tokens more than 100, and names fewer.
const maxWord = 39

var (
	uuid = regexp.MustCompile(`[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}`)
	// ids are WhatsApp's and our own ids, of any length: of messages, of people, hashes.
	ids = regexp.MustCompile(`wamid\.[A-Za-z0-9+/=_-]+|\b[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}\b|\bsha256:[0-9a-f]{64}\b`)
)

// longWords returns the words that are long enough to be a secret and are not ids.
func longWords(s string) (found []span) {
	if len(s) <= maxWord {
		return nil
	}
	var known []span
	for i := 0; i < len(s); {
		if !wordPart(s[i]) {
			i++
			continue
		}
		w := span{i, i}
		for w.to < len(s) && wordPart(s[w.to]) {
			w.to++
		}
		i = w.to
		if !tooLong(s[w.from:w.to]) {
			continue
		}
		if known == nil {
			known = append(spans(ids, s), span{-1, -1}) // not nil, so searched only once
		}
		if !within(w, known) {
			found = append(found, w)
		}
	}
	return found
}

func wordPart(c byte) bool { return letter(c) || digit(c) || c == '-' || c == '_' }

// tooLong reports whether a word has too many letters and digits. Those of a UUID do not count,
// and a word made of plain words and numbers is a name.
func tooLong(word string) bool {
	if len(word) <= maxWord {
		return false
	}
	word = uuid.ReplaceAllString(word, "")
	n := 0
	for i := range len(word) {
		if letter(word[i]) || digit(word[i]) {
			n++
		}
	}
	return n > maxWord && !isName(word)
}

// longestPart is the longest part of a name, in bytes. A part is a word or a number, not both.
const longestPart = 20

var namePart = regexp.MustCompile(`^(?:[a-z]*|[A-Z]*|[A-Z][a-z]*|[0-9]{1,6})$`)

func isName(word string) bool {
	parts := strings.FieldsFunc(word, func(r rune) bool { return r == '-' || r == '_' })
	for _, p := range parts {
		if len(p) > longestPart || !namePart.MatchString(p) {
			return false
		}
	}
	return true
}

func spans(re *regexp.Regexp, s string) (all []span) {
	for _, m := range re.FindAllStringIndex(s, -1) {
		all = append(all, span{m[0], m[1]})
	}
	return all
}

// within reports whether a span overlaps one of the others.
func within(a span, others []span) bool {
	for _, b := range others {
		if a.from < b.to && b.from < a.to {
			return true
		}
	}
	return false
}

package flow

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// longestWord bounds the messages that Normalize reads, in bytes. No command, code or
// synonym is as long, so a longer message is free text.
const longestWord = 200

// Normalize returns the form in which whole messages are compared: lower case, without
// accents, punctuation and emoji, with single spaces. A message of only emoji keeps them,
// each once and without skin tone, so that a thumbs-up can be a courtesy. Keycaps and wide
// digits become plain digits. Signs that change a number's meaning (currency, percent) stay;
// other punctuation separates, so "1,5" is never "15". A stretched letter ("holaaa") counts
// once. Messages longer than any command normalise to "". Normalize is idempotent.
func Normalize(s string) string {
	if len(s) > longestWord {
		return ""
	}
	var words, emoji strings.Builder
	gap := false
	var last rune
	for _, r := range norm.NFKD.String(s) {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Sk):
			// accents, keycap frames, variation selectors, joiners, skin tones
		case unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.Is(unicode.Sc, r) || r == '%':
			if gap && words.Len() > 0 {
				words.WriteByte(' ')
			}
			gap = false
			words.WriteRune(unicode.ToLower(r))
		default:
			gap = true
			if unicode.Is(unicode.So, r) && r != last && r != unicode.ReplacementChar {
				emoji.WriteRune(r)
				last = r
			}
		}
	}
	word := squeeze(words.String())
	if word == "" {
		word = emoji.String()
	}
	if len(word) > longestWord { // decomposed text can grow
		return ""
	}
	return word
}

// squeeze reduces a letter that is repeated three times or more to one. Digits and pairs
// stay.
func squeeze(s string) string {
	runes := []rune(s)
	out := make([]rune, 0, len(runes))
	for i := 0; i < len(runes); {
		end := i
		for end < len(runes) && runes[end] == runes[i] {
			end++
		}
		if end-i >= 3 && unicode.IsLetter(runes[i]) {
			out = append(out, runes[i])
		} else {
			out = append(out, runes[i:end]...)
		}
		i = end
	}
	return string(out)
}

// Covers reports whether a normalised message consists only of the phrases: "hola buenas
// tardes" does for "hola" and "buenas tardes".
func Covers(phrases []string, word string) bool {
	if word == "" {
		return false
	}
	starts := map[int]bool{0: true} // where a phrase may begin
	for at := range len(word) {
		if !starts[at] {
			continue
		}
		for _, p := range phrases {
			rest, found := strings.CutPrefix(word[at:], p)
			switch {
			case !found || p == "":
			case rest == "":
				return true
			case rest[0] == ' ':
				starts[at+len(p)+1] = true
			}
		}
	}
	return false
}

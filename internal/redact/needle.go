package redact

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
)

const (
	// minSecret is the fewest bytes that are taken for a secret.
	minSecret = 4
	// minAnywhere is how many bytes are found within other words too, and how much of the
	// beginning of a secret is known again where a text was cut.
	minAnywhere = 8
)

// needle is one way to write a secret, in lower case.
type needle struct {
	text string
	// wholeWord is found only where it is a word of its own: it is short enough to be a
	// part of others.
	wholeWord bool
	// widen takes along what surrounds it: the letters at its ends also hold bits of
	// its neighbours.
	widen bool
}

// needles are the ways to write a secret which are looked for. Those that escape
// single letters are undone in the text instead.
func needles(secret string) []needle {
	raw := lower(secret)
	switch {
	case len(raw) < minSecret:
		return nil
	case len(raw) < minAnywhere:
		return []needle{{text: raw, wholeWord: true}}
	}
	all := []needle{{text: raw}, {text: hex.EncodeToString([]byte(secret)), widen: true}}
	if strings.Contains(raw, " ") { // as forms write it
		all = append(all, needle{text: strings.ReplaceAll(raw, " ", "+")})
	}
	for before := range 3 {
		text := aligned(secret, before)
		all = append(all, needle{text: lower(text), widen: true})
		if other := strings.NewReplacer("+", "-", "/", "_").Replace(text); other != text {
			all = append(all, needle{text: lower(other), widen: true})
		}
	}
	return all
}

// aligned is the part of the base64 of a secret that is the same whatever stands
// around it, where so many bytes (modulo 3) stand before it.
func aligned(secret string, before int) string {
	text := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", before) + secret))
	first := []int{0, 2, 3}[before]
	last := (before + len(secret)) * 8 / 6 // of the letters which it fills alone
	return text[first:last]
}

// index finds needles by their first bytes, so that what a text costs does not grow
// with the number of secrets.
type index struct {
	short map[string][]needle // by shortest bytes: those that are found alone
	long  map[string][]needle // by sure bytes
}

func newIndex(secrets []string) index {
	x := index{map[string][]needle{}, map[string][]needle{}}
	for _, secret := range secrets {
		for _, n := range needles(secret) {
			by, key := x.long, n.text[:min(minAnywhere, len(n.text))]
			if n.wholeWord {
				by, key = x.short, n.text[:minSecret]
			}
			if !slices.Contains(by[key], n) {
				by[key] = append(by[key], n)
			}
		}
	}
	return x
}

// find returns where the secrets are, in any of the ways to write the text.
func (x index) find(s string) (found []span) {
	if len(x.short)+len(x.long) == 0 {
		return nil
	}
	for _, v := range views(s) {
		text := lower(v.text)
		for _, at := range x.search(text) {
			found = append(found, span{v.at(at.from), v.at(at.to)})
		}
	}
	return found
}

// search looks at each place of a text.
func (x index) search(text string) (found []span) {
	for i := 0; i+minSecret <= len(text); i++ {
		for _, n := range x.short[text[i:i+minSecret]] {
			at := span{i, i + len(n.text)}
			if strings.HasPrefix(text[i:], n.text) && isWord(text, at) {
				found = append(found, at)
			}
		}
		if i+minAnywhere > len(text) {
			continue
		}
		for _, n := range x.long[text[i:i+minAnywhere]] {
			if at, ok := n.at(text, i); ok {
				found = append(found, at)
			}
		}
	}
	return found
}

// at says whether the needle begins at a place of a text, or its beginning does where
// the text was cut.
func (n needle) at(text string, i int) (span, bool) {
	at := span{i, i + len(n.text)}
	if !strings.HasPrefix(text[i:], n.text) {
		at.to = i + minAnywhere
		for at.to < len(text) && at.to-i < len(n.text) && text[at.to] == n.text[at.to-i] {
			at.to++
		}
		rest := text[at.to:]
		if rest != "" && !strings.HasPrefix(rest, "…") && !strings.HasPrefix(rest, "...") {
			return span{}, false
		}
	}
	if n.widen {
		at = widened(text, at)
	}
	return at, true
}

// isWord says that no letter or digit touches it.
func isWord(text string, at span) bool {
	part := func(c byte) bool { return letter(c) || digit(c) }
	return (at.from == 0 || !part(text[at.from-1])) && (at.to == len(text) || !part(text[at.to]))
}

// widened takes the rest of the encoded word along.
func widened(text string, at span) span {
	part := func(c byte) bool { return letter(c) || digit(c) || c == '+' || c == '/' || c == '-' || c == '_' }
	for at.from > 0 && part(text[at.from-1]) {
		at.from--
	}
	for at.to < len(text) && (part(text[at.to]) || text[at.to] == '=') {
		at.to++
	}
	return at
}

// lower lowers ASCII alone, so that nothing moves.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

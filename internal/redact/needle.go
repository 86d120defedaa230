package redact

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
)

const (
	// minSecret is the shortest secret, in bytes; anything shorter is ignored.
	minSecret = 4
	// minAnywhere is the shortest secret that is also found inside other words, and the
	// shortest prefix of a secret that is recognised where a text was cut.
	minAnywhere = 8
)

// needle is one encoding of a secret, in lower case.
type needle struct {
	text string
	// wholeWord restricts it to whole words, as it is short enough to be part of others.
	wholeWord bool
	// widen extends the match to the whole encoded word: the letters at its ends also
	// hold bits of its neighbours.
	widen bool
}

// needles returns the encodings of a secret to look for. Escapes of single letters are undone
// in the text instead.
func needles(secret string) []needle {
	raw := lower(secret)
	switch {
	case len(raw) < minSecret:
		return nil
	case len(raw) < minAnywhere:
		return []needle{{text: raw, wholeWord: true}}
	}
	all := []needle{{text: raw}, {text: hex.EncodeToString([]byte(secret)), widen: true}}
	if strings.Contains(raw, " ") { // form encoding
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

// aligned returns the part of a secret's base64 that does not depend on its neighbours, if
// before bytes (modulo 3) precede it.
func aligned(secret string, before int) string {
	text := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", before) + secret))
	first := []int{0, 2, 3}[before]
	last := (before + len(secret)) * 8 / 6 // end of the letters that hold only the secret's bits
	return text[first:last]
}

// index finds needles by their first bytes, so that the cost of a text does not grow with the
// number of secrets.
type index struct {
	short map[string][]needle // whole words, by their first minSecret bytes
	long  map[string][]needle // the others, by their first minAnywhere bytes
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

// find returns the places of secrets in a text, in any of its views.
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

// search looks for needles at each place of a text.
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

// at reports whether the needle stands at i, or a prefix of it that the text cuts off.
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

// isWord reports whether no letter or digit touches the span.
func isWord(text string, at span) bool {
	part := func(c byte) bool { return letter(c) || digit(c) }
	return (at.from == 0 || !part(text[at.from-1])) && (at.to == len(text) || !part(text[at.to]))
}

// widened extends a span to the whole encoded word.
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

// lower lowers only ASCII, so that no byte moves.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

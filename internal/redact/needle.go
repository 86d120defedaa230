package redact

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
)

const (
	// shortest is the fewest bytes that are taken for a secret.
	shortest = 4
	// sure is how many bytes are found within other words too, and how much of the
	// beginning of a secret is known again where a text was cut.
	sure = 8
)

// needle is one way to write a secret, in lower case.
type needle struct {
	text string
	// alone is found only where it is a word of its own: it is short enough to be a
	// part of others.
	alone bool
	// wide takes along what surrounds it: the letters at its ends also hold bits of
	// its neighbours.
	wide bool
}

// needles are the ways to write a secret which are looked for. Those that escape
// single letters are undone in the text instead.
func needles(secret string) []needle {
	raw := lower(secret)
	switch {
	case len(raw) < shortest:
		return nil
	case len(raw) < sure:
		return []needle{{text: raw, alone: true}}
	}
	all := []needle{{text: raw}, {text: hex.EncodeToString([]byte(secret)), wide: true}}
	if strings.Contains(raw, " ") { // as forms write it
		all = append(all, needle{text: strings.ReplaceAll(raw, " ", "+")})
	}
	for before := range 3 {
		text := aligned(secret, before)
		all = append(all, needle{text: lower(text), wide: true})
		if other := strings.NewReplacer("+", "-", "/", "_").Replace(text); other != text {
			all = append(all, needle{text: lower(other), wide: true})
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

// find returns where the secrets are, in any of the ways to write the text.
func (r *Redactor) find(s string) []span {
	var found []span
	for v, ok := plain(s), true; ok; v, ok = v.peeled() {
		text := lower(v.text)
		ends := cuts(text)
		for _, n := range r.needles {
			for _, at := range n.in(text, ends) {
				if n.wide {
					at = widened(text, at)
				}
				found = append(found, span{v.at(at.from), v.at(at.to)})
			}
		}
	}
	return found
}

// in returns where the needle is in a text, and where its beginning is before one
// of the places at which the text was cut.
func (n needle) in(text string, ends []int) (found []span) {
	for from := 0; ; {
		i := strings.Index(text[from:], n.text)
		if i < 0 {
			break
		}
		at := span{from + i, from + i + len(n.text)}
		if !n.alone || apart(text, at) {
			found = append(found, at)
		}
		from = at.to
	}
	if n.alone {
		return found
	}
	for _, end := range ends {
		i := strings.LastIndex(text[:end], n.text[:sure])
		if i >= 0 && strings.HasPrefix(n.text, text[i:end]) {
			found = append(found, span{i, end})
		}
	}
	return found
}

// cuts are the places where a text may have been cut by who had too little room.
func cuts(text string) []int {
	ends := []int{len(text)}
	for _, mark := range []string{"…", "..."} {
		for from := 0; ; {
			i := strings.Index(text[from:], mark)
			if i < 0 {
				break
			}
			ends = append(ends, from+i)
			from += i + len(mark)
		}
	}
	return ends
}

// apart says that no letter or digit touches it.
func apart(text string, at span) bool {
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

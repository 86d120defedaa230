package redact

import (
	"html"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxLayers is how many nested escapes are undone: JSON in JSON in a URL.
const maxLayers = 3

// view is a text with some layers of escapes undone.
type view struct {
	text string
	// from maps each byte, and the end, to its place in the original text; nil if the
	// view is the original.
	from  []int
	depth int
}

// views returns the original text and its unescaped forms. Each step undoes one kind of
// escape, as an escaped text may contain what looks like another kind.
func views(s string) []view {
	all := []view{{text: s}}
	if !strings.ContainsAny(s, `%\&`) {
		return all
	}
	known := map[string]bool{s: true}
	for i := 0; i < len(all); i++ {
		for _, kind := range []byte(`%\&`) {
			if v, ok := all[i].unescaped(kind); ok && !known[v.text] {
				known[v.text] = true
				all = append(all, v)
			}
		}
	}
	return all
}

// at returns the place of byte i in the original text.
func (v view) at(i int) int {
	if v.from == nil {
		return i
	}
	return v.from[i]
}

// unescaped undoes one layer of the escapes that begin with kind; false if there are none.
func (v view) unescaped(kind byte) (view, bool) {
	if v.depth == maxLayers || strings.IndexByte(v.text, kind) < 0 {
		return v, false
	}
	var out []byte
	from := make([]int, 0, len(v.text)+1)
	changed := false
	for i := 0; i < len(v.text); {
		piece, took := v.text[i:i+1], 1
		if v.text[i] == kind {
			if p, n := unescape(v.text[i:]); n > 0 {
				piece, took, changed = p, n, true
			}
		}
		for range len(piece) {
			from = append(from, v.at(i))
		}
		out = append(out, piece...)
		i += took
	}
	from = append(from, v.at(len(v.text)))
	return view{text: string(out), from: from, depth: v.depth + 1}, changed
}

// unescape undoes the escape at the start of a text: of a URL, of JSON or Go, or of HTML.
// took is 0 if there is none.
func unescape(s string) (piece string, took int) {
	switch s[0] {
	case '%':
		if c, ok := hexadecimal(s, 1, 2); ok {
			return string([]byte{byte(c)}), 3
		}
	case '\\':
		return backslash(s)
	case '&':
		if end := strings.IndexByte(s[:min(len(s), 12)], ';'); end > 0 {
			if piece = html.UnescapeString(s[:end+1]); piece != s[:end+1] {
				return piece, end + 1
			}
		}
	}
	return "", 0
}

func backslash(s string) (piece string, took int) {
	if len(s) < 2 {
		return "", 0
	}
	switch s[1] {
	case '"', '\'', '\\', '/':
		return s[1:2], 2
	case 'n', 't', 'r', 'b', 'f':
		return map[byte]string{'n': "\n", 't': "\t", 'r': "\r", 'b': "\b", 'f': "\f"}[s[1]], 2
	case 'x':
		if c, ok := hexadecimal(s, 2, 2); ok {
			return string([]byte{byte(c)}), 4
		}
	case 'u':
		c, ok := hexadecimal(s, 2, 4)
		if !ok {
			return "", 0
		}
		if utf16.IsSurrogate(c) && strings.HasPrefix(s[6:], `\u`) {
			if low, ok := hexadecimal(s, 8, 4); ok {
				return string(utf16.DecodeRune(c, low)), 12
			}
		}
		if !utf8.ValidRune(c) {
			return "", 0
		}
		return string(c), 6
	}
	return "", 0
}

func hexadecimal(s string, from, digits int) (rune, bool) {
	if len(s) < from+digits {
		return 0, false
	}
	n, err := strconv.ParseUint(s[from:from+digits], 16, 32)
	return rune(n), err == nil
}

package main

import (
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// safeWriter is the output of commands. Texts of people and servers may hold characters that
// act on a terminal or mislead its reader: control characters, escape sequences, changes of
// direction, invisible ones. safeWriter stops them.
type safeWriter struct {
	w io.Writer
	// allowStyles lets through our own colours and cursor movements.
	allowStyles bool
	// asJSON escapes hidden characters as JSON does, instead of dropping them.
	asJSON bool

	mu      sync.Mutex
	partial []byte // the first bytes of a character whose rest has not come yet
}

// sequences are the escape sequences that we write.
var sequences = regexp.MustCompile(`\x1b\[(?:[0-2]|3[0-7])m|\x1b\[\d{1,3}A\x1b\[J|\x1b\[K`)

// Write implements io.Writer.
func (s *safeWriter) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := append(s.partial, p...)
	whole := len(text)
	for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
		if c := text[len(text)-back]; utf8.RuneStart(c) {
			if !utf8.FullRune(text[len(text)-back:]) {
				whole -= back
			}
			break
		}
	}
	s.partial = append([]byte(nil), text[whole:]...)
	if _, err := io.WriteString(s.w, s.clean(string(text[:whole]))); err != nil {
		return 0, err //nolint:wrapcheck // the caller knows what it wrote
	}
	return len(p), nil
}

func (s *safeWriter) clean(text string) string {
	through := escapeHidden
	if !s.asJSON {
		through = withoutHidden
	}
	if !s.allowStyles || !strings.ContainsAny(text, "\x1b\r") {
		return through(text)
	}
	var out strings.Builder
	if rest, bar := strings.CutPrefix(text, "\r"); bar { // a progress bar is redrawn
		out.WriteByte('\r')
		text = rest
	}
	at := 0
	for _, m := range sequences.FindAllStringIndex(text, -1) {
		out.WriteString(through(text[at:m[0]]))
		out.WriteString(text[m[0]:m[1]])
		at = m[1]
	}
	out.WriteString(through(text[at:]))
	return out.String()
}

// Fd returns the descriptor of the file behind it, so that terminals are recognised.
func (s *safeWriter) Fd() uintptr {
	if f, ok := s.w.(interface{ Fd() uintptr }); ok {
		return f.Fd()
	}
	return ^uintptr(0)
}

// isHidden reports whether a character is invisible and has an effect. Joiners are not hidden:
// many emoji and some languages need them.
func isHidden(r rune) bool {
	switch {
	case r == '\n', r == '\t':
		return false
	case r == '\u2028', r == '\u2029', r == '\u200b', r == '\ufeff',
		r >= '\u2060' && r <= '\u206f', r >= '\ufff9' && r <= '\ufffb', r >= 0xe0000 && r <= 0xe007f:
		return true
	}
	return unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Bidi_Control, r)
}

// withoutHidden drops hidden characters.
func withoutHidden(s string) string {
	return strings.Map(func(r rune) rune {
		if isHidden(r) {
			return -1
		}
		return r
	}, s)
}

// escapeHidden escapes hidden characters as JSON does. In JSON they occur only within strings.
func escapeHidden(s string) string {
	if strings.IndexFunc(s, isHidden) < 0 {
		return s
	}
	var out strings.Builder
	for _, r := range s {
		switch {
		case !isHidden(r):
			out.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String()
}

// singleLine replaces line breaks and tabs by spaces and drops hidden characters.
func singleLine(s string) string {
	return withoutHidden(strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r == '\r' {
			return ' '
		}
		return r
	}, s))
}

// sanitizeStrings makes every text of a decoded answer a single line, so that no text of others
// can forge a line or a colour of ours.
func sanitizeStrings(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			sanitizeStrings(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				sanitizeStrings(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			sanitizeStrings(v.Index(i))
		}
	case reflect.String:
		if v.CanSet() {
			v.SetString(singleLine(v.String()))
		}
	}
}

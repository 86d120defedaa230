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

// safeWriter is what commands print to. Characters that would do something to who
// looks do not get through: control characters and sequences, and those that turn
// the direction of what is read or are not seen. What people and servers say holds
// any of them.
type safeWriter struct {
	w io.Writer
	// allowStyles lets our own colours and the cursor of progress through.
	allowStyles bool
	// asJSON writes what does not get through as JSON does, for programs.
	asJSON bool

	mu      sync.Mutex
	partial []byte // of a character that was cut
}

// sequences are those that we write ourselves.
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
	if rest, bar := strings.CutPrefix(text, "\r"); bar { // a line of progress is written over
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

// Fd is the file's behind it, so that a terminal is known as one.
func (s *safeWriter) Fd() uintptr {
	if f, ok := s.w.(interface{ Fd() uintptr }); ok {
		return f.Fd()
	}
	return ^uintptr(0)
}

// isHidden says that a character is not seen and does something. Joiners stay: many
// emoji are made with them, and some languages written.
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

// withoutHidden leaves out what is hidden.
func withoutHidden(s string) string {
	return strings.Map(func(r rune) rune {
		if isHidden(r) {
			return -1
		}
		return r
	}, s)
}

// escapeHidden writes what is hidden as JSON may within its strings; it is nowhere else
// in JSON.
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

// singleLine is visible on one line.
func singleLine(s string) string {
	return withoutHidden(strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r == '\r' {
			return ' '
		}
		return r
	}, s))
}

// sanitizeStrings makes every text in what was decoded flat: what others say forges no
// line and no colour of ours.
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

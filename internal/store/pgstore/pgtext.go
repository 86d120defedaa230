package pgstore

import (
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

// PostgreSQL refuses some texts of people: zero bytes, and invalid UTF-8. Such bytes are
// stored as escapeMark and two hex digits, escapeMark itself twice. All texts pass here on
// their way in and out, so that names stay the same.
const escapeMark = "\uE07F"

func escapeText(s string) string {
	if strings.IndexByte(s, 0) < 0 && !strings.Contains(s, escapeMark) && utf8.ValidString(s) {
		return s
	}
	const hex = "0123456789abcdef"
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		part := s[i : i+size]
		switch {
		case r == 0, r == utf8.RuneError && size == 1:
			b.WriteString(escapeMark)
			b.WriteByte(hex[part[0]>>4])
			b.WriteByte(hex[part[0]&15])
		case part == escapeMark:
			b.WriteString(escapeMark + escapeMark)
		default:
			b.WriteString(part)
		}
		i += size
	}
	return b.String()
}

func unescapeText(s string) string {
	if !strings.Contains(s, escapeMark) {
		return s
	}
	var b strings.Builder
	for {
		plain, rest, found := strings.Cut(s, escapeMark)
		b.WriteString(plain)
		switch {
		case !found:
			return b.String()
		case strings.HasPrefix(rest, escapeMark):
			b.WriteString(escapeMark)
			s = rest[len(escapeMark):]
		case len(rest) >= 2:
			b.WriteByte(hexDigit(rest[0])<<4 | hexDigit(rest[1]))
			s = rest[2:]
		default: // not written by us
			s = rest
		}
	}
}

func hexDigit(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}

// queue adds a statement to a batch; its texts are escaped.
func queue(b *pgx.Batch, sql string, args ...any) *pgx.QueuedQuery {
	for i, a := range args {
		switch v := a.(type) {
		case string:
			args[i] = escapeText(v)
		case []string:
			args[i] = escapeTexts(v)
		case rawTexts:
			args[i] = v.list()
		}
	}
	return b.Queue(sql, args...)
}

// rawTexts are JSON texts, which are written as they are; only invalid UTF-8 is replaced.
type rawTexts []string

func (v rawTexts) list() []string {
	for i, s := range v {
		v[i] = strings.ToValidUTF8(s, "\uFFFD")
	}
	return v
}

func escapeTexts(list []string) []string {
	var out []string
	for i, s := range list {
		if p := escapeText(s); p != s {
			if out == nil {
				out = append([]string(nil), list...)
			}
			out[i] = p
		}
	}
	if out == nil {
		return list
	}
	return out
}

// scan reads a row; its texts are unescaped.
func scan(rows pgx.Row, dest ...any) error {
	err := rows.Scan(dest...)
	for _, d := range dest {
		if s, ok := d.(*string); ok {
			*s = unescapeText(*s)
		}
	}
	return err
}

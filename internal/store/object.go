package store

import (
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/psivisionhub/psi-router/internal/inbound"
)

// object writes one JSON document, field by field. Snapshots are made while
// everybody else's writes wait, a hundred in a row; this takes a fifth of the
// time of reflection.
type object struct{ buf []byte }

// key begins a field; "" stands for an element of a list, or the whole.
func (o *object) key(name string) {
	if n := len(o.buf); n > 0 && o.buf[n-1] != '{' && o.buf[n-1] != '[' {
		o.buf = append(o.buf, ',')
	}
	if name != "" {
		o.buf = append(o.buf, '"')
		o.buf = append(o.buf, name...)
		o.buf = append(o.buf, '"', ':')
	}
}

func (o *object) open(name string) {
	o.key(name)
	o.buf = append(o.buf, '{')
}

func (o *object) close() { o.buf = append(o.buf, '}') }

func (o *object) list(name string) {
	o.key(name)
	o.buf = append(o.buf, '[')
}

func (o *object) end() { o.buf = append(o.buf, ']') }

func (o *object) text(name, value string) {
	o.key(name)
	if !plain(value) {
		quoted, err := json.Marshal(value)
		if err == nil { // a string always marshals
			o.buf = append(o.buf, quoted...)
		}
		return
	}
	o.buf = append(o.buf, '"')
	o.buf = append(o.buf, value...)
	o.buf = append(o.buf, '"')
}

// copy writes the first most letters of a text, and says whether there were more.
func (o *object) copy(name, value string, most int) (cut bool) {
	value, cut = inbound.Cut(value, most)
	o.text(name, value)
	return cut
}

// plain says that a text needs no escapes.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' {
			return false
		}
	}
	return utf8.ValidString(s)
}

func (o *object) number(name string, value int64) {
	o.key(name)
	o.buf = strconv.AppendInt(o.buf, value, 10)
}

// flag writes only what is true.
func (o *object) flag(name string, value bool) {
	if value {
		o.key(name)
		o.buf = append(o.buf, "true"...)
	}
}

// instant writes a time as engines keep it, in microseconds, or null for none.
func (o *object) instant(name string, t time.Time) {
	o.key(name)
	if t.IsZero() {
		o.buf = append(o.buf, "null"...)
		return
	}
	o.buf = append(o.buf, '"')
	o.buf = t.UTC().Truncate(time.Microsecond).AppendFormat(o.buf, time.RFC3339Nano)
	o.buf = append(o.buf, '"')
}

// Package rawjson reads other people's JSON leniently and without copying: a value is a
// slice of its document, so it is kept byte for byte, and a field of the wrong type counts
// as empty instead of an error. It must never change the document, nor know what its fields
// mean.
package rawjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Value is one JSON value of a valid document, as its bytes without surrounding white
// space. The nil Value is absent.
type Value []byte

// Errors of ParseWithin.
var (
	ErrSyntax = errors.New("not JSON")
	ErrDepth  = errors.New("nested too deep")
)

// deepest is the depth up to which encoding/json accepts a document as JSON.
const deepest = 10_000

// ParseWithin is Parse with a bound on the nesting, for callers that recurse. It returns
// ErrDepth for JSON nested deeper than depth, and ErrSyntax for anything else that is not
// JSON.
func ParseWithin(body []byte, depth int) (Value, error) {
	found, closed := 0, true
	if bytes.Count(body, []byte{'['})+bytes.Count(body, []byte{'{'}) > depth { // too few brackets cannot be too deep
		found, closed = nesting(body)
	}
	if found > deepest && closed {
		return nil, ErrDepth
	}
	v, ok := Parse(body)
	switch {
	case !ok:
		return nil, ErrSyntax
	case found > depth:
		return nil, ErrDepth
	}
	return v, nil
}

// nesting returns how deep arrays and objects are nested, and whether every one is closed.
// It takes any bytes.
func nesting(b []byte) (found int, closed bool) {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = skipString(b, i) - 1
		case '{', '[':
			depth++
			found = max(found, depth)
		case '}', ']':
			depth--
		}
	}
	return found, depth == 0
}

// Parse validates the whole document once; the methods of Value rely on that. ok reports
// whether it is JSON. A leading byte order mark is skipped.
func Parse(body []byte) (v Value, ok bool) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if !json.Valid(body) {
		return nil, false
	}
	return Value(bytes.Trim(body, " \t\r\n")), true
}

// IsObject reports whether the value is an object.
func (v Value) IsObject() bool { return len(v) > 0 && v[0] == '{' }

// IsArray reports whether the value is an array.
func (v Value) IsArray() bool { return len(v) > 0 && v[0] == '[' }

// IsString reports whether the value is a string.
func (v Value) IsString() bool { return len(v) > 0 && v[0] == '"' }

// IsNumber reports whether the value is a number.
func (v Value) IsNumber() bool {
	return len(v) > 0 && (v[0] == '-' || v[0] >= '0' && v[0] <= '9')
}

// Exists reports whether the value is present and not null.
func (v Value) Exists() bool { return len(v) > 0 && v[0] != 'n' }

// Members yields the members of an object in order; nothing for other values.
func (v Value) Members() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		v.members(func(key []byte, member Value) bool { return yield(unquote(key), member) })
	}
}

// members yields each key as it is written, quotes and all.
func (v Value) members(yield func(key []byte, member Value) bool) {
	if !v.IsObject() {
		return
	}
	for i := skipSpace(v, 1); i < len(v) && v[i] == '"'; {
		end := skipString(v, i)
		key := v[i:end]
		i = skipSpace(v, skipSpace(v, end)+1) // over the colon
		end = skipValue(v, i)
		if !yield(key, v[i:end:end]) {
			return
		}
		if i = skipSpace(v, end); i >= len(v) || v[i] != ',' {
			return
		}
		i = skipSpace(v, i+1)
	}
}

// Items yields the elements of an array in order; nothing for other values.
func (v Value) Items() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if !v.IsArray() {
			return
		}
		for i := skipSpace(v, 1); i < len(v) && v[i] != ']'; {
			end := skipValue(v, i)
			if !yield(v[i:end:end]) {
				return
			}
			if i = skipSpace(v, end); i >= len(v) || v[i] != ',' {
				return
			}
			i = skipSpace(v, i+1)
		}
	}
}

// Get returns the member at the path, absent if any step is. Of members with equal names
// the first counts.
func (v Value) Get(path ...string) Value {
	for _, name := range path {
		if v = v.member(name); !v.Exists() {
			return nil
		}
	}
	return v
}

func (v Value) member(name string) (found Value) {
	v.members(func(key []byte, member Value) bool {
		inner := key[1 : len(key)-1]
		if string(inner) != name && (bytes.IndexByte(inner, '\\') < 0 || unquote(key) != name) {
			return true
		}
		found = member
		return false
	})
	return found
}

// First returns the first element of an array, absent if there is none.
func (v Value) First() Value {
	for item := range v.Items() {
		return item
	}
	return nil
}

// Len counts the elements of an array.
func (v Value) Len() int {
	n := 0
	for range v.Items() {
		n++
	}
	return n
}

// Text returns a string's text, or a number as it is written; "" for anything else. NUL
// characters are dropped: databases refuse them in text.
func (v Value) Text() string {
	switch {
	case v.IsString():
		s := unquote(v)
		if strings.IndexByte(s, 0) >= 0 {
			s = strings.ReplaceAll(s, "\x00", "")
		}
		return s
	case v.IsNumber():
		return string(v)
	}
	return ""
}

// Int returns the integer part of a number, or of a number in a string; 0 otherwise.
func (v Value) Int() int64 {
	text := v.Text()
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && f > -1<<62 && f < 1<<62 {
		return int64(f)
	}
	return 0
}

// Bool reports whether the value is true or the string "true".
func (v Value) Bool() bool {
	return string(v) == "true" || string(v) == `"true"`
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the index after the string that begins at i.
func skipString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		quote := bytes.IndexByte(b[i:], '"')
		if quote < 0 {
			return len(b)
		}
		i += quote
		slashes := 0
		for j := i - 1; b[j] == '\\'; j-- {
			slashes++
		}
		if slashes%2 == 0 {
			return i + 1
		}
	}
	return len(b)
}

// skipValue returns the index after the value that begins at i.
func skipValue(b []byte, i int) int {
	if i >= len(b) {
		return len(b)
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		for depth := 0; i < len(b); {
			switch b[i] {
			case '"':
				i = skipString(b, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
		return len(b)
	}
	for ; i < len(b); i++ {
		switch b[i] {
		case ',', ']', '}', ' ', '\n', '\t', '\r':
			return i
		}
	}
	return len(b)
}

// unquote decodes a JSON string. Lone surrogates and each byte of broken UTF-8
// become the replacement character, as in encoding/json.
func unquote(v []byte) string {
	inner := v[1 : len(v)-1]
	if bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner)
	}
	var s string
	if err := json.Unmarshal(v, &s); err != nil {
		return ""
	}
	return s
}

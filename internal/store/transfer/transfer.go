// Package transfer is the form in which a store is moved from one engine to another: its
// tables, the kinds of their columns, the order and the checksum of their rows, and the
// progress of a move. Engines export and import it. It must never read or write a store.
package transfer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

var (
	// ErrMoving means that a move of the store is not finished: only a part of it may be
	// here, and nobody may use it.
	ErrMoving = errors.New("a move of this store is not finished")
	// ErrMoved means that the store was moved elsewhere.
	ErrMoved = errors.New("this store was moved")
)

// ColumnKind is what the values of a column are in a move, whatever the engine.
type ColumnKind uint8

// Kinds of columns; values are string, int64 or []byte.
const (
	ColumnText     ColumnKind = iota + 1 // string
	ColumnOptional                       // string, "" for none, which may repeat
	ColumnJSON                           // string, "" for none
	ColumnNumber                         // int64
	ColumnFlag                           // int64, 0 or 1
	ColumnTime                           // int64, microseconds since 1970, 0 for never
	ColumnMoment                         // the same, but never is the start of 1970
	ColumnBytes                          // []byte
)

// Column of a Table.
type Column struct {
	Name string
	Kind ColumnKind
}

// Table is a table in a move, without what engines keep only to find rows faster.
type Table struct {
	Name string
	// Key is how many of the first columns identify a row; rows are in their order.
	Key     int
	Columns []Column
}

// Row has a value for each column.
type Row []any

// Tables lists everything that a store has. Counters come first: they say which events are
// numbered.
func Tables() []Table {
	table := func(name string, key int, columns string) Table {
		t := Table{Name: name, Key: key}
		for _, c := range strings.Fields(columns) {
			n, kind, _ := strings.Cut(c, ":")
			t.Columns = append(t.Columns, Column{n, kindOf(kind)})
		}
		return t
	}
	return []Table{
		table("counters", 1, `name value:n`),
		table("contacts", 1, `n:n id phone user_id username name blocked:f opted_out:f created_at:m blocked_here:f chose_at:t`),
		table("aliases", 1, `alias contact:n`),
		table("conversations", 1, `n:n id contact:n line state area tag menu epoch:n ticket invalid:n offered:f auto
			last_inbound:t last_human:t timeout_at:t to_phone to_user to_external seq:n last_message_at:m created_at:m
			waiting_since:t opened:f last_area file_at:t asked_at:t said_at:t left_at:t left_reason apologized_for:t`),
		table("moved", 1, `id conversation:n`),
		table("messages", 1, `n:n id conversation:n direction author type text body:j media:j reply_id quoted_id reactions:j
			provider_id:o origin:o status reason fate error_code:n error_detail epoch:n attempts:n token read_id since:t
			expires_at:t sent_at:t received_at:t edited_at:t revoked_at:t created_at:m raw:b notice marketing:f`),
		table("records", 1, `n:n id key kind line line_ref provider_id person reason detail received_at:t raw:b`),
		table("tickets", 1, `ticket conversation:n area tag opened_at:m resolved_at:t`),
		table("handoffs", 1, `n:n conversation:n ticket from_area area tag note by at:m`),
		table("audit", 1, `n:n conversation:n actor action detail at:m`),
		table("events", 1, `pos:n id conversation type seq:n created_at:m data:j`),
		table("timers", 2, `conversation:n kind due:m`),
		table("parked", 4, `provider_id line person status code:n detail at:m expires_at:m`),
		table("idempotency", 2, `actor key hash answer at:m`),
		table("lines", 1, `line last_inbound:m`),
		table("pauses", 1, `queue`),
		table("endpoints", 1, `name start:n walked:n created_at:m`),
		table("cursors", 2, `endpoint conversation seq:n since:t`),
	}
}

func kindOf(letter string) ColumnKind {
	switch letter {
	case "o":
		return ColumnOptional
	case "j":
		return ColumnJSON
	case "n":
		return ColumnNumber
	case "f":
		return ColumnFlag
	case "t":
		return ColumnTime
	case "m":
		return ColumnMoment
	case "b":
		return ColumnBytes
	}
	return ColumnText
}

// Size returns about how many bytes the row takes.
func (r Row) Size() int {
	n := 0
	for _, v := range r {
		switch v := v.(type) {
		case string:
			n += len(v)
		case []byte:
			n += len(v)
		}
		n += 8
	}
	return n
}

// Cursor returns the position of a row in its table's order, as text; "" is before the
// first.
func (t Table) Cursor(r Row) string {
	parts := make([]string, t.Key)
	for i := range parts {
		switch v := r[i].(type) {
		case string:
			parts[i] = strconv.QuoteToASCII(v)
		default:
			parts[i] = fmt.Sprint(v)
		}
	}
	return strings.Join(parts, " ")
}

// ParseCursor returns the key in a cursor, nil for "".
func (t Table) ParseCursor(cursor string) ([]any, error) {
	if cursor == "" {
		return nil, nil
	}
	var key []any
	rest := cursor
	for range t.Key {
		rest = strings.TrimPrefix(rest, " ")
		if quoted, err := strconv.QuotedPrefix(rest); err == nil {
			text, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, fmt.Errorf("cursor %q of %s: %w", cursor, t.Name, err)
			}
			key, rest = append(key, text), rest[len(quoted):]
			continue
		}
		number, after, _ := strings.Cut(rest, " ")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("cursor %q of %s: %w", cursor, t.Name, err)
		}
		key, rest = append(key, n), after
	}
	return key, nil
}

// Checksum adds up rows, in any order: two tables with the same rows have the same sum.
type Checksum struct {
	Rows int64
	a, b uint64
}

// Add adds a row.
func (s *Checksum) Add(r Row) {
	h := sha256.New()
	var head [9]byte
	for _, v := range r {
		var text []byte
		switch v := v.(type) {
		case string:
			head[0], text = 't', []byte(v)
			binary.BigEndian.PutUint64(head[1:], uint64(len(v)))
		case []byte:
			head[0], text = 'b', v
			binary.BigEndian.PutUint64(head[1:], uint64(len(v)))
		case int64:
			head[0], text = 'n', nil
			binary.BigEndian.PutUint64(head[1:], uint64(v)) //nolint:gosec // its bits
		default:
			panic(fmt.Sprintf("transfer: a row with a %T", v))
		}
		h.Write(head[:])
		h.Write(text)
	}
	sum := h.Sum(nil)
	s.Rows++
	s.a += binary.BigEndian.Uint64(sum)
	s.b += binary.BigEndian.Uint64(sum[8:])
}

func (s Checksum) String() string {
	return hex.EncodeToString(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, s.a), s.b))
}

// MoveState is the progress of a move, at its source.
type MoveState uint8

// States of a move.
const (
	NotMoved MoveState = iota
	Moving             // a move has begun: the store is read-only
	Moved              // it is elsewhere now
)

// TargetState is the state of a store that others are moved into.
type TargetState struct {
	// Source is the installation that is, or was, moved here; "" for none.
	Source   string
	Finished time.Time // zero: not yet
	// NonEmptyTable names a table that has rows, "" when it is empty.
	NonEmptyTable string
	// InUseBy names the process that uses the store now, "" for none.
	InUseBy string
}

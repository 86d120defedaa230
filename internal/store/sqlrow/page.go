package sqlrow

import (
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	defaultLimit = 50
	maxLimit     = 1000
)

// Limit is how many rows a page has for whom asks for n.
func Limit(n int) int {
	if n <= 0 {
		return defaultLimit
	}
	return min(n, maxLimit)
}

// Micros is a time as a number, 0 for never.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Cursor is the place of a conversation in a list: a time, then its own number.
func Cursor(at time.Time, n int64) string {
	return strconv.FormatInt(Micros(at), 10) + "." + strconv.FormatInt(n, 10)
}

// End is behind every conversation of a list.
const End = math.MaxInt64

// ParseCursor returns the place before which to go on, in microseconds; "" and what is
// no cursor stand for the very end.
func ParseCursor(s string) (at, n int64) {
	a, b, ok := strings.Cut(s, ".")
	at, err := strconv.ParseInt(a, 10, 64)
	if !ok || err != nil {
		return End, End
	}
	if n, err = strconv.ParseInt(b, 10, 64); err != nil {
		return End, End
	}
	return at, n
}

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

// Limit returns the length of a page for a caller that asks for n rows.
func Limit(n int) int {
	if n <= 0 {
		return defaultLimit
	}
	return min(n, maxLimit)
}

// Micros returns a time as a number, 0 for never.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Cursor is the position of a conversation in a list: a time, then its key.
func Cursor(at time.Time, n int64) string {
	return strconv.FormatInt(Micros(at), 10) + "." + strconv.FormatInt(n, 10)
}

// End is behind every conversation of a list.
const End = math.MaxInt64

// ParseCursor returns the position before which to continue, in microseconds; "" and an
// invalid cursor are the very end.
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

package rawjson

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Times outside of these years are a broken clock or another unit.
const (
	firstYear = 2000
	lastYear  = 2200
)

var layouts = []string{
	time.RFC3339Nano,
	"2006-01-02T15:04:05.999999999Z0700",
	"2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02 15:04:05.999999999",
}

// Time reads what providers call a timestamp: seconds, milliseconds or finer as
// number or string, ISO 8601 (UTC where it names no zone), or the {low, high}
// of a 64-bit number. What is missing or makes no sense is the zero time.
func (v Value) Time() time.Time { return v.TimeIn(time.UTC) }

// TimeIn is Time for who means another zone where none is named.
func (v Value) TimeIn(zone *time.Location) time.Time {
	if v.IsObject() {
		low, high := v.Get("low").Int(), v.Get("high").Int()
		return unix(float64(high)*(1<<32) + float64(uint32(low)))
	}
	text := strings.TrimSpace(v.Text())
	if text == "" {
		return time.Time{}
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return unix(n)
	}
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return sane(t)
		}
	}
	return time.Time{}
}

func unix(n float64) time.Time {
	if math.IsNaN(n) || n <= 0 || n > 1e19 {
		return time.Time{}
	}
	for n >= 1e12 { // milli-, micro- or nanoseconds
		n /= 1000
	}
	return sane(time.UnixMilli(int64(math.Round(n * 1000))))
}

func sane(t time.Time) time.Time {
	t = t.UTC()
	if t.Year() < firstYear || t.Year() > lastYear {
		return time.Time{}
	}
	return t
}

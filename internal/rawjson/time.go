package rawjson

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// A time outside of these years comes from a broken clock or has another unit.
const (
	firstYear = 2000
	lastYear  = 2200
)

// Layouts of days and clocks. In 3/4/2026 the day comes first, as in Argentina.
var (
	days   = []string{"2006-01-02", "2006/1/2", "2/1/2006", "2-1-2006"}
	clocks = []string{
		"15:04:05", "15:04:05Z07:00", "15:04:05Z0700", "15:04:05Z07",
		"15:04", "15:04Z07:00", "15:04Z0700", "15:04Z07",
	}
)

// Time reads a provider's timestamp: Unix seconds, milliseconds or finer as a number or
// string, a date with a clock (UTC if it names no zone), or the {low, high} of a 64-bit
// number. It returns the zero time if the value is missing or makes no sense.
func (v Value) Time() time.Time { return v.TimeIn(time.UTC) }

// TimeIn is Time with another zone for dates that name none.
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
	return written(text, zone)
}

// written reads a day and a clock, separated by a T, a space or a comma. A zone may follow,
// with or without a space.
func written(text string, zone *time.Location) time.Time {
	i := strings.IndexAny(text, "T ,")
	if i < 0 {
		return time.Time{}
	}
	day, clock := text[:i], strings.TrimLeft(text[i:], "T ,")
	clock = strings.Replace(clock, " ", "", 1)
	for _, d := range days {
		if _, err := time.Parse(d, day); err != nil {
			continue
		}
		for _, c := range clocks {
			if t, err := time.ParseInLocation(d+" "+c, day+" "+clock, zone); err == nil {
				return sane(t)
			}
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

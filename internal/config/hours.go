package config

import (
	"strconv"
	"strings"
	"time"
)

// Hours are the working hours of a week, such as "mon-fri 9-18, sat 9:30-13".
// An empty string means always.
type Hours string

// HourSpan is a part of one day; From and To count from midnight.
type HourSpan struct {
	Day      time.Weekday
	From, To time.Duration
}

// Spans returns the hours as parts of days. UnmarshalText has checked them.
func (h Hours) Spans() []HourSpan {
	spans, _ := parseHours(string(h))
	return spans
}

var errHours = &flaw{"is not a time of the week", "write days and hours, such as mon-fri 9-18, sat 9:30-13, or always"}

// dayNames are the first three letters of the English and Spanish names, without accents.
var dayNames = [7][2]string{{"sun", "dom"}, {"mon", "lun"}, {"tue", "mar"}, {"wed", "mie"}, {"thu", "jue"}, {"fri", "vie"}, {"sat", "sab"}}

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hours) UnmarshalText(text []byte) error {
	if _, ok := parseHours(string(text)); !ok {
		return errHours
	}
	*h = Hours(text)
	return nil
}

func parseHours(s string) (spans []HourSpan, ok bool) {
	if s == "" || s == "always" {
		for day := range time.Weekday(7) {
			spans = append(spans, HourSpan{day, 0, 24 * time.Hour})
		}
		return spans, true
	}
	for part := range strings.SplitSeq(s, ",") {
		words := strings.Fields(part)
		if len(words) != 2 {
			return nil, false
		}
		first, last, ranged := strings.Cut(words[0], "-")
		from, to, both := strings.Cut(words[1], "-")
		if !ranged {
			last = first
		}
		begin, ok1 := weekday(first)
		end, ok2 := weekday(last)
		opens, ok3 := clock(from)
		closes, ok4 := clock(to)
		if !both || !ok1 || !ok2 || !ok3 || !ok4 || closes <= opens {
			return nil, false
		}
		for day := begin; ; day = (day + 1) % 7 {
			spans = append(spans, HourSpan{day, opens, closes})
			if day == end {
				break
			}
		}
	}
	return spans, true
}

func weekday(s string) (time.Weekday, bool) {
	s = strings.NewReplacer("é", "e", "á", "a").Replace(strings.ToLower(s))
	for day, names := range dayNames {
		for _, name := range names {
			if len(s) >= 3 && s[:3] == name {
				return time.Weekday(day), true
			}
		}
	}
	return 0, false
}

func clock(s string) (time.Duration, bool) {
	hour, minute, _ := strings.Cut(s, ":")
	if minute == "" {
		minute = "0"
	}
	h, err1 := strconv.ParseUint(hour, 10, 8)
	m, err2 := strconv.ParseUint(minute, 10, 8)
	d := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute //nolint:gosec // below 256
	return d, err1 == nil && err2 == nil && m < 60 && d <= 24*time.Hour
}

package alert

import (
	"slices"
	"time"
)

// Hours are the working hours.
type Hours struct {
	Zone  *time.Location // nil is UTC
	Spans []Span
}

// Span is a part of one day of the week, from midnight.
type Span struct {
	Day      time.Weekday
	From, To time.Duration
}

// maxLookback bounds how far back working time is counted.
const maxLookback = 14 * 24 * time.Hour

// Contains reports whether at is in working hours.
func (h Hours) Contains(at time.Time) bool {
	return slices.ContainsFunc(h.spansOn(at), func(s [2]time.Time) bool { return !at.Before(s[0]) && at.Before(s[1]) })
}

// Between returns the working time between from and to.
func (h Hours) Between(from, to time.Time) time.Duration {
	if from.Before(to.Add(-maxLookback)) {
		from = to.Add(-maxLookback)
	}
	var sum time.Duration
	// One day more, since days have 23 to 25 hours.
	for day := from; day.Before(to.Add(25 * time.Hour)); day = day.In(h.zone()).AddDate(0, 0, 1) {
		for _, s := range h.spansOn(day) {
			begin, end := s[0], s[1]
			if begin.Before(from) {
				begin = from
			}
			if end.After(to) {
				end = to
			}
			sum += max(0, end.Sub(begin))
		}
	}
	return sum
}

func (h Hours) zone() *time.Location {
	if h.Zone == nil {
		return time.UTC
	}
	return h.Zone
}

// spansOn returns the beginning and end of each span of the day that at is in.
func (h Hours) spansOn(at time.Time) (out [][2]time.Time) {
	y, m, d := at.In(h.zone()).Date()
	day := time.Date(y, m, d, 0, 0, 0, 0, h.zone()).Weekday()
	clock := func(from time.Duration) time.Time {
		return time.Date(y, m, d, int(from/time.Hour), int(from%time.Hour/time.Minute), 0, 0, h.zone())
	}
	for _, s := range h.Spans {
		if s.Day == day {
			out = append(out, [2]time.Time{clock(s.From), clock(s.To)})
		}
	}
	return out
}

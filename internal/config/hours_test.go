package config

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestHours(t *testing.T) {
	t.Parallel()
	day := func(d time.Weekday, from, to float64) HourSpan {
		return HourSpan{d, time.Duration(from * float64(time.Hour)), time.Duration(to * float64(time.Hour))}
	}
	for text, want := range map[string][]HourSpan{
		"mon-tue 9-18":            {day(1, 9, 18), day(2, 9, 18)},
		"Lunes-martes 9:00-18:00": {day(1, 9, 18), day(2, 9, 18)},
		"fri 9-13,fri 14-18":      {day(5, 9, 13), day(5, 14, 18)},
		"sáb-dom 9:30-24":         {day(6, 9.5, 24), day(0, 9.5, 24)},
		"sat-mon 0-1":             {day(6, 0, 1), day(0, 0, 1), day(1, 0, 1)},
		"always":                  {day(0, 0, 24), day(1, 0, 24), day(2, 0, 24), day(3, 0, 24), day(4, 0, 24), day(5, 0, 24), day(6, 0, 24)},
		"mon-fri":                 nil,
		"9-18":                    nil,
		"mon-fri 18-9":            nil,
		"mon-fri 9-25":            nil,
		"mon-fri 9:60-18":         nil,
		"mon-fri 9-18, whenever":  nil,
		"mo 9-18":                 nil,
		"mon-fri 9-18 sat 10-12":  nil,
	} {
		var h Hours
		err := h.UnmarshalText([]byte(text))
		if want == nil {
			if err == nil {
				t.Errorf("%q was taken for %v", text, h.Spans())
			}
			continue
		}
		if diff := cmp.Diff(want, h.Spans()); err != nil || diff != "" {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, diff)
		}
	}
}

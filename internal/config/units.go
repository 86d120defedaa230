package config

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration that can be written in days and weeks too.
type Duration time.Duration

// D returns d as a time.Duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

var errDuration = &flaw{"is not a duration", "write a number and a unit: 500ms, 30s, 10m, 24h, 30d"}

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	if s == "0" {
		*d = 0
		return nil
	}
	total := time.Duration(0)
	rest := s
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}} {
		count, after, found := strings.Cut(rest, unit.name)
		if !found {
			continue
		}
		n, err := strconv.ParseUint(count, 10, 32)
		if err != nil || time.Duration(n) > math.MaxInt64/unit.size/2 {
			return errDuration
		}
		total += time.Duration(n) * unit.size
		rest = after
	}
	if rest != "" || s == "" {
		part, err := time.ParseDuration(rest)
		if err != nil {
			return errDuration
		}
		total += part
	}
	if total < 0 {
		return &flaw{"is negative", "write 0 or more"}
	}
	*d = Duration(total)
	return nil
}

// Rate is a limit per second; 0 is no limit.
type Rate float64

var errRate = &flaw{"is not a rate", "write a number and a time: 80/s, 600/m, 5000/h"}

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Rate) UnmarshalText(text []byte) error {
	s := string(text)
	if s == "" || s == "0" {
		*r = 0
		return nil
	}
	count, per, _ := strings.Cut(s, "/")
	n, err := strconv.ParseFloat(strings.TrimSpace(count), 64)
	if err != nil || n < 0 || math.IsNaN(n) || n > 1e6 {
		return errRate
	}
	switch strings.TrimSpace(per) {
	case "", "s", "sec", "second":
	case "m", "min", "minute":
		n /= 60
	case "h", "hour":
		n /= 3600
	default:
		return errRate
	}
	*r = Rate(n)
	return nil
}

// Size is a number of bytes.
type Size int64

// sizes are matched by suffix, so longer names come first.
var sizes = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1}}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(src []byte) error {
	text := string(src)
	count, unit := text, int64(1)
	for _, u := range sizes {
		if n := len(text) - len(u.name); n > 0 && strings.EqualFold(text[n:], u.name) {
			count, unit = strings.TrimSpace(text[:n]), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return &flaw{"is not a size", "write a number and a unit: 500KB, 100MB, 1GiB"}
	}
	*s = Size(n * unit)
	return nil
}

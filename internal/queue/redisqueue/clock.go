package redisqueue

import (
	"strconv"
	"time"
)

// clock turns time into the ticks that scripts count in, which a double holds exactly. The
// server's clock ticks in microseconds since 1970. A test's clock ticks in nanoseconds and
// is exact within 100 days of the epoch.
type clock struct {
	now   func() time.Time
	tick  time.Duration
	epoch time.Time
}

func newClock(now func() time.Time) clock {
	if now == nil {
		return clock{tick: time.Microsecond, epoch: time.Unix(0, 0)}
	}
	return clock{now: now, tick: time.Nanosecond, epoch: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)}
}

// arg returns the time for a script, "" for the server's clock.
func (c clock) arg() string {
	if c.now == nil {
		return ""
	}
	return strconv.FormatInt(int64(c.now().Sub(c.epoch)), 10)
}

// ticks rounds up, so that nothing happens early.
func (c clock) ticks(d time.Duration) int64 {
	return int64((d + c.tick - 1) / c.tick)
}

func (c clock) duration(ticks int64) time.Duration { return time.Duration(ticks) * c.tick }

func (c clock) moment(ticks float64) time.Time {
	if c.tick == time.Microsecond {
		return time.UnixMicro(int64(ticks))
	}
	return c.epoch.Add(time.Duration(ticks))
}

// until returns how far away a time is.
func (c clock) until(t time.Time) time.Duration {
	if c.now == nil {
		return time.Until(t)
	}
	return t.Sub(c.now())
}

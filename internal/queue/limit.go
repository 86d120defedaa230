package queue

import "time"

// Spacing returns the limit in the terms that engines count in (GCRA): the time between two
// jobs, and the depth of a burst as a time; zero for no limit. At most Rate jobs are let
// out in any second: a burst of b lets b + ceil(1/gap) - 1 out, so the burst is taken from
// the steady rate, which becomes Rate-b+1. A burst is at most half the rate.
func (l Limit) Spacing() (gap, burst time.Duration) {
	if l.Rate <= 0 {
		return 0, 0
	}
	b := max(1, min(l.Burst, int(l.Rate/2)))
	perSecond := l.Rate - float64(b) + 1
	gap = max(1, time.Duration(float64(time.Second)/perSecond+0.999))
	return gap, time.Duration(b) * gap
}

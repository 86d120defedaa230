package queue

import "time"

// Spacing turns the limit into what engines count with (GCRA): the time between
// two jobs and the depth of a burst, both in time; zero for no limit. It never
// lets more than Rate jobs out in any one second: with a burst of b, at most
// b + ceil(1/gap) - 1 fit, so a burst is paid for by the steady rate, which
// becomes Rate-b+1. A burst of more than half the rate is cut to that.
func (l Limit) Spacing() (gap, burst time.Duration) {
	if l.Rate <= 0 {
		return 0, 0
	}
	b := max(1, min(l.Burst, int(l.Rate/2)))
	perSecond := l.Rate - float64(b) + 1
	gap = max(1, time.Duration(float64(time.Second)/perSecond+0.999))
	return gap, time.Duration(b) * gap
}

package api

import (
	"cmp"
	"math"
	"strconv"
	"time"

	"golang.org/x/time/rate"
)

// defaultRate is the rate of a key that sets none, in requests per second.
const defaultRate = 100

// rates are the limiters of keys, by name.
type rates map[string]*rate.Limiter

func newRates(keys []Key) rates {
	all := rates{}
	for _, k := range keys {
		if r := cmp.Or(k.Rate, defaultRate); r > 0 {
			all[k.Name] = rate.NewLimiter(rate.Limit(r), max(1, int(2*r)))
		}
	}
	return all
}

// take returns a problem if the request is over the key's rate.
func (l rates) take(name string, now time.Time) *Problem {
	lim := l[name]
	if lim == nil {
		return nil
	}
	r := lim.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait == 0 {
		return nil
	}
	r.CancelAt(now)
	p := problem(429, codeRateLimited, "The key is over its rate. Wait as long as Retry-After says, then send the same request with its Idempotency-Key.")
	p.retryAfter = strconv.Itoa(int(math.Ceil(wait.Seconds())))
	return p
}

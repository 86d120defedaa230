package queue

import (
	"math/rand/v2"
	"time"
)

// Backoff is the wait before the next attempt: after the n-th failure a random time between
// half and all of min(Cap, Base*2^(n-1)). The zero Backoff has a Base of 2 s and a Cap of
// 10 min.
type Backoff struct {
	Base, Cap time.Duration
	// Rand returns numbers in [0,1); nil means math/rand.
	Rand func() float64
}

func (b Backoff) withDefaults() Backoff {
	if b.Base <= 0 {
		b.Base = 2 * time.Second
	}
	if b.Cap <= 0 {
		b.Cap = 10 * time.Minute
	}
	if b.Rand == nil {
		b.Rand = rand.Float64
	}
	return b
}

// Faster returns a back-off that is so many times shorter; below 1 it stays the same.
// Drills use it to make a short outage as hard as a long one.
func (b Backoff) Faster(times float64) Backoff {
	b = b.withDefaults()
	if times > 1 {
		b.Base = max(1, time.Duration(float64(b.Base)/times))
		b.Cap = max(1, time.Duration(float64(b.Cap)/times))
	}
	return b
}

// Delay returns the wait after the n-th failure; n below 1 counts as 1.
func (b Backoff) Delay(n int) time.Duration {
	b = b.withDefaults()
	full := b.Base
	for ; n > 1 && full < b.Cap; n-- {
		full *= 2
	}
	return time.Duration((0.5 + b.Rand()/2) * float64(min(full, b.Cap)))
}

package sandbox

import (
	"sync"
	"time"
)

// Limits are the limits of a number, as Meta enforces them. A zero field is no limit.
type Limits struct {
	PerSecond int           // messages and receipts of the number; over it 130429
	PairEvery time.Duration // sustained pace to one person; over it 131056
	PairBurst int           // messages at once before PairEvery applies
	// Window is how long after a person's message free-form messages may go to them; over
	// it 131047. A person who never wrote here is let through: their webhook may have been
	// posted from elsewhere.
	Window time.Duration
}

// MetaLimits returns the limits of an ordinary number.
func MetaLimits() Limits {
	return Limits{PerSecond: 80, PairEvery: 6 * time.Second, PairBurst: 45, Window: 24 * time.Hour}
}

// limiter is a GCRA: for the number and for each person it keeps the time at which the
// bucket is full again.
type limiter struct {
	limits Limits
	mu     sync.Mutex
	number time.Time
	pairs  map[string]time.Time
}

func newLimiter(l Limits) *limiter { return &limiter{limits: l, pairs: map[string]time.Time{}} }

// allowNumber charges one request to the number and reports whether it may pass.
func (l *limiter) allowNumber(now time.Time) bool {
	if l.limits.PerSecond <= 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	next, ok := gcra(l.number, now, time.Second/time.Duration(l.limits.PerSecond), l.limits.PerSecond)
	l.number = next
	return ok
}

// allowPair charges one message to one person and reports whether it may pass.
func (l *limiter) allowPair(to string, now time.Time) bool {
	if l.limits.PairEvery <= 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	const many = 10_000
	if len(l.pairs) > many { // forget people with a full bucket
		for ref, at := range l.pairs {
			if at.Before(now) {
				delete(l.pairs, ref)
			}
		}
	}
	next, ok := gcra(l.pairs[to], now, l.limits.PairEvery, max(1, l.limits.PairBurst))
	l.pairs[to] = next
	return ok
}

func gcra(full, now time.Time, every time.Duration, burst int) (time.Time, bool) {
	if full.Before(now) {
		full = now
	}
	if full.Sub(now) > every*time.Duration(burst-1) {
		return full, false
	}
	return full.Add(every), true
}

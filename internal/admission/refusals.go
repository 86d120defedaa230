package admission

import (
	"context"
	"hash/maphash"
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

// An address may make failBurst refused requests at once, then failRate per second.
const (
	failBurst = 200
	failRate  = 1.0
	slots     = 8192
	// logEvery is the shortest time between two log lines about one address.
	logEvery = time.Minute
)

// Refusals counts refusals by address in a table of fixed size, and logs them at most once a
// minute per address. Addresses may share a slot. As only refusals are counted, the worst
// effect is a 429 instead of a 401, and one body at a time.
type Refusals struct {
	log   *slog.Logger
	seed  maphash.Seed
	mu    sync.Mutex
	slots [slots]slot
}

type slot struct {
	used     float64
	at       time.Time
	loggedAt time.Time
	unlogged int // refusals since the last log line
}

func newRefusals(log *slog.Logger) *Refusals { return &Refusals{log: log, seed: maphash.MakeSeed()} }

// Note counts one refusal and reports whether the address had too many before it. A log line,
// if one is due, has attrs and the number of refusals since the last.
func (r *Refusals) Note(addr netip.Addr, now time.Time, why string, attrs ...slog.Attr) (over bool) {
	over, count := r.count(addr, now)
	if count > 0 {
		attrs = append(attrs, slog.String("why", why), slog.String("address", addr.String()), slog.Int("count", count))
		r.log.LogAttrs(context.Background(), slog.LevelWarn, "refused", attrs...)
	}
	return over
}

// count counts one refusal. due is the number of refusals that a log line is due for, or 0.
func (r *Refusals) count(addr netip.Addr, now time.Time) (over bool, due int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.slot(addr, now)
	if over = s.used >= failBurst; !over {
		s.used++
	}
	s.unlogged++
	if now.Sub(s.loggedAt) < logEvery {
		return over, 0
	}
	due = s.unlogged
	s.loggedAt, s.unlogged = now, 0
	return over, due
}

// Over reports whether the address had too many refusals.
func (r *Refusals) Over(addr netip.Addr, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.slot(addr, now).used >= failBurst
}

// slot returns the slot of an address, decayed to now. The lock is held.
func (r *Refusals) slot(addr netip.Addr, now time.Time) *slot {
	b := addressKey(addr).As16()
	s := &r.slots[maphash.Bytes(r.seed, b[:])%slots]
	if past := now.Sub(s.at).Seconds(); past > 0 {
		s.used = max(0, s.used-past*failRate)
		s.at = now
	}
	return s
}

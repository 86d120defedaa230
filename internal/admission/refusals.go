package admission

import (
	"context"
	"hash/maphash"
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

// How many refused requests an address may make: failBurst at once, and then
// failRate in a second.
const (
	failBurst = 200
	failRate  = 1.0
	slots     = 8192
	// logEvery is how often at most refusals of one address are logged.
	logEvery = time.Minute
)

// Refusals counts what was refused, by address, in a table of fixed size, and logs
// it at most once a minute and address. Addresses that meet in one slot share it;
// as only refusals are in it, the worst that comes of it is a 429 in place of a
// 401, and one body at a time.
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
	unlogged int // refusals that no line has told of
}

func newRefusals(log *slog.Logger) *Refusals { return &Refusals{log: log, seed: maphash.MakeSeed()} }

// Note counts one refusal and reports whether the address had too many before it.
// The line that it may log has attrs, and how many refusals it stands for.
func (r *Refusals) Note(addr netip.Addr, now time.Time, why string, attrs ...slog.Attr) (over bool) {
	over, count := r.count(addr, now)
	if count > 0 {
		attrs = append(attrs, slog.String("why", why), slog.String("address", addr.String()), slog.Int("count", count))
		r.log.LogAttrs(context.Background(), slog.LevelWarn, "refused", attrs...)
	}
	return over
}

// count returns for how many refusals a line is due, or 0.
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

// Over reports whether the address was refused too often.
func (r *Refusals) Over(addr netip.Addr, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.slot(addr, now).used >= failBurst
}

// slot is the address's, as it is now. The lock is held.
func (r *Refusals) slot(addr netip.Addr, now time.Time) *slot {
	b := addressKey(addr).As16()
	s := &r.slots[maphash.Bytes(r.seed, b[:])%slots]
	if past := now.Sub(s.at).Seconds(); past > 0 {
		s.used = max(0, s.used-past*failRate)
		s.at = now
	}
	return s
}

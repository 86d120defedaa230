package ingest

import (
	"hash/maphash"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// How many refused requests an address may make: failBurst at once, and then
// failRate in a second. What is authentic is never counted nor limited: all of
// Meta's, or a whole office's, may come from one address.
const (
	failBurst = 200
	failRate  = 1.0
	slots     = 8192
)

// limiter counts refused requests by address in a table of fixed size. Addresses
// that meet in one slot share it; as only refusals ask, the worst that comes of
// it is a 429 in place of a 401.
type limiter struct {
	seed  maphash.Seed
	mu    sync.Mutex
	slots [slots]slot
}

type slot struct {
	used float64
	at   time.Time
}

func newLimiter() *limiter { return &limiter{seed: maphash.MakeSeed()} }

// refused counts one refusal, and reports whether the address had too many.
func (l *limiter) refused(addr netip.Addr, now time.Time) (limited bool) {
	if addr.Is6() && !addr.Is4In6() { // one household has 2^64 of them
		if p, err := addr.Prefix(64); err == nil {
			addr = p.Addr()
		}
	}
	b := addr.Unmap().As16()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.slots[maphash.Bytes(l.seed, b[:])%slots]
	if past := now.Sub(s.at).Seconds(); past > 0 {
		s.used = max(0, s.used-past*failRate)
		s.at = now
	}
	if s.used >= failBurst {
		return true
	}
	s.used++
	return false
}

// client returns the address that a request comes from. X-Forwarded-For is read
// from the right, and only as far as each hop is a proxy that is trusted.
func (d *Door) client(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.IPv6Unspecified()
	}
	addr := peer.Addr().Unmap().WithZone("")
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && d.trusted(addr); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = hop.Unmap().WithZone("")
	}
	return addr
}

func (d *Door) trusted(addr netip.Addr) bool {
	for _, p := range d.proxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

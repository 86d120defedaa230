package admission

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Proxies are the networks whose X-Forwarded-For is believed.
type Proxies []netip.Prefix

// Client returns the client's address of a request. X-Forwarded-For is read from the right, as
// long as each hop is a trusted proxy.
func (p Proxies) Client(r *http.Request) netip.Addr {
	addr := addrOf(r.RemoteAddr)
	hops := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	for p.trusts(addr) && hops != "" {
		at := strings.LastIndexByte(hops, ',')
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[at+1:]))
		if err != nil {
			break
		}
		addr = hop.Unmap().WithZone("")
		hops = hops[:max(at, 0)]
	}
	return addr
}

// IsProxy reports whether the address is a proxy's: a trusted one, or one of this machine,
// which may use a unix socket without addresses. Its clients cannot be told apart.
func (p Proxies) IsProxy(addr netip.Addr) bool {
	return addr.IsLoopback() || addr.IsUnspecified() || p.trusts(addr)
}

func (p Proxies) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(p, func(network netip.Prefix) bool { return network.Contains(addr) })
}

// addrOf returns the address of a peer; a unix socket's is unspecified.
func addrOf(peer string) netip.Addr {
	addr, err := netip.ParseAddrPort(peer)
	if err != nil {
		return netip.IPv6Unspecified()
	}
	return addr.Addr().Unmap().WithZone("")
}

func peerOf(c net.Conn) netip.Addr { return addrOf(c.RemoteAddr().String()) }

// addressKey returns the unit that counts as one address: of IPv6 a /64, which every customer
// has.
func addressKey(addr netip.Addr) netip.Addr {
	if addr = addr.Unmap(); addr.Is6() {
		if p, err := addr.WithZone("").Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}

// An address that sent something authentic (Meta's, or one with a line's secret) is known for
// a day. At most maxKnown are kept.
const (
	knownTTL = 24 * time.Hour
	maxKnown = 4096
)

// Known holds the addresses that sent something authentic. Its zero value is ready to use. It
// is safe for concurrent use.
type Known struct {
	mu   sync.Mutex
	last map[netip.Addr]time.Time
}

// Mark notes that the address sent something authentic.
func (k *Known) Mark(addr netip.Addr, now time.Time) {
	addr = addressKey(addr)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last == nil {
		k.last = map[netip.Addr]time.Time{}
	}
	k.last[addr] = now
	if len(k.last) <= maxKnown {
		return
	}
	oldest := addr
	for a, at := range k.last {
		if at.Before(k.last[oldest]) {
			oldest = a
		}
	}
	delete(k.last, oldest)
}

// Contains reports whether the address sent something authentic in the last day.
func (k *Known) Contains(addr netip.Addr, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	at, here := k.last[addressKey(addr)]
	return here && now.Sub(at) < knownTTL
}

// Package hosts knows the names under which the router's pages may be opened. It protects
// against DNS rebinding: a website can point its own name at this machine, and its scripts in
// an operator's browser then read our pages; only the Host of the request gives them away. It
// must never believe another header in its place, nor ask a name server.
package hosts

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Options of New.
type Options struct {
	// Listen is the listener's address, which is one of our names. If it is unspecified,
	// every address of the machine is one.
	Listen string
	// PublicURL is the URL for browsers, "" for none.
	PublicURL string
	// Names are further names and addresses, in lower case, without port.
	Names []string
	// Interfaces returns the addresses of the machine; nil asks the system.
	Interfaces func() ([]net.Addr, error)
}

// Hosts are the names of one listener.
type Hosts struct {
	names      []string
	anyLocal   bool // every address of the machine is a name
	interfaces func() ([]net.Addr, error)
}

// New returns the names of a listener, loopback among them.
func New(o Options) *Hosts {
	h := &Hosts{names: []string{"localhost"}, interfaces: o.Interfaces}
	if h.interfaces == nil {
		h.interfaces = net.InterfaceAddrs
	}
	for _, name := range o.Names {
		h.add(name)
	}
	if u, err := url.Parse(o.PublicURL); err == nil {
		h.add(u.Hostname())
	}
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return h
	}
	addr, err := netip.ParseAddr(host)
	if h.anyLocal = host == "" || err == nil && addr.IsUnspecified(); !h.anyLocal {
		h.add(host)
	}
	return h
}

func (h *Hosts) add(name string) {
	if name != "" {
		h.names = append(h.names, canonical(name))
	}
}

// canonical returns the form in which names and addresses are compared.
func canonical(name string) string {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if addr, err := netip.ParseAddr(name); err == nil {
		return addr.Unmap().WithZone("").String()
	}
	return name
}

// Allows reports whether the request's Host is one of the names.
func (h *Hosts) Allows(r *http.Request) bool {
	name, ok := hostname(r.Host)
	if !ok {
		return false
	}
	if slices.Contains(h.names, name) {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && (addr.IsLoopback() || h.anyLocal && h.isLocal(addr))
}

// hostname returns the name in a Host header. Any port is accepted, as it may be a tunnel's.
func hostname(host string) (string, bool) {
	name, port := host, ""
	if rest, bracket := strings.CutPrefix(host, "["); bracket {
		inside, after, closed := strings.Cut(rest, "]")
		if addr, err := netip.ParseAddr(inside); err != nil || !addr.Is6() || !closed {
			return "", false
		}
		name, port = inside, after
	} else if i := strings.IndexByte(host, ':'); i >= 0 {
		name, port = host[:i], host[i:]
	}
	if port != "" && (port[0] != ':' || strings.Trim(port[1:], "0123456789") != "") {
		return "", false
	}
	return canonical(name), name != ""
}

// isLocal asks for the machine's addresses each time, as they change.
func (h *Hosts) isLocal(addr netip.Addr) bool {
	all, err := h.interfaces()
	return err == nil && slices.ContainsFunc(all, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr().Unmap().WithZone("") == addr
	})
}

const misdirected = `Este router no contesta por ese nombre. Si es suyo, ponelo en hosts (PSI_HOSTS), o en public_url, y reiniciá.

This router does not answer to that name. If the name is yours, add it to hosts (PSI_HOSTS) or set public_url, and restart.
`

// Guard lets requests to our own names through, and answers others 421.
func (h *Hosts) Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.Allows(r) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusMisdirectedRequest)
		_, _ = io.WriteString(w, misdirected) // fails only if the caller is gone
	})
}

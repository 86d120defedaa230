package webhookout

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"code.dny.dev/ssrf"
)

// guard checks every address before it is dialled, after its name was resolved: a name may
// lead anywhere, and somewhere else the next time.
type guard struct {
	name, key     string
	allow         []string
	allowedByName bool // the host of the url is allowed by its name
	safe          *ssrf.Guardian
}

func newGuard(o Options, u *url.URL) *guard {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80"}[u.Scheme]
		port = cmp.Or(port, "443")
	}
	return &guard{
		name: o.Name, key: o.Key, allow: o.Allow,
		allowedByName: slices.ContainsFunc(o.Allow, func(a string) bool {
			return strings.EqualFold(a, net.JoinHostPort(u.Hostname(), port))
		}),
		safe: ssrf.New(ssrf.WithAnyPort(), ssrf.WithDeniedV4Prefixes(
			netip.MustParsePrefix("168.63.129.16/32"), // Azure's internal services, at a public address
		)),
	}
}

// forbiddenError names an address that must not be dialled.
type forbiddenError struct{ name, addr, key string }

func (e *forbiddenError) Error() string {
	return fmt.Sprintf("the address of endpoint %s, %s, is not public; to allow it, write %q in %s", e.name, e.addr, e.addr, e.key)
}

func (g *guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return &forbiddenError{g.name, address, g.key}
	}
	ip := at.Addr().Unmap().WithZone("")
	at = netip.AddrPortFrom(ip, at.Port())
	literal := slices.ContainsFunc(g.allow, func(a string) bool {
		allowed, err := netip.ParseAddrPort(a)
		return err == nil && netip.AddrPortFrom(allowed.Addr().Unmap(), allowed.Port()) == at
	})
	// An allowed name may lead to a machine of ours, but not to a link-local address:
	// metadata services have those.
	if literal || g.allowedByName && !ip.IsLinkLocalUnicast() && !ip.IsMulticast() && !ip.IsUnspecified() {
		return nil
	}
	if g.safe.SafeAddr(ip) != nil {
		return &forbiddenError{g.name, at.String(), g.key}
	}
	return nil
}

func isCertificate(err error) bool {
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var name x509.HostnameError
	return errors.As(err, &verify) || errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &name)
}

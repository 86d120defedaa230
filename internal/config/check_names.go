package config

import (
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// hostName matches a host as a browser sends it, also that of a machine in the local network.
var hostName = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)

// checkNames checks the hosts under which pages may be opened.
func (d *decoder) checkNames(c *Config) {
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	if c.PublicURL == "" && c.TLSDomain != "" {
		c.PublicURL = "https://" + c.TLSDomain
	} else if c.PublicURL != "" {
		d.checkURL("public_url", c.PublicURL)
		if u, err := url.Parse(c.PublicURL); err == nil && (u.RawQuery != "" || u.Fragment != "") {
			d.bad("public_url", "", "has a query or a fragment", "write the address alone, such as https://router.example.com")
		}
	}
	for i, name := range c.Hosts {
		if plain, why := parseHost(name); why != "" {
			d.bad("hosts", "", strconv.Quote(printable(name))+" "+why, "write a host name or an IP address alone, such as router.lan or 192.168.1.20")
		} else {
			c.Hosts[i] = plain
		}
	}
}

// parseHost returns the canonical form of a host name or IP address, or why it is
// neither.
func parseHost(name string) (plain, why string) {
	plain = strings.ToLower(strings.TrimSuffix(name, "."))
	bare := strings.TrimSuffix(strings.TrimPrefix(plain, "["), "]")
	if addr, err := netip.ParseAddr(bare); err == nil && addr.Zone() == "" {
		if addr.IsUnspecified() {
			return "", "is the unspecified address"
		}
		return addr.Unmap().String(), ""
	}
	switch {
	case strings.Contains(name, "://"):
		return "", "is a URL"
	case strings.Contains(name, "*"):
		return "", "has a *: write each name out"
	case strings.Contains(name, ":"):
		return "", "has a port"
	case strings.ContainsFunc(name, func(r rune) bool { return r > unicode.MaxASCII }):
		return "", "has non-ASCII letters, which browsers send as xn--…"
	case len(plain) > 253, !hostName.MatchString(plain):
		return "", "is not a host name"
	}
	return plain, ""
}

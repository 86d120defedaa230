package hosts_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/psivisionhub/psi-router/internal/hosts"
)

func machine() ([]net.Addr, error) {
	var all []net.Addr
	for _, cidr := range []string{"127.0.0.1/8", "192.168.1.20/24", "fe80::1/64", "2001:db8::20/64"} {
		ip, n, err := net.ParseCIDR(cidr)
		if err != nil {
			return nil, err
		}
		n.IP = ip
		all = append(all, n)
	}
	return all, nil
}

func TestAllows(t *testing.T) {
	t.Parallel()
	always := []string{
		"localhost", "localhost:3002", "LOCALHOST:3002", "localhost.", "localhost.:3002", "localhost:", "127.0.0.1", "127.0.0.1:3002", "127.0.0.1.:3002", "127.8.9.10", "[::1]", "[::1]:3002", "[0:0:0:0:0:0:0:1]:80",
		"[::ffff:127.0.0.1]:80",
	}
	never := []string{
		"", ":3002", "evil.example", "evil.example:3002", "localhost.evil.example", "evil.localhost", "127.0.0.1.evil.example", "localhost@evil.example", "evil.example@localhost", "localhost:80@evil.example",
		"localhost:x", "localhost:80:80", "::1", "[::1", "::1]", "[::1]x", "[::1].evil.example", "[127.0.0.1]", "[localhost]", "[]", "localhost/", "localhost\\", "local host", "localhost ", "0.0.0.0", "[::]", "0", "2130706433", "0x7f.1", "127.1", "0177.0.0.1",
		"localhost..", "127.0.0.1..", "169.254.169.254", "8.8.8.8", "[2001:db8::99]",
	}
	for name, c := range map[string]struct {
		o        hosts.Options
		own, not []string
	}{
		"loopback":    {hosts.Options{Listen: "127.0.0.1:3002"}, nil, []string{"192.168.1.20", "[2001:db8::20]", "router.example.com"}},
		"an address":  {hosts.Options{Listen: "192.168.1.20:3002"}, []string{"192.168.1.20", "192.168.1.20:80", "[::ffff:192.168.1.20]"}, []string{"192.168.1.21", "[fe80::1]"}},
		"an IPv6":     {hosts.Options{Listen: "[2001:db8::20]:3002"}, []string{"[2001:db8::20]", "[2001:DB8:0::20]:80"}, []string{"192.168.1.20"}},
		"a name":      {hosts.Options{Listen: "Box.lan:3002"}, []string{"box.lan", "BOX.LAN.:3002"}, []string{"192.168.1.20", "x.box.lan"}},
		"every":       {hosts.Options{Listen: ":3002"}, []string{"192.168.1.20:3002", "[fe80::1]", "[2001:db8::20]:3002"}, []string{"192.168.1.21", "192.168.1.255", "192.168.1.0", "[fe80::2]", "router.example.com"}},
		"every IPv4":  {hosts.Options{Listen: "0.0.0.0:3002"}, []string{"192.168.1.20"}, []string{"192.168.1.21"}},
		"every IPv6":  {hosts.Options{Listen: "[::]:3002"}, []string{"192.168.1.20", "[fe80::1]"}, []string{"192.168.1.21"}},
		"public_url":  {hosts.Options{Listen: "127.0.0.1:3002", PublicURL: "https://Router.Example.com:8443/r"}, []string{"router.example.com", "ROUTER.example.com.:443"}, []string{"example.com", "a.router.example.com"}},
		"more names":  {hosts.Options{Listen: "127.0.0.1:3002", Names: []string{"router.lan", "10.0.0.1", "fd00::1", ""}}, []string{"router.lan:80", "10.0.0.1", "[fd00::1]:80"}, []string{"10.0.0.2"}},
		"no address":  {hosts.Options{}, nil, []string{"192.168.1.20"}},
		"no machines": {hosts.Options{Listen: ":1", Interfaces: func() ([]net.Addr, error) { return nil, errors.New("no") }}, nil, []string{"192.168.1.20"}},
	} {
		if c.o.Interfaces == nil {
			c.o.Interfaces = machine
		}
		h := hosts.New(c.o)
		for _, host := range append(c.own, always...) {
			if !h.Allows(&http.Request{Host: host}) {
				t.Errorf("%s: %q is not its own", name, host)
			}
		}
		for _, host := range append(c.not, never...) {
			if h.Allows(&http.Request{Host: host}) {
				t.Errorf("%s: %q is its own", name, host)
			}
		}
	}
}

// TestGuard asks real servers, by HTTP/1.1 and HTTP/2.
func TestGuard(t *testing.T) {
	t.Parallel()
	for _, two := range []bool{false, true} {
		s := httptest.NewUnstartedServer(hosts.New(hosts.Options{Listen: "127.0.0.1:0"}).Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.Proto)
		})))
		s.EnableHTTP2 = two
		s.StartTLS()
		t.Cleanup(s.Close)
		for host, want := range map[string]int{"": 200, "localhost": 200, "evil.example": 421, "evil.example:443": 421} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = host
			for _, name := range []string{"X-Forwarded-Host", "X-Host", "X-Original-Host"} {
				req.Header.Set(name, "localhost")
			}
			req.Header.Set("Forwarded", "host=localhost")
			res, err := s.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || res.StatusCode != want || res.ProtoMajor == 2 != two {
				t.Errorf("%q by %s: got %s %v, want %d", host, res.Proto, res.Status, err, want)
			}
			if want == 421 && (!strings.Contains(string(body), "hosts (PSI_HOSTS)") || strings.Contains(string(body), "evil")) {
				t.Errorf("got %q", body)
			}
		}
	}
}

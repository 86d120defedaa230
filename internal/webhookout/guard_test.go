package webhookout

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/psivisionhub/psi-router/internal/outbound"
)

// TestGuard: the addresses that may be dialled.
func TestGuard(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		addr  string
		allow []string
		ok    bool
	}{
		{addr: "93.184.216.34:443", ok: true},
		{addr: "93.184.216.34:8443", ok: true},
		{addr: "[2606:2800:220:1:248:1893:25c8:1946]:443", ok: true},
		{addr: "127.0.0.1:80"},
		{addr: "10.1.2.3:443"},
		{addr: "172.16.0.1:443"},
		{addr: "192.168.1.1:443"},
		{addr: "100.64.0.1:443"},
		{addr: "0.0.0.0:80"},
		{addr: "169.254.169.254:80"},
		{addr: "168.63.129.16:80"},
		{addr: "100.100.100.200:80"},
		{addr: "224.0.0.1:80"},
		{addr: "[::1]:80"},
		{addr: "[::]:80"},
		{addr: "[::ffff:127.0.0.1]:80"},
		{addr: "[::ffff:169.254.169.254]:80"},
		{addr: "[::ffff:93.184.216.34]:80", ok: true},
		{addr: "[fe80::1%eth0]:80"},
		{addr: "[fd00:ec2::254]:80"},
		{addr: "[64:ff9b::7f00:1]:80"},
		{addr: "[2002:7f00:1::]:80"},
		{addr: "[2001:db8::1]:80"},
		{addr: "no address"},
		{addr: "127.0.0.1:5678", allow: []string{"127.0.0.1:5678"}, ok: true},
		{addr: "[::ffff:127.0.0.1]:5678", allow: []string{"127.0.0.1:5678"}, ok: true},
		{addr: "127.0.0.1:5679", allow: []string{"127.0.0.1:5678"}},
		{addr: "127.0.0.2:5678", allow: []string{"127.0.0.1:5678"}},
		{addr: "169.254.169.254:80", allow: []string{"169.254.169.254:80"}, ok: true}, // explicitly allowed
		{addr: "10.0.0.9:8080", allow: []string{"CRM.internal:8080"}, ok: true},
		{addr: "10.0.0.9:8080", allow: []string{"crm.internal:80"}},
		{addr: "169.254.169.254:8080", allow: []string{"crm.internal:8080"}}, // a name may lead anywhere
	} {
		g := newGuard(Options{Name: "crm", Key: "endpoints.0.allow", Allow: x.allow}, &url.URL{Scheme: "http", Host: "crm.internal:8080"})
		err := g.control(context.Background(), "tcp", x.addr, nil)
		if (err == nil) != x.ok {
			t.Errorf("%s with %v: got %v", x.addr, x.allow, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "endpoint crm") || !strings.Contains(err.Error(), "endpoints.0.allow")) {
			t.Errorf("%s: %v names neither the endpoint nor the cure", x.addr, err)
		}
	}
}

// TestGuardDials: nothing reaches a private address that is not allowed, and the failure says
// what to write where.
func TestGuardDials(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	s := endpoint(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	addr := strings.TrimPrefix(s.URL, "http://")
	for _, u := range []string{
		s.URL, strings.Replace(s.URL, "127.0.0.1", "localhost", 1), strings.Replace(s.URL, "127.0.0.1", "[::ffff:127.0.0.1]", 1),
		"http://169.254.169.254/latest", "http://[::ffff:127.0.0.1]:80/",
	} {
		f := failure(t, client(t, u, func(o *Options) { o.Allow = nil }).Push(t.Context(), received()))
		if f.Class != outbound.Auth || !strings.Contains(f.Detail, "endpoints.0.allow") {
			t.Errorf("%s: got %+v", u, f)
		}
		if u == s.URL && !strings.Contains(f.Detail, addr) {
			t.Errorf("%s: got %+v", u, f)
		}
	}
	if hits.Load() != 0 {
		t.Errorf("%d requests arrived", hits.Load())
	}
	named := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	if err := client(t, named, func(o *Options) { o.Allow = []string{strings.TrimPrefix(named, "http://")} }).Push(t.Context(), received()); err != nil {
		t.Errorf("allowed by its name: %v", err)
	}
	if hits.Load() != 1 {
		t.Errorf("%d requests arrived, want 1", hits.Load())
	}
}

package cluster

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestProxySkipsBackendsThatAreDown: connections go round the backends that accept them.
func TestProxySkipsBackendsThatAreDown(t *testing.T) {
	t.Parallel()
	named := func(name string) *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			_, _ = io.WriteString(w, name+string(body))
		}))
	}
	one, two, gone := named("one"), named("two"), named("gone")
	defer one.Close()
	defer two.Close()
	gone.Close()
	p, err := newProxy([]string{one.Listener.Addr().String(), gone.Listener.Addr().String(), two.Listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	got := map[string]int{}
	for range 6 {
		res, err := client.Post(p.URL(), "text/plain", strings.NewReader("!"))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		got[string(body)]++
	}
	if got["one!"] == 0 || got["two!"] == 0 || len(got) != 2 {
		t.Errorf("got %v, want answers of both backends that are up", got)
	}
	p.close()
	if _, err := client.Post(p.URL(), "text/plain", nil); err == nil {
		t.Error("a closed proxy answers")
	}
}

// TestServerComesBack: WhatsApp leaves the network and returns at the same address.
func TestServerComesBack(t *testing.T) {
	t.Parallel()
	o, err := newServer(t.Context(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func() error {
		res, err := client.Get("http://" + o.port.Addr())
		if err == nil {
			res.Body.Close()
		}
		return err
	}
	for range 2 {
		if err := ask(); err != nil {
			t.Errorf("open: %v", err)
		}
		o.Close()
		if err := ask(); err == nil {
			t.Error("closed: the server answers")
		}
		if err := o.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	o.closeForGood()
}

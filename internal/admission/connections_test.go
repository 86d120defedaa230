package admission

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestConnectionLimits(t *testing.T) {
	t.Parallel()
	c := New(Options{}).Connections(Limits{All: 6, Each: 2})
	c.control.Known.Mark(another, c.now())
	open := func(addr string) *connSlot { return c.enter(addrOf(addr + ":1")) }
	first := open("203.0.113.9")
	for _, tt := range []struct {
		addr string
		over bool
	}{
		{"203.0.113.9", false},
		{"203.0.113.9", true}, // one too many for a stranger
		{"203.0.113.10", false},
		{"203.0.113.10", false},
		{"203.0.113.10", false}, // a known address
		{"127.0.0.1", false},    // a proxy
		{"127.0.0.1", true},     // one too many in all
	} {
		if got := open(tt.addr); got.over != tt.over {
			t.Errorf("%s: over %v, want %v", tt.addr, got.over, tt.over)
		}
	}
	first.leave()
	first.leave() // closed twice
	if got := open("203.0.113.9"); got.over {
		t.Error("a place that was left is not free")
	}
	for range maxRejecting - 2 {
		open("203.0.113.9")
	}
	if open("203.0.113.9") != nil {
		t.Error("connections beyond the limit get a 503 without bound")
	}
}

// TestOverLimitGets503: a connection beyond the limit gets a 503 and is closed.
func TestOverLimitGets503(t *testing.T) {
	t.Parallel()
	limit := New(Options{}).Connections(Limits{All: 2, Each: 2})
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{ //nolint:gosec // the clients are ours
		Handler:     limit.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})),
		ConnContext: limit.Context,
	}
	done := make(chan error)
	go func() { done <- s.Serve(limit.Listener(l)) }()
	ask := func(c net.Conn) *http.Response {
		t.Helper()
		if _, err := c.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res
	}
	dial := func() net.Conn {
		t.Helper()
		c, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	one, two := dial(), dial()
	for _, c := range []net.Conn{one, two} {
		if got := ask(c); got.StatusCode != http.StatusOK {
			t.Errorf("got %d", got.StatusCode)
		}
	}
	three := dial()
	if got := ask(three); got.StatusCode != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" || !got.Close {
		t.Errorf("the third: got %d, %v", got.StatusCode, got.Header)
	}
	if got := ask(two); got.StatusCode != http.StatusOK {
		t.Errorf("an earlier connection: got %d", got.StatusCode)
	}
	s.Close()
	<-done
	if limit.all != 0 || limit.rejecting != 0 || len(limit.peers) != 0 {
		t.Errorf("%d and %d are still counted once all are closed", limit.all, limit.rejecting)
	}
}

// TestLimitsLeaveHalfTheFiles: connections use at most half of the process's files.
func TestLimitsLeaveHalfTheFiles(t *testing.T) {
	t.Parallel()
	for files, want := range map[uint64]Limits{
		64: {32, 4}, 256: {128, 16}, 1024: {512, 64}, 65536: {4096, 128}, 1<<64 - 1: {4096, 128},
	} {
		if got := limitsFor(files); got != want {
			t.Errorf("%d files: got %v, want %v", files, got, want)
		}
	}
	if got := ProcessLimits(); got.All < 1 || got.Each < 1 {
		t.Errorf("got %v", got)
	}
}

// TestOverTLS: HTTP/2 over TLS has the same limits and pace.
func TestOverTLS(t *testing.T) {
	t.Parallel()
	limit := New(Options{}).Connections(Limits{All: 1, Each: 1})
	s := httptest.NewUnstartedServer(limit.Handler(Pace(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n, err := io.Copy(io.Discard, r.Body); err != nil || r.ProtoMajor != 2 || n > 0 && !r.Body.(*pacedBody).done {
			t.Errorf("%s: %d bytes, %v", r.Proto, n, err)
		}
		w.Write(zeros)
	}))))
	s.Listener = limit.Listener(s.Listener)
	s.Config.ConnContext = limit.Context
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	post := func(c *http.Client, want int) {
		t.Helper()
		res, err := c.Post(s.URL, "text/plain", bytes.NewReader(zeros[:mib])) //nolint:noctx // the server is ours
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		n, err := io.Copy(io.Discard, res.Body)
		if err != nil || res.StatusCode != want || want == http.StatusOK && n != int64(len(zeros)) {
			t.Errorf("got %d, %d bytes, %v; want %d", res.StatusCode, n, err, want)
		}
	}
	first := s.Client()
	post(first, http.StatusOK)
	second := &http.Client{Transport: first.Transport.(*http.Transport).Clone()}
	post(second, http.StatusServiceUnavailable)
	post(first, http.StatusOK)
	first.CloseIdleConnections()
	second.CloseIdleConnections()
}

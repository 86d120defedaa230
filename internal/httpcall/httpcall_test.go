package httpcall_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/httpcall"
)

func do(t *testing.T, client *http.Client, address string, timeout time.Duration, body io.Reader) (httpcall.Answer, *httpcall.Error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, body)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := httpcall.Do(client, req)
	var e *httpcall.Error
	if err != nil && !errors.As(err, &e) {
		t.Fatalf("got %T", err)
	}
	if e != nil && strings.Contains(e.Error(), "secret-path") {
		t.Errorf("the error shows the address: %v", e)
	}
	return answer, e
}

// reset closes a connection with a reset instead of an answer.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

// TestSent: a failed call says whether it may have arrived.
func TestSent(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/ok/", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("User-Agent") != httpcall.UserAgent {
			t.Errorf("user agent %q", r.Header.Get("User-Agent"))
		}
		io.WriteString(w, "fine")
	})
	mux.HandleFunc("/moved/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/ok/", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/reset/", func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); reset(w) })
	mux.HandleFunc("/half/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "half")
	})
	mux.HandleFunc("/hang/", func(http.ResponseWriter, *http.Request) { <-release })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	client := httpcall.NewClient()
	t.Cleanup(client.CloseIdleConnections)

	if a, err := do(t, client, server.URL+"/ok/secret-path", 10*time.Second, strings.NewReader("x")); err != nil || a.Status != 200 || string(a.Body) != "fine" {
		t.Errorf("ok: got %+v, %v", a, err)
	}
	if a, err := do(t, client, server.URL+"/moved/secret-path", 10*time.Second, strings.NewReader("x")); err != nil || a.Status != http.StatusTemporaryRedirect {
		t.Errorf("moved: got %+v, %v", a, err)
	}
	for path, timeout := range map[string]time.Duration{"/reset/": 10 * time.Second, "/half/": 10 * time.Second, "/hang/": 200 * time.Millisecond} {
		if _, err := do(t, client, server.URL+path+"secret-path", timeout, strings.NewReader("x")); err == nil || !err.Sent {
			t.Errorf("%s: got %+v, want sent", path, err)
		}
	}

	refused := httptest.NewServer(nil)
	refused.Close()
	blind, err := net.Listen("tcp", "127.0.0.1:0") // accepts connections, but answers no TLS handshake
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { blind.Close() })
	for name, address := range map[string]string{
		"refused": refused.URL + "/secret-path", "no such host": "http://nowhere.invalid/secret-path",
		"no TLS": strings.Replace(server.URL, "http", "https", 1) + "/secret-path", "TLS hangs": "https://" + blind.Addr().String() + "/secret-path",
	} {
		if _, err := do(t, client, address, 500*time.Millisecond, strings.NewReader("x")); err == nil || err.Sent {
			t.Errorf("%s: got %+v, want not sent", name, err)
		}
	}
	broken := io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<16)), failing{})
	if _, err := do(t, client, server.URL+"/ok/", 10*time.Second, broken); err == nil || err.Sent {
		t.Errorf("half a request: got %+v, want not sent", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("broken") }

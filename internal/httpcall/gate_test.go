package httpcall_test

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/psivisionhub/psi-router/internal/httpcall"
)

// whole counts the requests that arrive complete.
func whole(t *testing.T, unencrypted bool) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var n atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			n.Add(1)
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.EnableHTTP2 = !unencrypted
	if unencrypted {
		s.Start()
	} else {
		s.StartTLS()
	}
	t.Cleanup(s.Close)
	return s, &n
}

// TestGate: whenever the gate shuts, no request arrives whole, and the error says so for
// certain.
func TestGate(t *testing.T) {
	t.Parallel()
	shut := errors.New("the lease is over")
	small, large := []byte(`{"status":"read"}`), bytes.Repeat([]byte("x"), 1<<20)
	for name, c := range map[string]struct {
		method string
		body   []byte
		passes int32 // before it shuts; -1: never
	}{
		"open":                    {http.MethodPost, large, -1},
		"shut before it connects": {http.MethodPost, small, 0},
		"shut before the body":    {http.MethodPost, small, 1},
		"shut after the body":     {http.MethodPost, small, 2}, // too late: it has left
		"shut within the body":    {http.MethodPost, large, 2},
		"nothing to read, open":   {http.MethodGet, nil, -1},
		"nothing to read, shut":   {http.MethodGet, nil, 0},
		"of unknown size, open":   {http.MethodPut, small, -1},
		"of unknown size, shut":   {http.MethodPut, small, 2}, // before the end is told
	} {
		for proto, plain := range map[string]bool{"HTTP/1": true, "HTTP/2": false} {
			t.Run(name+" "+proto, func(t *testing.T) {
				t.Parallel()
				server, arrived := whole(t, plain)
				client := &http.Client{Transport: httpcall.Gated(server.Client().Transport)}
				defer client.CloseIdleConnections()
				var asked atomic.Int32
				ctx := httpcall.WithGate(t.Context(), func() error {
					if asked.Add(1) > c.passes && c.passes >= 0 {
						return shut
					}
					return nil
				})
				var body io.Reader
				if c.body != nil {
					body = bytes.NewReader(c.body)
				}
				if c.method == http.MethodPut {
					body = io.MultiReader(body)
				}
				req, err := http.NewRequestWithContext(ctx, c.method, server.URL, body)
				if err != nil {
					t.Fatal(err)
				}
				_, err = httpcall.Do(client, req)
				server.Close() // waits for its requests
				if c.passes < 0 || name == "shut after the body" {
					if err != nil || arrived.Load() != 1 {
						t.Errorf("got %v, %d arrived", err, arrived.Load())
					}
					return
				}
				e, ok := errors.AsType[*httpcall.Error](err)
				if !ok || e.Sent || !errors.Is(err, httpcall.ErrNotBegun) || !errors.Is(err, shut) {
					t.Errorf("got %+v, want not begun, not sent", err)
				}
				if arrived.Load() != 0 {
					t.Error("it arrived whole")
				}
			})
		}
	}
}

// TestGateOfASecondConnection: an idle connection dies and the transport repeats the request on
// a new one, with a body from GetBody. That body passes the gate too.
func TestGateOfASecondConnection(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		late bool
		want int32
	}{"in time": {false, 3}, "too late": {true, 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var arrived atomic.Int32
			var shut atomic.Bool
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.Copy(io.Discard, r.Body); err == nil && arrived.Add(1) == 2 {
					shut.Store(c.late)
					reset(w)
				}
			}))
			defer server.Close()
			client := httpcall.NewClient()
			defer client.CloseIdleConnections()
			ctx := httpcall.WithGate(t.Context(), func() error {
				if shut.Load() {
					return errors.New("the lease is over")
				}
				return nil
			})
			post := func() error {
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, strings.NewReader("hola"))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Idempotency-Key", "1") // allows the transport to repeat it
				_, err = httpcall.Do(client, req)
				return err
			}
			if err := post(); err != nil {
				t.Fatal(err)
			}
			err := post()
			if c.late != errors.Is(err, httpcall.ErrNotBegun) || arrived.Load() != c.want {
				t.Errorf("got %v, %d arrived, want %d", err, arrived.Load(), c.want)
			}
		})
	}
}

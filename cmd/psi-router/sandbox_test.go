package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
)

// TestSandboxAnswersToItsOwnNames: its page reaches the router's API with a key.
func TestSandboxAnswersToItsOwnNames(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		e := &env{ctx: ctx, out: in, err: io.Discard, environ: []string{"PSI_HOSTS=phone.lan"}, globals: &globals{JSON: true}}
		done <- (&sandboxRun{Listen: "127.0.0.1:0", Webhook: "http://127.0.0.1:1/webhook"}).Run(e)
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	var at struct{ URL string }
	if err := json.NewDecoder(out).Decode(&at); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	for host, want := range map[string]int{"": 200, "localhost:3003": 200, "phone.lan": 200, "evil.example": 421} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%q: got %s, want %d", host, res.Status, want)
		}
	}
}

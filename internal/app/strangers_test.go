package app

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestStrangersAreBounded: unauthenticated requests stay within the process's bounds, and a
// failed authentication is logged once.
func TestStrangersAreBounded(t *testing.T) {
	r := start(t, t.TempDir())
	var phones struct{ Items []struct{ ID string } }
	r.ask(http.DefaultClient, r.URL(), http.MethodGet, "/sandbox/phones", &phones)

	// Unfinished uploads take all the room, and the next one gets none.
	const uploads, size = 4, 15 << 20
	const form = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n"
	codes := make(chan int, uploads)
	for range uploads {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", r.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		fmt.Fprintf(c, "POST /sandbox/phones/%s/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: %d\r\n\r\n%s", phones.Items[0].ID, size, form)
		go func() {
			go io.Copy(c, strings.NewReader(strings.Repeat("x", size-len(form)-1)))
			code := 0
			if res, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil {
				res.Body.Close()
				code = res.StatusCode
			}
			codes <- code
		}()
	}
	if got := <-codes; got != http.StatusServiceUnavailable {
		t.Errorf("the first upload that was answered: got %d, want 503", got)
	}

	for range 3 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL()+"/api/v1/conversations", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer wrong")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			t.Errorf("a wrong key: got %d", res.StatusCode)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL()+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Long", strings.Repeat("x", 64<<10))
	if res, err := http.DefaultClient.Do(req); err == nil {
		res.Body.Close()
		if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("64 KiB of headers: got %d", res.StatusCode)
		}
	}
	r.stop()
	if got := strings.Count(r.logs.String(), `"why":"unknown key"`); got != 1 {
		t.Errorf("three wrong keys: got %d lines of log, want 1", got)
	}
}

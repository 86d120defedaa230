package bench

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster"
)

// TestIdleClientsAreDropped: the program closes the connections of clients that stall at
// any point of a request, or that do not read the response.
func TestIdleClientsAreDropped(t *testing.T) {
	t.Parallel()
	p := start(t, cluster.Options{Program: build(t), Embedded: true})
	p.asks.CloseIdleConnections()
	p.waitFor(time.Minute, "without clients", func() bool { return p.clients() == 0 })
	const each = 10
	opened := 0
	for what, write := range map[string]string{
		"half a header":             "GET / HTTP/1.1\r\nHost: a\r\nX-",
		"half a body, forged":       "POST /webhook HTTP/1.1\r\nHost: a\r\nX-Hub-Signature-256: sha256=" + strings.Repeat("0", 64) + "\r\nContent-Length: 1000\r\n\r\n{",
		"half a body, no key":       "POST /api/v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{",
		"half a body, with key":     "POST /api/v1/messages HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + p.Key + "\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
		"answers that wait":         strings.Repeat("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 2000),
		"a body for a foreign page": "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{",
		"a body for a page":         "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{",
		"a chunk that never ends":   "POST /webhook HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFF\r\n{",
	} {
		for range each {
			c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.url, "http://"))
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			defer c.Close()
			opened++
			go io.WriteString(c, write) // the connection may be closed in the middle
		}
	}
	p.waitFor(time.Minute, "holding them", func() bool { return p.clients() >= opened/2 })
	p.waitFor(time.Minute+30*time.Second, "rid of them", func() bool { return p.clients() == 0 })
}

// clients counts the open connections at the program's address.
func (p *program) clients() int {
	p.t.Helper()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		p.t.Fatal(err)
	}
	var number int
	if _, err := fmt.Sscan(port, &number); err != nil {
		p.t.Fatal(err)
	}
	table, err := os.Open("/proc/net/tcp")
	if err != nil {
		p.t.Fatal(err)
	}
	defer table.Close()
	const established, closeWait = "01", "08"
	ours, found := fmt.Sprintf(":%04X", number), 0
	for s := bufio.NewScanner(table); s.Scan(); {
		row := strings.Fields(s.Text())
		if len(row) > 3 && strings.HasSuffix(row[1], ours) && (row[3] == established || row[3] == closeWait) {
			found++
		}
	}
	return found
}

// TestFilesAreKeptForWebhooks: with a low limit of open files, anonymous connections get at
// most half of them and are refused beyond that. Accepted webhooks are stored as usual.
func TestFilesAreKeptForWebhooks(t *testing.T) {
	t.Parallel()
	const files, most = 128, 64
	bin := filepath.Join(t.TempDir(), "few-files")
	script := fmt.Sprintf("#!/bin/sh\nulimit -n %d\nexec %s \"$@\"\n", files, build(t))
	if err := os.WriteFile(bin, []byte(script), 0o700); err != nil { //nolint:gosec // an executable script
		t.Fatal(err)
	}
	p := start(t, cluster.Options{Program: bin, Embedded: true})
	p.signed(0) // on the connection that stays open
	ask := func() (c net.Conn, status int) {
		t.Helper()
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			return c, 0
		}
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return c, 0
		}
		defer res.Body.Close()
		return c, res.StatusCode
	}
	var open []net.Conn
	refused := 0
	for range 2 * files {
		c, status := ask()
		switch status {
		case http.StatusOK:
			open = append(open, c)
		case http.StatusServiceUnavailable:
			refused++
		default:
			t.Errorf("after %d: got %d", len(open), status)
		}
	}
	if len(open) > most || len(open) < most/2 || refused == 0 {
		t.Errorf("%d were accepted and %d refused, want at most %d accepted", len(open), refused, most)
	}
	for n := range 10 {
		p.signed(n + 1)
	}
	for _, c := range open {
		c.Close()
	}
	p.waitFor(time.Minute, "open again", func() bool {
		_, status := ask()
		return status == http.StatusOK
	})
}

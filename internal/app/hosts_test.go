package app

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/redistest"
)

// requested sends a hand-written request and returns the answer.
func requested(t *testing.T, addr, request string) (int, string) {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

const (
	real1 = "PSI_LINES_WSP4_PHONE_NUMBER_ID=100000000000001"
	real2 = "PSI_LINES_WSP4_TOKEN=0123456789abcdef0123456789abcdef"
	real3 = "PSI_LINES_WSP4_APP_SECRET=fedcba9876543210fedcba9876543210"
	real4 = "PSI_LINES_WSP4_VERIFY_TOKEN=verify-me-please"
)

// TestPagesAnswerToTheirOwnNames: a website can point a name of its own here, and then read
// the answers in the browser of a person at this machine.
func TestPagesAnswerToTheirOwnNames(t *testing.T) {
	shown := []string{"/", "/?fragment", "/status", "/metrics", "/sandbox", "/sandbox/api/phones", "/nothing"}
	keyed := []string{"/api/v1/conversations", "/api/v1/queues", "/openapi.json"}
	open := []string{"/healthz", "/readyz", "/webhook"}
	for name, c := range map[string]struct {
		env     []string
		sandbox bool
		own     []string
	}{
		"development identity": {nil, true, nil},
		"sandbox beside lines": {[]string{real1, real2, real3, real4, "PSI_SANDBOX=true"}, true, nil},
		"lines alone":          {[]string{real1, real2, real3, real4}, false, nil},
		"with more names":      {[]string{real1, real2, real3, real4, "PSI_HOSTS=router.lan,192.0.2.7", "PSI_PUBLIC_URL=https://router.example.com"}, false, []string{"router.lan", "Router.Example.com:443", "192.0.2.7:80"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := startAs(t, roleAll, append(c.env, "PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR="+t.TempDir())...)
			ask := func(path, host string) (int, string) {
				return requested(t, r.Addr(), fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nX-Forwarded-Host: localhost\r\nAuthorization: Bearer sandbox\r\nConnection: close\r\n\r\n", path, host))
			}
			own := append(c.own, r.Addr(), "localhost:3002", "127.0.0.1", "[::1]:3002", "LOCALHOST.")
			foreign := []string{"evil.example", "evil.example:3002", "localhost.evil.example", "127.0.0.1.evil.example:80", "192.0.2.8", "0.0.0.0:3002"}
			guarded, anybody := shown, slices.Concat(open, keyed)
			if c.sandbox {
				guarded, anybody = slices.Concat(shown, keyed), open
			}
			for _, path := range guarded {
				for _, host := range own {
					if code, body := ask(path, host); code == http.StatusMisdirectedRequest {
						t.Errorf("%s as %s: got %d %s", path, host, code, body)
					}
				}
				for _, host := range foreign {
					if code, body := ask(path, host); code != http.StatusMisdirectedRequest || !strings.Contains(body, "PSI_HOSTS") {
						t.Errorf("%s as %s: got %d %s, want 421", path, host, code, body)
					}
				}
				// The request line may have the host itself, and then that counts.
				whole := "GET http://%s" + path + " HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"
				if code, _ := requested(t, r.Addr(), fmt.Sprintf(whole, "evil.example", "localhost")); code != http.StatusMisdirectedRequest {
					t.Errorf("%s of a whole address: got %d, want 421", path, code)
				}
				if code, _ := requested(t, r.Addr(), "GET "+path+" HTTP/1.0\r\n\r\n"); code != http.StatusMisdirectedRequest {
					t.Errorf("%s without a name: got %d, want 421", path, code)
				}
			}
			for _, path := range anybody {
				for _, host := range foreign {
					if code, body := ask(path, host); code == http.StatusMisdirectedRequest {
						t.Errorf("%s as %s: got %d %s", path, host, code, body)
					}
				}
			}
			if code, body := ask("/readyz", "evil.example"); code != http.StatusOK || strings.Contains(body, "took_ms") {
				t.Errorf("/readyz for a stranger: got %d %s", code, body)
			}
			if code, body := ask("/readyz", "localhost"); code != http.StatusOK || !strings.Contains(body, "took_ms") {
				t.Errorf("/readyz: got %d %s", code, body)
			}
			r.stop()
		})
	}
}

// TestAWorkersFiguresAnswerToTheirOwnNames: a worker's metrics name lines and endpoints
// too.
func TestAWorkersFiguresAnswerToTheirOwnNames(t *testing.T) {
	db := pgtest.New(t, pgtest.Options{})
	r := startAs(t, roleWorker, real1, real2, real3, real4, "PSI_DATA_DIR="+t.TempDir(), "PSI_METRICS_LISTEN=127.0.0.1:0", "PSI_HOSTS=worker.lan",
		"PSI_REDIS_URL="+redistest.Start(t, redistest.AOF...).URL(), "PSI_DATABASE_URL="+db.URL(db.Database(t)))
	for path, want := range map[string]int{"/metrics": 421, "/status": 421, "/healthz": 200, "/readyz": 200} {
		for host, code := range map[string]int{"evil.example": want, "localhost": 200, "worker.lan:9464": 200} {
			if got, body := requested(t, r.metricsAddr, "GET "+path+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n"); got != code {
				t.Errorf("%s as %s: got %d %s, want %d", path, host, got, body, code)
			}
		}
	}
	r.stop()
}

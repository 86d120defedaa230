package deploy

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/psivisionhub/psi-router/internal/porttest"
	"github.com/psivisionhub/psi-router/internal/programtest"
	"github.com/psivisionhub/psi-router/internal/servers"
)

// TestCaddy: the same paths are open and closed as with nginx.
func TestCaddy(t *testing.T) {
	t.Parallel()
	s, addr := newSite(t), porttest.Addr(t)
	router := s.start("all", porttest.Addr(t))
	dir := t.TempDir()
	cert, key := ca.issue(t, dir, domain)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, filepath.Join(dir, "Caddyfile"), replaceAll(t, readShipped(t, "caddy/Caddyfile"),
		"\n{\n", "\n{\n\tadmin off\n\tauto_https off\n", "\nrouter.example.com {", "\nhttps://router.example.com:"+port+" {\n\tbind 127.0.0.1\n\ttls "+cert+" "+key, "127.0.0.1:3002", router.addr))
	cmd := exec.Command(programtest.Find(t, "caddy"), "run", "--adapter", "caddyfile", "--config", file)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	p, err := servers.Start(cmd, filepath.Join(dir, "log"), syscall.SIGTERM)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Terminate(syscall.SIGTERM) })
	c := client(t, addr, true)
	base := "https://" + domain + ":" + port
	eventually(t, "Caddy", func() error { return get(t.Context(), c, base+"/healthz", nil) })
	if got, err := postSigned(c, base+"/webhook", message(1, 1)); err != nil || got.status != http.StatusOK {
		t.Errorf("got %d %s %v", got.status, got.body, err)
	}
	closed(t, c, base)
	checkBounds(t, addr)
}

// checkBounds checks Caddy's own limits: on headers, and on bodies with a Content-Length.
func checkBounds(t *testing.T, addr string) {
	t.Helper()
	c := client(t, addr, false)
	url := "https://" + domain + "/webhook"
	if got, err := post(c, url, nil, "X-Long", strings.Repeat("x", 64<<10)); err == nil && got.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("64 KiB of headers: got %d", got.status)
	}
	if got, err := post(c, url, make([]byte, 17<<20), "X-Webhook-Secret", lineSecret); err == nil && got.status < 400 {
		t.Errorf("17 MiB: got %d", got.status)
	}
}

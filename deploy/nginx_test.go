package deploy

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/psivisionhub/psi-router/internal/porttest"
	"github.com/psivisionhub/psi-router/internal/programtest"
	"github.com/psivisionhub/psi-router/internal/servers"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

const domain = "router.example.com"

// proxy is a test's own nginx.
type proxy struct {
	*servers.Process
	t           testing.TB
	dir         string
	plain, safe string // its addresses
}

// nginxConf includes a file of deploy/nginx in the frame of Debian's nginx.conf, with our
// own directories.
func nginxConf(t testing.TB, dir, site string) string {
	t.Helper()
	write(t, filepath.Join(dir, "site.conf"), site)
	return write(t, filepath.Join(dir, "nginx.conf"), strings.ReplaceAll(`daemon off;
pid DIR/nginx.pid;
error_log stderr notice;
worker_processes 2;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path DIR/body;
    proxy_temp_path DIR/proxy;
    fastcgi_temp_path DIR/fastcgi;
    uwsgi_temp_path DIR/uwsgi;
    scgi_temp_path DIR/scgi;
    include DIR/site.conf;
}
`, "DIR", dir))
}

// nginxDir returns a directory that nginx's user owns.
func nginxDir(t testing.TB) (string, *syscall.SysProcAttr) {
	t.Helper()
	account, err := servers.ServerAccount("www-data")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := servers.Dir(workDir, "nginx-", account)
	if err != nil {
		t.Fatal(err)
	}
	return dir, &syscall.SysProcAttr{Credential: account}
}

func nginxCmd(t testing.TB, who *syscall.SysProcAttr, args ...string) *exec.Cmd {
	cmd := exec.Command(programtest.Find(t, "nginx"), append([]string{"-e", "stderr"}, args...)...)
	cmd.SysProcAttr = who
	return cmd
}

// secondStage returns psi-router.conf with every place replaced.
func secondStage(t testing.TB, dir, plain, safe string, behind ...string) string {
	t.Helper()
	cert, key := ca.issue(t, dir, domain)
	upstream := ""
	for _, addr := range behind {
		upstream += "server " + addr + " max_fails=0;\n"
	}
	return replaceAll(t, readShipped(t, "nginx/psi-router.conf"),
		"listen 80;", "listen "+plain+";", "listen [::]:80;", "",
		"listen 443 ssl http2;", "listen "+safe+" ssl http2;", "listen [::]:443 ssl http2;", "",
		"server 127.0.0.1:3002 max_fails=0;", upstream,
		"/etc/letsencrypt/live/router.example.com/fullchain.pem", cert, "/etc/letsencrypt/live/router.example.com/privkey.pem", key,
		"/var/www/html", filepath.Join(dir, "www"))
}

func startNginx(t testing.TB, behind ...string) *proxy {
	t.Helper()
	return startNginxWith(t, nil, behind...)
}

// startNginxWith starts nginx with further replacements in the file.
func startNginxWith(t testing.TB, more []string, behind ...string) *proxy {
	t.Helper()
	dir, who := nginxDir(t)
	p := &proxy{t: t, dir: dir, plain: porttest.Addr(t), safe: porttest.Addr(t)}
	conf := nginxConf(t, dir, replaceAll(t, secondStage(t, dir, p.plain, p.safe, behind...), more...))
	var err error
	if p.Process, err = servers.Start(nginxCmd(t, who, "-c", conf), filepath.Join(dir, "log"), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Terminate(syscall.SIGQUIT) })
	c := client(t, p.safe, false)
	eventually(t, "nginx", func() error { return get(t.Context(), c, "https://"+domain+"/healthz", nil) })
	return p
}

// reload reloads nginx and returns once its old processes are gone.
func (p *proxy) reload(nth int) {
	p.t.Helper()
	if err := p.Signal(syscall.SIGHUP); err != nil {
		p.t.Fatal(err)
	}
	eventually(p.t, "the reload", func() error {
		out := p.Output()
		if strings.Count(out, "reconfiguring") < nth || strings.Count(out, "exited with code 0") < 2*nth {
			return fmt.Errorf("so far:\n%s", out)
		}
		return nil
	})
}

// TestNginxAcceptsBothStages checks the files with nginx -t. The first stage must not need
// the certificate that it helps to get; the plan's file is refused.
func TestNginxAcceptsBothStages(t *testing.T) {
	t.Parallel()
	dir, who := nginxDir(t)
	check := func(site string) (string, error) {
		out, err := nginxCmd(t, who, "-t", "-c", nginxConf(t, dir, site)).CombinedOutput()
		return string(out), err
	}
	plain := porttest.Addr(t)
	first := replaceAll(t, readShipped(t, "nginx/psi-router-http.conf"), "listen 80;", "listen "+plain+";", "listen [::]:80;", "")
	if strings.Contains(first, "\n    ssl_") {
		t.Error("the first stage names a certificate")
	}
	if out, err := check(first); err != nil {
		t.Errorf("first stage: %v\n%s", err, out)
	}
	second := secondStage(t, dir, plain, porttest.Addr(t), "127.0.0.1:1", "127.0.0.1:2")
	if out, err := check(second); err != nil || strings.Contains(out, "[warn]") {
		t.Errorf("second stage: %v\n%s", err, out)
	}
	planned := "server {\n listen " + plain + ";\n limit_req_zone $binary_remote_addr zone=webhook_limit:10m rate=100r/s;\n}\n"
	if out, err := check(planned); err == nil || !strings.Contains(out, `"limit_req_zone" directive is not allowed here`) {
		t.Errorf("the plan's file: got %v, want it refused\n%s", err, out)
	}
}

// TestNginxFirstStage answers the certificate authority and passes nothing else on.
func TestNginxFirstStage(t *testing.T) {
	t.Parallel()
	dir, who := nginxDir(t)
	www := filepath.Join(dir, "www", ".well-known", "acme-challenge")
	if err := os.MkdirAll(www, 0o755); err != nil { //nolint:gosec // nginx is another user
		t.Fatal(err)
	}
	write(t, filepath.Join(www, "token"), "proof")
	addr := porttest.Addr(t)
	conf := nginxConf(t, dir, replaceAll(t, readShipped(t, "nginx/psi-router-http.conf"),
		"listen 80;", "listen "+addr+";", "listen [::]:80;", "", "/var/www/html", filepath.Join(dir, "www")))
	p, err := servers.Start(nginxCmd(t, who, "-c", conf), filepath.Join(dir, "log"), syscall.SIGTERM)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Terminate(syscall.SIGQUIT) })
	c := client(t, addr, false)
	eventually(t, "the proof", func() error { return get(t.Context(), c, "http://"+domain+"/.well-known/acme-challenge/token", nil) })
	got, err := postSigned(c, "http://"+domain+"/webhook", message(1, 1))
	if err != nil || got.status != http.StatusServiceUnavailable {
		t.Errorf("a webhook in the clear: got %d %v, want 503", got.status, err)
	}
}

// TestNginx posts through nginx to two webhook processes.
func TestNginx(t *testing.T) {
	t.Parallel()
	s := newSite(t, serversConfig(t))
	one, two := s.start("webhook", porttest.Addr(t)), s.start("webhook", porttest.Addr(t))
	nginx := startNginx(t, one.addr, two.addr)
	base := "https://" + domain
	kept, fresh := client(t, nginx.safe, true), client(t, nginx.safe, false)

	t.Run("signed traffic over TLS", func(t *testing.T) {
		got, err := postSigned(kept, base+"/webhook", message(1, 1))
		if err != nil || got.status != http.StatusOK || got.body != `{"success":true,"queued":1}` {
			t.Fatalf("got %d %s %v", got.status, got.body, err)
		}
		if got, err := postSigned(kept, base+"/webhook/wsp4", message(1, 2)); err != nil || got.status != http.StatusOK {
			t.Errorf("to a line: got %d %s %v", got.status, got.body, err)
		}
	})
	t.Run("plain HTTP", func(t *testing.T) {
		plain := client(t, nginx.plain, false)
		got, err := postSigned(plain, "http://"+domain+"/webhook?a=b", message(1, 3))
		if err != nil || got.status != http.StatusMovedPermanently || got.header.Get("Location") != base+"/webhook?a=b" {
			t.Errorf("got %d to %s %v, want a redirect to HTTPS", got.status, got.header.Get("Location"), err)
		}
	})
	t.Run("private paths", func(t *testing.T) { closed(t, kept, base) })
	t.Run("a reload of nginx", func(t *testing.T) {
		stop := startLoad(t, fresh, base+"/webhook")
		for n := range 3 {
			nginx.reload(n + 1)
		}
		t.Logf("%d requests, none failed", stop())
	})
	t.Run("a restart of each webhook", func(t *testing.T) {
		again, more := startLoad(t, kept, base+"/webhook"), startLoad(t, fresh, base+"/webhook")
		one.stop()
		one = s.start("webhook", one.addr)
		two.stop()
		two = s.start("webhook", two.addr)
		t.Logf("%d requests, none failed", again()+more())
	})
	t.Run("sizes", func(t *testing.T) { sizes(t, kept, base) })
	t.Run("bursts", func(t *testing.T) { bursts(t, kept, base) })
}

// closed requests paths that nginx must not pass on.
func closed(t *testing.T, c *http.Client, base string) {
	for path, want := range map[string]int{
		"/": 404, "/metrics": 404, "/status": 404, "/readyz": 404, "/sandbox": 404, "/debug/pprof/": 404, "/webhooks": 404,
		"/healthz": 200, "/openapi.json": 200, "/api/v1/conversations": 401, "/webhook": 403, "/webhook/wsp4": 403,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := do(c, req); err != nil || got.status != want {
			t.Errorf("%s: got %d %v, want %d", path, got.status, err, want)
		}
	}
}

// sizes checks the router's limits: 4 MiB signed, 16 MiB with a line's secret.
func sizes(t *testing.T, c *http.Client, base string) {
	const mib = 1 << 20
	patient := []string{"Expect", "100-continue"}
	big := func(n int) []byte { return append(append([]byte(`{"a":"`), make([]byte, n)...), `"}`...) }
	if got, err := postSigned(c, base+"/webhook", big(5*mib), patient...); err != nil || got.status != http.StatusRequestEntityTooLarge || !strings.Contains(got.body, "Payload too large") {
		t.Errorf("5 MiB, signed: got %d %s %v, want the router's 413", got.status, got.body, err)
	}
	secret := []string{"X-Webhook-Secret", lineSecret}
	for i := range 2 {
		path := []string{"/webhook", "/webhook/ventas"}[i]
		if got, err := post(c, base+path, big(15*mib), secret...); err != nil || got.status != http.StatusBadRequest {
			t.Errorf("15 MiB with a secret to %s: got %d %s %v, want it read (400)", path, got.status, got.body, err)
		}
	}
	if got, err := post(c, base+"/webhook", big(17*mib), append(patient, secret...)...); err != nil || got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("17 MiB: got %d %v, want 413", got.status, err)
	}
}

// bursts floods from one address: nginx limits posts without a signature, with an
// impossible one, or with one where none belongs, and leaves well-signed posts alone.
func bursts(t *testing.T, c *http.Client, base string) {
	signature := whatsapp.Sign("nobody's", nil)
	for name, tt := range map[string]struct{ method, path, signature string }{
		"no signature":                   {http.MethodGet, "/healthz", ""},
		"what is no signature":           {http.MethodPost, "/webhook", signature[:len(signature)-1]},
		"a signature where none belongs": {http.MethodGet, "/healthz", signature},
	} {
		if !flood(t, c, tt.method, base+tt.path, tt.signature) {
			t.Errorf("%s: the flood was never limited", name)
		}
		for n := range 60 {
			if got, err := postSigned(c, base+"/webhook", message(2, int(people.Add(1))*1000+n)); err != nil || got.status != http.StatusOK {
				t.Errorf("%s: signed traffic meanwhile: got %d %s %v", name, got.status, got.body, err)
			}
		}
	}
}

// flood sends requests from 16 clients and reports whether nginx limited them.
func flood(t *testing.T, c *http.Client, method, url, signature string) (limited bool) {
	t.Helper()
	found := make(chan struct{})
	var once sync.Once
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 500 {
				select {
				case <-found:
					return
				default:
				}
				req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader("{}"))
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set(whatsapp.SignatureHeader, signature)
				got, err := do(c, req)
				if err != nil {
					t.Error(err)
					return
				}
				if got.status == http.StatusTooManyRequests && strings.Contains(got.body, "nginx") {
					once.Do(func() { close(found) })
				}
			}
		})
	}
	all.Wait()
	select {
	case <-found:
		return true
	default:
		return false
	}
}

// TestNginxLimitsForgedSignatures: signed posts have their own limit, here a small one,
// which does not affect unsigned posts.
func TestNginxLimitsForgedSignatures(t *testing.T) {
	t.Parallel()
	router := newSite(t).start("all", porttest.Addr(t))
	nginx := startNginxWith(t, []string{"rate=1000r/s", "rate=5r/s", "burst=1000", "burst=3"}, router.addr)
	c := client(t, nginx.safe, true)
	base := "https://" + domain
	if !flood(t, c, http.MethodPost, base+"/webhook", whatsapp.Sign("nobody's", []byte("{}"))) {
		t.Error("the flood was never limited")
	}
	if err := get(t.Context(), c, base+"/healthz", nil); err != nil {
		t.Errorf("without a signature, meanwhile: %v", err)
	}
}

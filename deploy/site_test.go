package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/redistest"
	"github.com/psivisionhub/psi-router/internal/sandbox"
	"github.com/psivisionhub/psi-router/internal/servers"
)

const (
	appSecret     = "deploy_app_secret_0123456789abcdef"
	lineSecret    = "deploy-line-secret-0123456789"
	phoneNumberID = "200000000000009"
	apiKey        = "deploy-key-0123456789abcdef"
)

// site is an installation: its configuration, its servers, and a fake WhatsApp.
type site struct {
	t        testing.TB
	dir      string
	config   string
	whatsapp *sandbox.Server
}

// newSite writes a configuration with one line of each provider, and more.
func newSite(t testing.TB, more ...string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir()}
	var err error
	s.whatsapp, err = sandbox.New(sandbox.Options{
		PhoneNumberID: phoneNumberID, AppSecret: appSecret, Token: "deploy-token", NoStatuses: true, NoFaults: true, NoPhones: true,
		WebhookURL: func() string { return "http://127.0.0.1:1/" },
	})
	if err != nil {
		t.Fatal(err)
	}
	graph := httptest.NewServer(s.whatsapp.Handler())
	t.Cleanup(graph.Close)
	s.config = write(t, filepath.Join(s.dir, "psi-router.yaml"), fmt.Sprintf(`data_dir: %s
graph_url: %s/sandbox/graph/v26.0
log_level: info
api_keys: [{name: deploy, key: %s, role: admin}]
lines:
  wsp4: {provider: cloud, phone_number_id: %q, token: deploy-token, app_secret: %s, verify_token: deploy, rate: 2000/s}
  ventas: {provider: evolution, url: "http://127.0.0.1:9", instance: ventas, api_key: k, secret: %s}
%s
`, filepath.Join(s.dir, "data"), graph.URL, apiKey, phoneNumberID, appSecret, lineSecret, strings.Join(more, "\n")))
	return s
}

// serversConfig returns the configuration of servers that webhooks and workers share.
func serversConfig(t testing.TB) string {
	t.Helper()
	db := pgtest.New(t, pgtest.Options{})
	return fmt.Sprintf("redis_url: %q\ndatabase_url: %q", redistest.Start(t, redistest.AOF...).URL(), db.URL(db.Database(t)))
}

// process is a running router, with an address if it is a webhook.
type process struct {
	*servers.Process
	t    testing.TB
	addr string
}

// start starts the router and waits until it is ready.
func (s *site) start(role, addr string, env ...string) *process {
	s.t.Helper()
	return s.startAndWait(exec.Command(program(s.t), "serve", "--role", role, "--config", s.config), addr, env...)
}

func (s *site) startAndWait(cmd *exec.Cmd, addr string, env ...string) *process {
	s.t.Helper()
	p := s.spawn(cmd, addr, env...)
	p.ready()
	return p
}

func (s *site) spawn(cmd *exec.Cmd, addr string, env ...string) *process {
	s.t.Helper()
	log, err := os.CreateTemp(s.dir, "log-*")
	if err != nil {
		s.t.Fatal(err)
	}
	log.Close()
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "SSL_CERT_FILE=" + ca.file, "PSI_LISTEN=" + addr}, env...)
	proc, err := servers.Start(cmd, log.Name(), syscall.SIGTERM)
	if err != nil {
		s.t.Fatal(err)
	}
	p := &process{proc, s.t, addr}
	s.t.Cleanup(p.stop)
	return p
}

// ready waits until the process is ready.
func (p *process) ready() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	if err := p.WaitUntil(ctx, func(ctx context.Context) error {
		return get(ctx, http.DefaultClient, "http://"+p.addr+"/readyz", nil)
	}); err != nil {
		p.t.Fatal(err)
	}
}

// stop tells the process to end and waits until it has.
func (p *process) stop() {
	_ = p.Signal(syscall.SIGTERM) // the process may have ended
	select {
	case <-p.Done():
	case <-time.After(50 * time.Second):
		p.t.Errorf("%d did not end\n%s", p.PID, p.Output())
		p.Terminate(syscall.SIGKILL)
	}
}

// serve returns the command of a whole router.
func serve(bin, config string) *exec.Cmd { return exec.Command(bin, "serve", "--config", config) }

// eventually waits until ok returns no error.
func eventually(t testing.TB, what string, ok func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not reached: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// get requires a 200 and decodes its body.
func get(ctx context.Context, client *http.Client, url string, to any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, res.Status)
	}
	if to == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(to)
}

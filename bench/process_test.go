package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/porttest"
)

// program is the router as a process that can be killed and started again.
type program struct {
	t      testing.TB
	bin    string
	config string
	url    string
	asks   http.Transport // its own: a server of httptest that ends closes the default's

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan error
	output output
}

// build compiles the router once for a test.
func build(t testing.TB) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "psi-router")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "../cmd/psi-router")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

// client asks the program, also where another test closes idle connections.
func (p *program) client() *http.Client { return &http.Client{Transport: &p.asks} }

// start runs the program and returns once it is ready.
func (p *program) start() {
	p.t.Helper()
	p.mu.Lock()
	cmd := exec.Command(p.bin, "serve", "--config", p.config)
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	if err := cmd.Start(); err != nil {
		p.mu.Unlock()
		p.t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	p.cmd, p.exited = cmd, exited
	p.mu.Unlock()
	p.waitFor(30*time.Second, "ready", func() bool {
		res, err := p.client().Get(p.url + "/readyz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// kill ends the process as a power cut would end it: it notices nothing.
func (p *program) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	<-p.exited
}

// stop asks the process to end, and waits until it did.
func (p *program) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case err := <-p.exited:
		if err != nil {
			p.t.Errorf("after SIGTERM: %v\n%s", err, p.tail())
		}
	case <-time.After(40 * time.Second):
		p.cmd.Process.Kill()
		p.t.Fatalf("did not end within 40 s of SIGTERM\n%s", p.tail())
	}
}

// waitFor asks again every few milliseconds: the other side is a process.
func (p *program) waitFor(limit time.Duration, what string, ok func() bool) {
	p.t.Helper()
	deadline := time.Now().Add(limit)
	for !ok() {
		select {
		case err := <-p.exited:
			p.exited <- err
			p.t.Fatalf("the program ended by itself: %v\n%s", err, p.tail())
		default:
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("not %s after %v\n%s", what, limit, p.tail())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (p *program) tail() string { return p.output.tail() }

// output is what a process writes while others look at it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.text.Bytes()
	return string(b[max(0, len(b)-4000):])
}

// depth is how many jobs wait or run in all queues, and how many are dead.
func (p *program) depth(ctx context.Context) (depth, dead int64, err error) {
	all, err := p.queues(ctx)
	for _, q := range all {
		depth += q.Depth
		dead += q.Dead
	}
	return depth, dead, err
}

// queue is how many jobs wait or run in one queue.
func (p *program) queue(ctx context.Context, name string) (int64, error) {
	all, err := p.queues(ctx)
	for _, q := range all {
		if q.Name == name {
			return q.Depth, nil
		}
	}
	return 0, err
}

type queueRow struct {
	Name        string
	Depth, Dead int64
}

func (p *program) queues(ctx context.Context) ([]queueRow, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/api/v1/queues", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	res, err := p.client().Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var page struct {
		Items []queueRow `json:"items"`
	}
	if err := json.NewDecoder(res.Body).Decode(&page); err != nil {
		return nil, err
	}
	return page.Items, nil
}

const (
	apiKey        = "bench-key-0123456789"
	appSecret     = "bench_app_secret_0123456789abcdef"
	phoneNumberID = "200000000000009"
)

// configure writes a configuration with one cloud line that sends to graph,
// and whatever more is given.
func configure(t testing.TB, graph string, more ...string) (path, url string) {
	t.Helper()
	dir := t.TempDir()
	listen := porttest.Addr(t)
	text := fmt.Sprintf(`listen: %s
data_dir: %s
graph_url: %s
log_level: warn
api_keys: [{name: bench, key: %s, role: admin}]
lines:
  wsp4: {provider: cloud, phone_number_id: "%s", token: bench-token, app_secret: %s, verify_token: bench, rate: 5000/s}
`, listen, filepath.Join(dir, "data"), graph, apiKey, phoneNumberID, appSecret) + strings.Join(append(more, ""), "\n")
	path = filepath.Join(dir, "psi-router.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, "http://" + listen
}

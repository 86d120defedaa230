package bench

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/flows"
	"github.com/psivisionhub/psi-router/internal/cluster"
	"github.com/psivisionhub/psi-router/internal/loadgen"
	"github.com/psivisionhub/psi-router/internal/sandbox"
)

// program is a process of the router that can be killed and started again: the only one of
// a cluster, or the one that serves webhooks.
type program struct {
	*cluster.Cluster
	t    testing.TB
	node *cluster.Node
	url  string
	api  loadgen.API
	asks http.Transport // its own, as a closing httptest server closes connections of the default
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

// start starts a cluster with the built-in flow and a WhatsApp that sends no statuses, and
// returns once it is ready. The cluster ends with the test. A process that ends
// unexpectedly or fails is an error.
func start(t testing.TB, o cluster.Options) *program {
	t.Helper()
	var err error
	if o.Flow, err = flows.FS.ReadFile("psi.yaml"); err != nil {
		t.Fatal(err)
	}
	o.Config += "log_level: warn\n"
	o.Rate, o.Accepted, o.Note = 5000, func(sandbox.Sent) {}, func(text string) { t.Error(text) }
	c, err := cluster.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Shutdown()
		c.Stop(false)
	})
	return &program{Cluster: c, t: t, node: c.Nodes[0], url: c.DoorURL(), api: loadgen.API{URL: c.DoorURL(), Key: c.Key}}
}

// client calls the program, also while another test closes idle connections.
func (p *program) client() *http.Client { return &http.Client{Transport: &p.asks} }

// restart kills the process with SIGKILL and starts it again.
func (p *program) restart() {
	p.t.Helper()
	p.node.Kill(syscall.SIGKILL)
	if err := p.node.Start(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	if err := p.node.Ready(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

// waitFor polls every few milliseconds: the other side is a process.
func (p *program) waitFor(limit time.Duration, what string, ok func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(limit); !ok(); time.Sleep(20 * time.Millisecond) {
		if p.t.Failed() || time.Now().After(deadline) {
			p.t.Fatalf("not %s after %v", what, limit)
		}
	}
}

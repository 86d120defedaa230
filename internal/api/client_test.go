package api_test

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/api"
	"github.com/psivisionhub/psi-router/internal/programtest"
)

// TestAClientInTypeScript does what a CRM would: the description passes the linter, its
// types compile, and a client made of them works.
func TestAClientInTypeScript(t *testing.T) {
	t.Parallel()
	programtest.Find(t, "npm")
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/client")); err != nil {
		t.Fatal(err)
	}
	r := open(t)
	r.say(t, 1, "wsp4", "hola")
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	spec := ask(t, r, "", "GET /openapi.json", "")
	if err := os.WriteFile(filepath.Join(dir, "openapi.json"), []byte(spec.body), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute) // a busy machine
	defer cancel()
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true", "NO_UPDATE_NOTIFIER=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	run("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error")
	bin := func(name string) string { return filepath.Join(dir, "node_modules", ".bin", name) }
	run(bin("redocly"), "lint", "--max-problems=1000", "openapi.json")
	run(bin("openapi-typescript"), "openapi.json", "-o", "api.d.ts")
	run(bin("tsc"))
	if out := run("node", "client.js", server.URL, "agent"); !strings.Contains(out, "fine true") {
		t.Errorf("the client says %q", out)
	}
	if said := r.agent(t, r.mine(t)); len(said) != 1 {
		t.Errorf("said %d times", len(said))
	}
}

// mine returns the id of the first person's conversation.
func (r real) mine(t *testing.T) string {
	t.Helper()
	return read[api.ConversationPage](t, r, "GET /conversations?phone=5491100000001", "").Items[0].ID
}

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/psivisionhub/psi-router/internal/porttest"
	"github.com/psivisionhub/psi-router/internal/rehearse"
)

// TestLoadtest does a small one: this test binary is the router that it starts.
func TestLoadtest(t *testing.T) {
	t.Parallel()
	sh := shell{t: t}
	page := filepath.Join(t.TempDir(), "report.html")
	args := []string{"loadtest", "--embedded", "--rate", "0", "--messages", "60", "--conversations", "20", "--duration", "0", "--seed", "4", "--html", page}
	out := sh.fine([]string{"semilla 4", "la gente escribe", "perdidos", "p99.9", "Ni un mensaje perdido", page}, args...)
	if strings.Contains(out, "\x1b") {
		t.Errorf("colours where nobody watches:\n%s", out)
	}
	src, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`<html lang="es">`, "<svg", "Ni un mensaje perdido", "Espera por percentil", "</html>"} {
		if !strings.Contains(string(src), part) {
			t.Errorf("no %q in the page", part)
		}
	}
	for _, part := range []string{"http://", "https://", "ZgotmplZ", "NaN", "Inf"} {
		if strings.Contains(string(src), part) {
			t.Errorf("%q is in the page", part)
		}
	}
	sh.want(exitUsage, []string{"can be slowed down"}, "loadtest", "--embedded", "--slow-postgres", "1s")
	sh.want(exitUsage, []string{"needs a duration"}, "loadtest", "--restart-redis", "--duration", "0")
	sh.want(exitUsage, []string{"--html", "not a directory"}, "loadtest", "--embedded", "--html", filepath.Join(page, "x"))
}

// TestLoadtestOfARouter writes to one that runs, whose graph_url points at the
// test, and to one that sends elsewhere.
func TestLoadtestOfARouter(t *testing.T) {
	t.Parallel()
	graph := porttest.Addr(t)
	home := []string{
		"PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR=" + filepath.Join(t.TempDir(), "d"), "PSI_LOG_LEVEL=error",
		"PSI_GRAPH_URL=http://" + graph + "/sandbox/graph/v26.0", "PSI_LINES_WSP4_PHONE_NUMBER_ID=1234567890",
		"PSI_LINES_WSP4_TOKEN=a-token", "PSI_LINES_WSP4_APP_SECRET=a-secret", "PSI_LINES_WSP4_VERIFY_TOKEN=a-word",
		"PSI_API_KEYS_0_NAME=test", "PSI_API_KEYS_0_KEY=0123456789abcdef", "PSI_API_KEYS_0_ROLE=admin",
	}
	a, stop := routerIn(t, home)
	defer stop()
	sh := shell{t, home}
	args := []string{
		"loadtest", "--url", a.URL(), "--line", "wsp4", "--key", "0123456789abcdef", "--json", "--rate", "0", "--duration", "0",
		"--messages", "40", "--conversations", "20", "--connections", "4",
	}
	look := func(sh shell, blind bool, args ...string) {
		t.Helper()
		var r rehearse.Report
		out := sh.fine(nil, args...)
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if r.Accepted != 40 || r.Stored != 40 || r.Blind != blind || r.URL == "" || (r.Reply.Count > 0) == blind {
			t.Errorf("blind %v: got %+v", blind, r)
		}
	}
	look(sh, false, append(args, "--seed", "1", "--graph", graph)...)
	look(sh, false, append(args, "--seed", "2", "--graph", graph)...) // what is older is not of the run

	// The sandbox is a WhatsApp of its own: nobody else sees its answers.
	dev := []string{"PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR=" + filepath.Join(t.TempDir(), "d"), "PSI_LOG_LEVEL=error"}
	b, end := routerIn(t, dev)
	defer end()
	look(shell{t, dev}, true, "loadtest", "--url", b.URL(), "--json", "--rate", "0", "--duration", "0", "--messages", "40",
		"--conversations", "20", "--connections", "4", "--graph", "off")
	sh.want(exitUsage, []string{"which line?", "wsp4"}, "loadtest", "--url", a.URL())
	sh.want(exitUsage, []string{"is not on this machine", "--remote"}, "loadtest", "--url", "http://192.0.2.1", "--line", "wsp4", "--lang", "en")
	sh.want(exitUsage, []string{"--yes"}, "loadtest", "--url", "http://192.0.2.1", "--line", "wsp4", "--remote")
}

// TestLoadtestInterrupted: after Ctrl-C the report of what was done comes, and
// nothing is left, neither files nor processes.
func TestLoadtestInterrupted(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tmp := t.TempDir()
	cmd := exec.CommandContext(t.Context(), program, "loadtest", "--embedded", "--lang", "en", "--rate", "50", "--duration", "0")
	cmd.Args[0] = "psi-router"
	// PSI_URL is for commands that look.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + tmp, "PSI_URL=http://127.0.0.1:1"}
	note, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(note)
	for lines.Scan() && !strings.Contains(lines.Text(), "people write") {
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	var rest strings.Builder
	for lines.Scan() {
		rest.WriteString(lines.Text() + "\n")
	}
	if exit, failed := errors.AsType[*exec.ExitError](cmd.Wait()); failed {
		t.Errorf("got %v", exit)
	}
	if !strings.Contains(rest.String(), "It ended early") || !strings.Contains(rest.String(), "p99.9") {
		t.Errorf("no report:\n%s", rest.String())
	}
	if left := glob(t, filepath.Join(tmp, "*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

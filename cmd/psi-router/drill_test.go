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
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster"
	"github.com/psivisionhub/psi-router/internal/lang"
	"github.com/psivisionhub/psi-router/internal/rehearse"
)

// TestRehearsalTexts: whatever can go wrong has a name in both languages.
func TestRehearsalTexts(t *testing.T) {
	t.Parallel()
	for what, names := range map[string][]string{
		"fault": append(rehearse.Kinds(true), rehearse.Kinds(false)...),
		"crm":   cluster.CRMModes(),
		"phase": {rehearse.PhaseStart, rehearse.PhaseLoad, rehearse.PhaseSettle, rehearse.PhaseCheck},
	} {
		texts := map[string]map[string]lang.Text{"fault": faultTexts, "crm": crmTexts, "phase": phaseTexts}[what]
		for _, name := range names {
			if text := texts[name]; text.ES == "" || text.EN == "" {
				t.Errorf("no text for the %s %s", what, name)
			}
		}
	}
}

// TestDrill does a small one: this test binary is the router that it starts.
func TestDrill(t *testing.T) {
	t.Parallel()
	sh := shell{t: t}
	args := []string{"drill", "--embedded", "--messages", "60", "--conversations", "10", "--faults", "1", "--only", "kill_router", "--seed", "4"}
	out := sh.fine([]string{"semilla 4", "kill -9 al router (router)", "ya pasó", "perdidos", "Ni un mensaje perdido"}, args...)
	if strings.Contains(out, "\x1b") {
		t.Errorf("colours where nobody watches:\n%s", out)
	}
	sh.fine([]string{"kill_redis", "comes back with its AOF"}, "drill", "--only", "list", "--lang", "en")
	sh.want(exitUsage, []string{`no fault "kill_redis" here`}, "drill", "--embedded", "--only", "kill_redis")
	sh.want(exitUsage, []string{"too many for 2 conversations"}, "drill", "--embedded", "--conversations", "2")
}

// TestDrillInterrupted: after Ctrl-C nothing is left, neither files nor processes.
func TestDrillInterrupted(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tmp := t.TempDir()
	cmd := exec.CommandContext(t.Context(), program, "drill", "--embedded", "--lang", "en", "--messages", "5000", "--faults", "3")
	cmd.Args[0] = "psi-router"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + tmp}
	note, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(note)
	for lines.Scan() && !strings.Contains(lines.Text(), "people write") {
	}
	var routers []string // processes, while it runs
	for _, stat := range glob(t, "/proc/[0-9]*/cmdline") {
		if line, err := os.ReadFile(stat); err == nil && strings.Contains(string(line), tmp) {
			routers = append(routers, filepath.Dir(stat))
		}
	}
	if len(routers) != 1 {
		t.Errorf("%d routers run, want one", len(routers))
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for lines.Scan() {
	}
	exit, _ := errors.AsType[*exec.ExitError](cmd.Wait())
	if exit == nil || exit.ExitCode() != exitProblem || !strings.Contains(complaints.String(), "interrupted") {
		t.Errorf("got %v: %s", exit, complaints.String())
	}
	t.Logf("ended after %v", time.Since(began))
	if left := glob(t, filepath.Join(tmp, "*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	for _, dir := range routers {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s still runs", dir)
		}
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestDrillJSON: the report is all there is on standard output.
func TestDrillJSON(t *testing.T) {
	t.Parallel()
	var r rehearse.Report
	out := shell{t: t}.fine(nil, "drill", "--json", "--embedded", "--messages", "30", "--conversations", "10", "--faults", "0")
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if r.Accepted != 30 || r.Handled != 30 || r.Sent != 30 || !r.Quiet || r.Files != "" {
		t.Errorf("%+v", r)
	}
}

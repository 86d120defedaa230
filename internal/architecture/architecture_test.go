// Package architecture holds no code: its test keeps the import table of the
// design true, and every package documented.
package architecture

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/psivisionhub/psi-router/"

type pkg struct {
	ImportPath string
	Doc        string
	Imports    []string
	GoFiles    []string
}

// may lists what each package may import of ours, test files aside. A package
// that is missing here fails: say what it is allowed to know.
var may = map[string][]string{
	"internal/inbound":             {"internal/rawjson"},
	"internal/limits":              {},
	"internal/batch":               {},
	"internal/lang":                {},
	"internal/job":                 {"internal/inbound", "internal/queue"},
	"internal/flow":                {"internal/limits"},
	"internal/queue":               {},
	"internal/phone":               {"internal/lang"},
	"internal/wamid":               {},
	"internal/store/unit":          {"internal/inbound", "internal/outbound", "internal/router", "internal/flow", "internal/phone", "internal/wamid", "internal/store"},
	"internal/store/transfer":      {},
	"internal/store/sqlrow":        {"internal/outbound", "internal/store", "internal/store/unit"},
	"internal/hosts":               {},
	"internal/redact":              {"internal/phone"},
	"internal/config":              {"internal/phone"},
	"internal/router":              {"internal/flow", "internal/lang"},
	"internal/transcript":          {"internal/flow", "internal/router"},
	"internal/outbound":            {"internal/router"},
	"internal/sanitize":            {},
	"internal/admission":           {"internal/sanitize"},
	"internal/observe":             {"internal/lang", "internal/redact", "internal/phone", "internal/job", "internal/queue", "internal/sanitize"},
	"internal/store":               {"internal/inbound", "internal/outbound", "internal/router"},
	"internal/store/sqlitestore":   {"internal/upgrade", "internal/inbound", "internal/outbound", "internal/router", "internal/flow", "internal/phone", "internal/store", "internal/sqlite", "internal/store/unit", "internal/store/transfer", "internal/store/sqlrow"},
	"internal/store/pgstore":       {"internal/upgrade", "internal/inbound", "internal/outbound", "internal/router", "internal/flow", "internal/phone", "internal/store", "internal/store/unit", "internal/store/transfer", "internal/store/sqlrow"},
	"internal/store/storetest":     {"internal/inbound", "internal/outbound", "internal/router", "internal/flow", "internal/phone", "internal/store", "internal/store/unit"},
	"internal/queue/sqlitequeue":   {"internal/queue", "internal/sqlite"},
	"internal/queue/redisqueue":    {"internal/batch", "internal/queue"},
	"internal/queue/queuetest":     {"internal/queue"},
	"internal/spool":               {"internal/queue", "internal/sqlite"},
	"internal/move":                {"internal/queue", "internal/store/transfer"},
	"internal/redistest":           {"internal/servers"},
	"internal/porttest":            {"internal/servers"},
	"internal/bubbletest":          {},
	"internal/racetest":            {},
	"internal/methodtest":          {},
	"internal/skew":                {},
	"internal/programtest":         {},
	"internal/servers":             {},
	"internal/sqlite":              {},
	"internal/upgrade":             {},
	"internal/pgtest":              {"internal/servers"},
	"internal/rawjson":             {},
	"internal/httpcall":            {},
	"internal/whatsapp":            {"internal/limits", "internal/redact", "internal/inbound", "internal/outbound", "internal/router", "internal/flow", "internal/rawjson", "internal/httpcall"},
	"internal/evolution":           {"internal/redact", "internal/inbound", "internal/outbound", "internal/router", "internal/flow", "internal/rawjson", "internal/httpcall"},
	"internal/n8n":                 {"internal/inbound", "internal/phone", "internal/whatsapp", "internal/evolution", "internal/rawjson"},
	"internal/decode":              {"internal/inbound", "internal/whatsapp", "internal/evolution", "internal/n8n", "internal/rawjson"},
	"internal/ingest":              {"internal/admission", "internal/inbound", "internal/job", "internal/queue", "internal/phone", "internal/rawjson", "internal/sanitize"},
	"internal/worker":              {"internal/inbound", "internal/job", "internal/queue", "internal/store", "internal/router", "internal/phone", "internal/sanitize", "internal/wamid"},
	"internal/delivery":            {"internal/batch", "internal/httpcall", "internal/inbound", "internal/outbound", "internal/job", "internal/queue", "internal/store", "internal/router", "internal/phone", "internal/wamid"},
	"internal/webhookout":          {"internal/httpcall", "internal/redact", "internal/outbound", "internal/store"},
	"internal/api":                 {"internal/inbound", "internal/limits", "internal/store", "internal/job", "internal/queue", "internal/router", "internal/flow", "internal/phone", "internal/observe"},
	"internal/dashboard":           {"internal/lang", "internal/observe", "internal/job", "internal/queue", "internal/store"},
	"internal/sandbox":             {"internal/whatsapp"},
	"internal/loadgen":             {"internal/whatsapp"},
	"internal/alert":               {"internal/httpcall", "internal/lang", "internal/observe", "internal/outbound", "internal/job", "internal/queue", "internal/store"},
	"internal/doctor":              {"internal/lang", "internal/redact", "internal/skew", "internal/config", "internal/httpcall", "internal/outbound", "internal/queue/redisqueue", "internal/store/pgstore", "internal/whatsapp"},
	"internal/cluster":             {"internal/sandbox", "internal/servers"},
	"internal/cluster/clustertest": {"internal/app", "internal/config", "internal/observe"},
	"internal/rehearse":            {"internal/lang", "internal/loadgen", "internal/sandbox", "internal/servers", "internal/cluster"},
	"internal/supervisor":          {},
	"internal/architecture":        {},
	"bench/noop":                   {"internal/queue", "internal/queue/redisqueue"},
	"bench/report":                 {"internal/servers", "internal/cluster", "internal/loadgen", "internal/rehearse"},
	"flows":                        {},
}

// free may import everything: it is the wiring.
var free = []string{"internal/app", "cmd/psi-router", "deploy", "bench", "bench/figures"}

// pure packages may not reach the outside, nor read the clock.
var pure = map[string][]string{
	"internal/router":     {"net", "net/http", "os", "database/sql", "math/rand", "math/rand/v2"},
	"internal/flow":       {"net", "net/http", "database/sql", "math/rand", "math/rand/v2"},
	"internal/inbound":    {"net", "net/http", "os", "database/sql"},
	"internal/store/unit": {"net", "net/http", "os", "database/sql"},
}

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Doc,Imports,GoFiles", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
		all = append(all, p)
	}
}

func TestImportTable(t *testing.T) {
	for _, p := range list(t) {
		if slices.Contains(free, p.ImportPath) {
			continue
		}
		allowed, known := may[p.ImportPath]
		if !known {
			t.Errorf("%s is not in the import table: say what it may know", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			if slices.Contains(pure[p.ImportPath], imp) {
				t.Errorf("%s is pure and must not import %s", p.ImportPath, imp)
			}
			ours, found := strings.CutPrefix(imp, module)
			if found && !slices.Contains(allowed, ours) {
				t.Errorf("%s must not import %s", p.ImportPath, ours)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range list(t) {
		if p.Doc == "" && len(p.GoFiles) > 0 {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

// TestRouterReadsNoClock: time reaches the router as an argument.
func TestRouterReadsNoClock(t *testing.T) {
	for _, call := range []string{"time.Now(", "time.Since(", "time.Sleep(", "time.After("} {
		for _, dir := range []string{"../router", "../flow"} {
			cmd := exec.CommandContext(t.Context(), "grep", "-rnF", "--include=*.go", "--exclude=*_test.go", call, dir)
			if out, err := cmd.Output(); err == nil {
				t.Errorf("%s must be pure:\n%s", dir, out)
			}
		}
	}
}

package alert

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/programtest"
)

var update = flag.Bool("update", false, "write deploy/prometheus/rules.yml")

const (
	rulesFile     = "../../deploy/prometheus/rules.yml"
	rulesTestFile = "../../deploy/prometheus/rules_test.yml"
	hoursTestFile = "../../deploy/prometheus/rules_hours_test.yml"
	dashboardFile = "../../deploy/grafana/psi-router.json"
)

// TestPrometheusHasTheSameRules: the file is generated from the built-in rules.
func TestPrometheusHasTheSameRules(t *testing.T) {
	want := prometheus(Rules(Tuning{SilentAfter, TeamAfter}))
	if *update {
		if err := os.WriteFile(rulesFile, want, 0o644); err != nil { //nolint:gosec // it is published
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(rulesFile)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("rules.yml is not what the built-in rules say (%v): go test ./internal/alert -run Prometheus -update", err)
	}
}

// prometheus writes the rules. Working hours are the defaults, Monday to Friday 9 to 18 in
// Argentina, which is three hours behind UTC all year. A rule that counts working hours is
// not evaluated before that many have passed in the day.
func prometheus(rules []Rule) []byte {
	var b bytes.Buffer
	b.WriteString("# The built-in alerts of psi-router, for those who have Prometheus and Alertmanager. Made from internal/alert by\n" +
		"# its test (-update): do not edit. Working hours are Monday to Friday, 9 to 18 in Argentina (12 to 21 UTC).\n" +
		"groups:\n  - name: psi-router\n    interval: 15s\n    rules:\n")
	for i := range rules {
		r := &rules[i]
		fmt.Fprintf(&b, "      - alert: %s\n        expr: >-\n", promName(r.ID))
		expr := r.Expr
		if r.WorkHours {
			begins := 12 + int(math.Ceil(r.Above/3600))
			expr = fmt.Sprintf("(%s) and on () (day_of_week() >= 1 <= 5) and on () (hour() >= %d < 21)", expr, begins)
		}
		if len(r.InhibitedBy) > 0 && !r.WorkHours {
			expr = "(" + expr + ")"
		}
		fmt.Fprintf(&b, "          %s\n", expr)
		for _, c := range r.InhibitedBy {
			on, which := "", fmt.Sprintf("alertname=%q", promName(c.Rule))
			if c.SameSubject {
				on = r.By
			}
			if len(c.SubjectPrefixes) > 0 {
				var of []string
				for _, p := range c.SubjectPrefixes {
					of = append(of, p+".*")
				}
				which += fmt.Sprintf(`, queue=~%q`, strings.Join(of, "|"))
			}
			fmt.Fprintf(&b, "          unless on (%s) ALERTS{%s, alertstate=\"firing\"}\n", on, which)
		}
		if r.For > 0 {
			fmt.Fprintf(&b, "        for: %s\n", promSpan(r.For))
		}
		if r.Clear > 0 {
			fmt.Fprintf(&b, "        keep_firing_for: %s\n", promSpan(r.Clear))
		}
		fmt.Fprintf(&b, "        labels:\n          severity: %s\n        annotations:\n", r.Severity)
		n := Incident{Rule: r.ID, Detail: "see /status", Subject: promSubject(r)}
		for _, lang := range []string{"en", "es"} {
			put := strings.NewReplacer("{subject}", n.Subject, "{detail}", "/status", "{value}", promValue(r.Unit))
			fmt.Fprintf(&b, "          summary_%s: %s\n", lang, quoted(put.Replace(r.Problem.In(lang))))
			fmt.Fprintf(&b, "          description_%s: %s\n", lang, quoted(put.Replace(r.Fix.In(lang))))
		}
		fmt.Fprintf(&b, "          command: %s\n", quoted(commandFor(r, n)))
	}
	return b.Bytes()
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func promName(id string) string {
	out := "Psi"
	for word := range strings.SplitSeq(id, "_") {
		out += strings.ToUpper(word[:1]) + word[1:]
	}
	return out
}

func promSpan(d time.Duration) string {
	if d%time.Minute == 0 {
		return fmt.Sprintf("%dm", int(d.Minutes()))
	}
	return fmt.Sprintf("%ds", int(d.Seconds()))
}

func promValue(u Unit) string {
	switch u {
	case Seconds:
		return "{{ $value | humanizeDuration }}"
	case Ratio:
		return "{{ $value | humanizePercentage }}"
	case Count:
	}
	return "{{ $value }}"
}

func promSubject(r *Rule) string {
	var out []string
	for label := range strings.SplitSeq(r.By, ", ") {
		if label != "" {
			out = append(out, "{{ $labels."+label+" }}")
		}
	}
	return strings.Join(out, ":")
}

// promtool runs promtool.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	path := programtest.Find(t, "promtool")
	if out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil { //nolint:gosec // our own files
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestPromtool(t *testing.T) {
	t.Parallel()
	promtool(t, "check", "rules", rulesFile)
	promtool(t, "test", "rules", rulesTestFile, hoursTestFile)
}

// TestEveryRuleIsTested: the unit tests make each alert fire.
func TestEveryRuleIsTested(t *testing.T) {
	t.Parallel()
	var tests []byte
	for _, file := range []string{rulesTestFile, hoursTestFile} {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tests = append(tests, raw...)
	}
	for _, r := range Rules(Tuning{SilentAfter, TeamAfter}) {
		if !bytes.Contains(tests, []byte("alertname: "+promName(r.ID)+"\n")) {
			t.Errorf("nothing tests %s", promName(r.ID))
		}
	}
}

var (
	metric   = regexp.MustCompile(`"(psi_[a-z_]+)"`)
	named    = regexp.MustCompile(`\bpsi_[a-z_]+`)
	suffixes = []string{"_bucket", "_sum", "_count"}
)

// exported returns the metrics that the program exports.
func exported(t *testing.T) []string {
	t.Helper()
	var out []string
	files, err := filepath.Glob("../observe/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range metric.FindAllSubmatch(src, -1) {
			out = append(out, string(m[1]))
		}
	}
	if len(out) < 30 {
		t.Fatalf("only %v", out)
	}
	return out
}

// TestExpressionsUseExportedMetrics: rules and dashboard use only metrics that the program
// exports, and promtool parses each expression.
func TestExpressionsUseExportedMetrics(t *testing.T) {
	t.Parallel()
	have := exported(t)
	check := func(where, expr string) {
		t.Helper()
		for _, name := range named.FindAllString(expr, -1) {
			base := name
			for _, s := range suffixes {
				base = strings.TrimSuffix(base, s)
			}
			if !slices.Contains(have, name) && !slices.Contains(have, base) {
				t.Errorf("%s: there is no %s in %s", where, name, expr)
			}
		}
	}
	for _, r := range Rules(Tuning{SilentAfter, TeamAfter}) {
		check(r.ID, r.Expr)
	}
	var records strings.Builder
	records.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	for i, e := range panels(t) {
		check("dashboard", e)
		e = strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*").Replace(e)
		fmt.Fprintf(&records, "      - record: panel:%d\n        expr: %s\n", i, quoted(e))
	}
	file := filepath.Join(t.TempDir(), "panels.yml")
	if err := os.WriteFile(file, []byte(records.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}

// panels returns the expressions of the dashboard.
func panels(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Title, UID string
		Panels     []struct {
			Title   string
			Type    string
			Targets []struct{ Expr, RefID string }
		}
	}
	if err := json.Unmarshal(raw, &board); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range board.Panels {
		if p.Title == "" || len(p.Targets) == 0 && p.Type != "row" {
			t.Errorf("panel %q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			out = append(out, target.Expr)
		}
	}
	if len(out) < 15 || board.UID == "" {
		t.Errorf("only %d expressions in %q", len(out), board.Title)
	}
	return out
}

// TestEveryAlertIsExplained: docs/alerts.md has a section for each alert.
func TestEveryAlertIsExplained(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range Rules(Tuning{SilentAfter, TeamAfter}) {
		if !bytes.Contains(doc, []byte("\n### "+r.ID+"\n")) {
			t.Errorf("docs/alerts.md does not explain %s", r.ID)
		}
	}
}

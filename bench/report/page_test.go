package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBenchLines(t *testing.T) {
	t.Parallel()
	out := `goos: linux
BenchmarkTurn/direct-2         	      10	  22846931 ns/op	      4379 messages/s
BenchmarkTurn/pooled-16        	      10	  32050478 ns/op	      3121.5 messages/s
PASS
`
	got := map[string]float64{}
	for _, r := range parseBench(out) {
		got[r.name] = r.metrics["messages/s"]
	}
	if d := cmp.Diff(got, map[string]float64{"Turn/direct": 4379, "Turn/pooled": 3121.5}); d != "" {
		t.Error(d)
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	out := "\rwebhook, one message each, synced         7361 requests/s, p50 3.7 ms, p99 14.9 ms, 165 µs CPU each       aim: 6,000/s\n" +
		"\rstart to ready                            107.4 ms, median of 7 (97.8 ms to 124.6 ms)                       aim: under 300 ms\n"
	var got []string
	for _, m := range figure.FindAllStringSubmatch(out, -1) {
		got = append(got, strings.TrimSpace(m[1])+"|"+m[2]+"|"+m[3])
	}
	if d := cmp.Diff(got, []string{"webhook, one message each, synced|7361|requests/s", "start to ready|107.4|ms"}); d != "" {
		t.Error(d)
	}
}

// TestOneSectionAlone: a measurement keeps the other sections.
func TestOneSectionAlone(t *testing.T) {
	t.Parallel()
	base := filepath.Join(t.TempDir(), "benchmarks")
	for _, name := range []string{"flat", "noop"} {
		p, err := load(base + ".json")
		if err != nil {
			t.Fatal(err)
		}
		s := &section{Command: "measure " + name}
		a := atLeast(40_000, "jobs/s")
		s.add(row{What: "of " + name, Value: 39_474, Unit: "jobs/s", Aim: a.text, Met: a.met(39_474)})
		p.Sections[name] = s
		if err := p.save(base+".json", base+".md", parts()); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(base + ".md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"`measure flat`", "`measure noop`", "| of flat | 39,474 jobs/s | at least 40,000 jobs/s ✗ |", "of noop, measured 39,474 jobs/s"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestHuman(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0", 0.5: "0.5", 9.876: "9.88", 15.16: "15.2", 999.6: "1,000", 1234567: "1,234,567"} {
		if got := human(v); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

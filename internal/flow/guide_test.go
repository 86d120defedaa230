package flow_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/transcript"
)

var block = regexp.MustCompile("(?ms)^```(yaml|yaml bad|text|chat)\n(.*?)^```$")

// TestGuide checks the examples of docs/flow.md. A whole flow has no problem, a part has none
// inside the first flow, a bad one gets the message that the page shows, and the transcript
// passes.
func TestGuide(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/flow.md")
	if err != nil {
		t.Fatal(err)
	}
	var first map[string]any
	var tree *flow.Flow
	said, seen := "", map[string]int{}
	for _, b := range block.FindAllSubmatch(page, -1) {
		kind, text := string(b[1]), string(b[2])
		seen[kind]++
		switch kind {
		case "yaml":
			var part map[string]any
			if err := yaml.Unmarshal([]byte(text), &part); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			src := text
			if first == nil {
				first = part
			} else if part["version"] == nil {
				src = with(t, first, part)
			}
			f, problems := flow.Check("mine.yaml", []byte(src))
			if len(problems) > 0 {
				t.Errorf("%v\n%s", problems, src)
			}
			if tree == nil {
				tree = f
			}
		case "yaml bad":
			_, problems := flow.Check("mine.yaml", []byte(text))
			said = problems.Error() + "\n"
		case "text":
			if diff := cmp.Diff(text, said); diff != "" {
				t.Errorf("the bad flow (-page +program):\n%s", diff)
			}
		case "chat":
			rules := router.Rules{Flow: tree, HandoffTimeout: 24 * time.Hour, Window: 24 * time.Hour}
			if err := transcript.Run("mine.chat", []byte(text), rules); err != nil {
				t.Error(err)
			}
		}
	}
	if diff := cmp.Diff(seen, map[string]int{"yaml": 4, "yaml bad": 1, "text": 1, "chat": 1}); diff != "" {
		t.Errorf("the page's examples (-got +want):\n%s", diff)
	}
}

// with returns a flow with some top-level keys replaced.
func with(t *testing.T, whole, part map[string]any) string {
	t.Helper()
	merged := map[string]any{}
	for k, v := range whole {
		merged[k] = v
	}
	for k, v := range part {
		merged[k] = v
	}
	src, err := yaml.Marshal(merged)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(src)) + "\n"
}

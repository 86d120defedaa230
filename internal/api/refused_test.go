package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/api"
	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/limits"
)

// TestARefusalSaysWhere: the client learns every place, what it sent there, and what
// WhatsApp takes.
func TestARefusalSaysWhere(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.say(t, 1, "wsp4", "hola")
	to := "POST /conversations/" + r.first(t) + "/messages"
	for _, c := range []struct {
		body string
		want []string
	}{
		{
			`{"type":"interactive","interactive":{"type":"list","body":{"text":"a"},"action":{"button":"Ver las opciones que hay","sections":[{"rows":[{"id":"1","title":"x"}]},{"title":"B","rows":[{"id":"1","title":""}]}]}}}`,
			[]string{
				"body.interactive.action.button: 24 characters; WhatsApp takes 1 to 20 characters",
				"body.interactive.action.sections[0].title: missing; WhatsApp takes 1 to 24 characters",
				"body.interactive.action.sections[1].rows[0].id: the same as interactive.action.sections[0].rows[0].id; WhatsApp takes each once",
				"body.interactive.action.sections[1].rows[0].title: empty; WhatsApp takes 1 to 24 characters",
			},
		},
		{
			`{"type":"interactive","interactive":{"type":"button","body":{"text":"` + strings.Repeat("a", 1025) + `"},"action":{"buttons":[]}}}`,
			[]string{"body.interactive.body.text: expected length <= 1024, and this has 1025"},
		},
		{
			`{"type":"text","text":{"body":"` + strings.Repeat("😀", 2049) + `"}}`,
			[]string{"body.text.body: 4098 characters; WhatsApp takes 1 to 4096 characters"},
		},
	} {
		got := ask(t, r, "agent", to, c.body)
		var p api.Problem
		if err := json.Unmarshal([]byte(got.body), &p); err != nil || got.status != http.StatusUnprocessableEntity || p.Code != "invalid_request" {
			t.Fatalf("%d %v: %s", got.status, err, got.body)
		}
		var said []string
		for _, e := range p.Errors {
			said = append(said, e.Location+": "+e.Message)
		}
		if diff := gocmp.Diff(said, c.want); diff != "" {
			t.Errorf("(-got +want):\n%s", diff)
		}
	}
}

// TestTheFlowAndTheAPIAgree: a menu that flow check passes is a message that the
// API takes, and the other way round.
func TestTheFlowAndTheAPIAgree(t *testing.T) {
	t.Parallel()
	type menu struct {
		style                     string
		options                   int
		text, title, footer, open int
		describe                  int
	}
	sizes := func(style string, most menu) (all []menu) {
		most.style = style
		all = append(all, most)
		for _, more := range []func(*menu){
			func(m *menu) { m.options++ }, func(m *menu) { m.text++ }, func(m *menu) { m.title++ }, func(m *menu) { m.footer++ },
		} {
			one := most
			more(&one)
			all = append(all, one)
		}
		return all
	}
	cases := sizes("buttons", menu{options: 3, text: 1024, title: 20, footer: 60})
	list := menu{options: 10, text: 1024, title: 24, footer: 60, open: 20, describe: 72}
	cases = append(cases, sizes("list", list)...)
	list.style = "list"
	list.open++
	cases = append(cases, list)
	list.open, list.describe = 20, 73
	cases = append(cases, list)
	for i, c := range cases {
		flowOK := flowTakes(c.style, c.options, c.text, c.title, c.footer, c.open, c.describe)
		flaws := limits.Check("interactive", interactive(t, c.style, c.options, c.text, c.title, c.footer, c.open, c.describe))
		if apiOK := len(flaws) == 0; apiOK != flowOK {
			t.Errorf("%+v: the flow takes it: %v, the API: %v", c, flowOK, flaws)
		}
		if atTheLimit := i == 0 || i == 5; flowOK != atTheLimit {
			t.Errorf("%+v: the flow takes it: %v", c, flowOK)
		}
	}
}

// words are n characters that differ by i.
func words(n, i int) string { return fmt.Sprintf("%c%s", 'a'+i, strings.Repeat("x", max(0, n-1))) }

func flowTakes(style string, options, text, title, footer, open, describe int) bool {
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\nlines: {a: {start: m}}\nareas: {revisar: {name: Nadie}}\n")
	b.WriteString("texts: {invalid: '', stale_reply: '', unsupported: '', window_reopen: ''}\n")
	fmt.Fprintf(&b, "menus:\n  m:\n    style: %s\n    text: %s\n    footer: %s\n", style, words(text, 0), words(footer, 0))
	if open > 0 {
		fmt.Fprintf(&b, "    button: %s\n", words(open, 0))
	}
	b.WriteString("    options:\n")
	for i := range options {
		fmt.Fprintf(&b, "      - {code: \"%c\", title: %s, handoff: {area: revisar}", 'a'+i, words(title, i))
		if describe > 0 { // shown with the code before it
			fmt.Fprintf(&b, ", description: %s", words(describe-4, 0))
		}
		b.WriteString("}\n")
	}
	_, problems := flow.Check("a.yaml", []byte(b.String()))
	for _, p := range problems {
		if strings.Contains(p.String(), "WhatsApp takes") || strings.Contains(p.String(), "takes 10 rows") || strings.Contains(p.String(), "room for 3") {
			if !strings.Contains(p.String(), "before it has") { // with a sentence that may come before it
				return false
			}
		}
	}
	return true
}

func interactive(t *testing.T, style string, options, text, title, footer, open, describe int) json.RawMessage {
	t.Helper()
	var rows []any
	for i := range options {
		row := map[string]any{"id": fmt.Sprint(i), "title": words(title, i)}
		if describe > 0 {
			row["description"] = words(describe, 0)
		}
		rows = append(rows, row)
	}
	action := map[string]any{"button": words(open, 0), "sections": []any{map[string]any{"rows": rows}}}
	kind := "list"
	if style == "buttons" {
		kind = "button"
		for i, row := range rows {
			rows[i] = map[string]any{"type": "reply", "reply": row}
		}
		action = map[string]any{"buttons": rows}
	}
	out, err := json.Marshal(map[string]any{
		"type": kind, "action": action, "body": map[string]any{"text": words(text, 0)}, "footer": map[string]any{"text": words(footer, 0)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

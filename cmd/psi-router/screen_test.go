package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// nasty is what others may say to who looks at a terminal: colours, cursor, title
// and links, carriage returns, bells, the C1 forms of the same, direction, what is
// not seen, and a line that looks like ours.
const nasty = "\x1b[31mred\x1b[2J\x1b]0;title\x07\x1b]8;;http://evil.example\x1b\\link\rover\b\x7f\u009b31m\u0085\u202eesrever\u2066\u2069\u200f\u061c\u200b\ufeff\u2060\u2028\U000e0041\x00\nPSI-2026-999999 forged"

// shownBadly finds the first character that should not reach a terminal.
func shownBadly(s string) string {
	for i, r := range s {
		if r != '\n' && r != '\t' && (unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Bidi_Control, r) || strings.ContainsRune("\u200b\ufeff\u2060\u2028\U000e0041", r)) {
			return fmt.Sprintf("%q in …%q", r, s[max(0, i-30):min(len(s), i+30)])
		}
	}
	return ""
}

// TestNothingOfOthersReachesTheTerminal: every command that shows what they say.
func TestNothingOfOthersReachesTheTerminal(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(nasty)
	if err != nil {
		t.Fatal(err)
	}
	note := string(raw)
	if !strings.Contains(note, "\u202e") || !strings.Contains(note, "\u009b") {
		t.Fatalf("JSON hides it already: %s", note)
	}
	refused := func(code int, text string) func(http.ResponseWriter, *http.Request) {
		return say(code, strings.ReplaceAll(text, `"?"`, note))
	}
	filled := func(text string) func(http.ResponseWriter, *http.Request) { return refused(200, text) }
	conv := `{"id":"?","line":"?","state":"?","area":"?","tag":"?","menu":"?","ticket":"?","contact":{"id":"?","phone":"?","user_id":"?","username":"?","name":"?"}}`
	handed := strings.Replace(conv, `"state":"?"`, `"state":"handed_off"`, 1)
	trace := `{"conversations":[` + conv + `,` + handed + `],
		"messages":[{"id":"?","conversation_id":"?","direction":"inbound","author":"?","type":"?","text":"?","provider_id":"?","status":"?","reason":"?"},
			{"id":"?","conversation_id":"?","direction":"outbound","author":"?","type":"?","text":"?","status":"failed","reason":"?","error":{"code":131000,"detail":"?"}},
			{"id":"?","conversation_id":"?","direction":"outbound","author":"?","type":"?","text":"","status":"?","reason":"?","error":{"code":0,"detail":"?"}}],
		"handoffs":[{"conversation_id":"?","ticket":"?","from_area":"?","area":"?","tag":"?","note":"?","by":"?","at":"2026-11-24T07:00:00Z"}],
		"audit":[{"conversation_id":"?","actor":"?","action":"?","detail":"?","at":"2026-11-24T07:00:00Z"}],
		"records":[{"id":"?","kind":"?","line":"?","line_ref":"?","reason":"?","received_at":"2026-11-24T07:00:00Z"}]}`
	queue := `{"name":"?","depth":1,"dead":1,"held_until":"2026-11-24T10:00:30Z","held_for":"?"}`
	sends := strings.Replace(queue, `"name":"?"`, `"name":"inbound"`, 1)
	letter := `{"id":17,"queue":"?","lane":"?","attempts":1,"error":"?","body":{"text":"?"}}`
	sh, url := fake(t, map[string]func(http.ResponseWriter, *http.Request){
		"GET /api/v1/trace/{key}":                filled(trace),
		"GET /api/v1/queues":                     filled(`{"items":[` + queue + `,` + sends + `]}`),
		"GET /api/v1/dead-letters":               filled(`{"items":[` + letter + `]}`),
		"GET /api/v1/dead-letters/17":            filled(letter),
		"GET /api/v1/dead-letters/18":            refused(500, `{"code":"internal","detail":"?","errors":[{"location":"?","message":"?"}]}`),
		"POST /api/v1/queues/{name}/pause":       filled(queue),
		"POST /api/v1/conversations/{id}/{verb}": filled(conv),
		"GET /api/v1/conversations/{id}":         filled(conv),
		"POST /api/v1/contacts/{id}/{verb}":      filled(`{"id":"?","blocked":true,"blocked_here_only":true}`),
	})
	const id = "0190a1b2-1234-7567-8901-123456789012"
	for _, args := range [][]string{
		{"trace", "x"},
		{"why", "x"},
		{"why", "x", "--lang", "en"},
		{"queue", "stats"},
		{"queue", "pause", "x"},
		{"dead", "list"},
		{"dead", "show", "17"},
		{"dead", "show", "18"},
		{"conv", "close", id},
		{"conv", "close", "x"},
		{"conv", "block", id},
		{"conv", "close", nasty},
		{"why", nasty},
		{"queue", "pause", nasty},
		{"phone", nasty},
		{"dead", "list", "--queue", nasty},
		{"chat", "--flow", nasty},
		{nasty},
		{"trace", "x", "--url", nasty},
	} {
		for _, asJSON := range []bool{false, true} {
			args := args
			if asJSON {
				args = append(args, "--json")
			}
			if len(args) < 4 || args[2] != "--url" {
				args = append(args, "--url", url)
			}
			got := sh.run("", args...)
			if bad := shownBadly(got.out) + shownBadly(got.err); bad != "" {
				t.Errorf("%q: %s", args, bad)
			}
			if asJSON || args[0] == "dead" && args[1] == "show" {
				continue
			}
			if strings.Contains(got.out, "\nPSI-2026-999999") {
				t.Errorf("%q: a forged line in\n%s", args, got.out)
			}
		}
	}
	// What is JSON for programs says the same, written otherwise.
	var whole struct {
		Body struct{ Text string } `json:"body"`
	}
	for _, args := range [][]string{{"dead", "show", "17"}, {"dead", "show", "17", "--json"}} {
		got := sh.fine(nil, append(args, "--url", url)...)
		if err := json.Unmarshal([]byte(got), &whole); err != nil || whole.Body.Text != nasty {
			t.Errorf("%q: got %v %q", args, err, whole.Body.Text)
		}
	}
}

// TestScreen: our own colours and progress get through where somebody watches, in
// whatever pieces it is written.
func TestScreen(t *testing.T) {
	t.Parallel()
	const ours = "\r\x1b[1mbold\x1b[0m\n\x1b[3A\x1b[Jñandú 👩‍🏫 ✓\x1b[K"
	for name, c := range map[string]struct {
		ours, data bool
		said       string
		want       string
	}{
		"a terminal":          {true, false, ours, ours},
		"a file":              {false, false, ours, "[1mbold[0m\n[3A[Jñandú 👩‍🏫 ✓[K"},
		"another's on a tty":  {true, false, "a\rb\x1b[2J\x1b[5mc\x1b[31;1md\x1b]0;t\x07", "ab[2J[5mc[31;1md]0;t"},
		"data":                {false, true, "{\"a\": \"\u202e\u009b\U000e0041\"}\n", `{"a": "\u202e\u009b\udb40\udc41"}` + "\n"},
		"bytes that are none": {false, false, "a\x9b31m\xffb", "a\ufffd31m\ufffdb"},
	} {
		var whole, pieces bytes.Buffer
		s := &safeWriter{w: &whole, allowStyles: c.ours, asJSON: c.data}
		if n, err := s.Write([]byte(c.said)); err != nil || n != len(c.said) {
			t.Errorf("%s: wrote %d, %v", name, n, err)
		}
		if diff := cmp.Diff(c.want, whole.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if regexp.MustCompile(`\x1b|\r`).MatchString(c.said) {
			continue // a sequence is written at once
		}
		p := &safeWriter{w: &pieces, allowStyles: c.ours, asJSON: c.data}
		for i := range len(c.said) {
			if _, err := p.Write([]byte(c.said[i : i+1])); err != nil {
				t.Error(err)
			}
		}
		if diff := cmp.Diff(c.want, pieces.String()); diff != "" {
			t.Errorf("%s, byte by byte (-want +got):\n%s", name, diff)
		}
	}
}

package app

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestReadmeCurl runs the README's curl as a new user would paste it.
func TestReadmeCurl(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	script := regexp.MustCompile("(?s)```sh\n(now=.*?)```").FindSubmatch(readme)
	if script == nil {
		t.Fatal("README.md has no curl that signs with openssl")
	}
	r := start(t, t.TempDir())
	text := strings.ReplaceAll(string(script[1]), "http://127.0.0.1:3002", r.URL())
	out, err := exec.CommandContext(t.Context(), "bash", "-euc", text).CombinedOutput()
	if got, want := strings.TrimSpace(string(out)), `{"success":true,"queued":1}`; err != nil || got != want {
		t.Fatalf("the README's curl: got %s (%v), want %s", got, err, want)
	}
	r.messages("5491155550001", answered(1, "Con quién querés hablar"))

	// The command that answers as a CRM would, run twice.
	script = regexp.MustCompile("(?s)```sh\n(curl [^\n]*/api/v1/messages.*?)```").FindSubmatch(readme)
	if script == nil {
		t.Fatal("README.md has no curl that sends")
	}
	text = strings.ReplaceAll(string(script[1]), "http://127.0.0.1:3002", r.URL())
	for range 2 {
		out, err := exec.CommandContext(t.Context(), "bash", "-euc", text).CombinedOutput()
		if err != nil || !strings.Contains(string(out), `"author":"agent"`) {
			t.Fatalf("the README's curl: got %s (%v)", out, err)
		}
	}
	r.messages("5491155550001", answered(2, "Hola, soy Ana"))
	r.write("5491155550001", "wamid.after", "menu")
	r.messages("5491155550001", func(all []message) bool { return all[len(all)-1].Reason == "handed_off_silent" })
}

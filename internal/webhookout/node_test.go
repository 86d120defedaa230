package webhookout

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/porttest"
	"github.com/psivisionhub/psi-router/internal/programtest"
)

// verifier is a CRM in JavaScript. It reads deliveries, one per line, and prints the verdicts
// of the two packages that CRMs use.
const verifier = `
const { Webhook } = require("standardwebhooks");
const svix = require("svix");
const lines = require("fs").readFileSync(0, "utf8").trim().split("\n");
for (const line of lines) {
  const { secret, headers, body } = JSON.parse(line);
  const say = {};
  for (const [name, Kind] of [["standardwebhooks", Webhook], ["svix", svix.Webhook]]) {
    try {
      const event = new Kind(secret).verify(body, headers);
      say[name] = event.type + " " + event.seq + " " + event.data.message.text;
    } catch (err) {
      say[name] = "refused";
    }
  }
  console.log(JSON.stringify(say));
}
`

// installed is a directory with the npm packages that CRMs verify with.
func installed(t *testing.T) string {
	t.Helper()
	programtest.Find(t, "node")
	programtest.Find(t, "npm")
	dir := t.TempDir()
	install := exec.CommandContext(t.Context(), "npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error",
		"standardwebhooks@1.0.0", "svix@1.99.1")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm install: %v\n%s", err, out)
	}
	return dir
}

// TestVerifiedByNode: the npm packages standardwebhooks and svix accept our signatures, with the
// new secret and the old one, and refuse a changed body.
func TestVerifiedByNode(t *testing.T) {
	t.Parallel()
	dir := installed(t)
	if err := os.WriteFile(filepath.Join(dir, "verify.js"), []byte(verifier), 0o600); err != nil {
		t.Fatal(err)
	}

	type delivery struct {
		Secret  string            `json:"secret"`
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
	}
	var got delivery
	s := endpoint(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = delivery{Headers: map[string]string{}, Body: string(body)}
		for name := range r.Header {
			got.Headers[strings.ToLower(name)] = r.Header.Get(name)
		}
	})
	if err := client(t, s.URL).Push(t.Context(), received()); err != nil {
		t.Fatal(err)
	}
	var old delivery
	long := func(o *Options) { o.Now = func() time.Time { return time.Now().Add(-time.Hour) } }
	fresh := got
	if err := client(t, s.URL, long).Push(t.Context(), received()); err != nil {
		t.Fatal(err)
	}
	old = got

	var in strings.Builder
	enc := json.NewEncoder(&in)
	for _, change := range []func() delivery{
		func() delivery { fresh.Secret = newSecret; return fresh },
		func() delivery { fresh.Secret = oldSecret; return fresh },
		func() delivery { fresh.Secret = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"; return fresh },
		func() delivery {
			d := fresh
			d.Secret, d.Body = newSecret, strings.Replace(d.Body, "hola", "chau", 1)
			return d
		},
		func() delivery { old.Secret = newSecret; return old },
	} {
		if err := enc.Encode(change()); err != nil {
			t.Fatal(err)
		}
	}
	run := exec.CommandContext(t.Context(), "node", "verify.js")
	run.Dir, run.Stdin = dir, strings.NewReader(in.String())
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, out)
	}
	t.Run("readme", func(t *testing.T) { readmeConsumer(t, dir) })
	fine, no := "message.received 3 ¿<hola> & chau?", "refused"
	for i, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		var say map[string]string
		if err := json.Unmarshal([]byte(line), &say); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		want := no
		if i < 2 {
			want = fine
		}
		for _, name := range []string{"standardwebhooks", "svix"} {
			if say[name] != want {
				t.Errorf("delivery %d: %s says %q, want %q", i, name, say[name], want)
			}
		}
	}
}

// readmeConsumer runs the CRM of the README, as a newcomer would paste it.
func readmeConsumer(t *testing.T, dir string) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("(?s)```js\n(.*?)```").FindSubmatch(readme)
	if code == nil {
		t.Fatal("README.md has no consumer")
	}
	if err := os.WriteFile(filepath.Join(dir, "crm.mjs"), code[1], 0o600); err != nil {
		t.Fatal(err)
	}
	port := porttest.Reserve(t)
	run := exec.CommandContext(t.Context(), "node", "crm.mjs")
	run.Dir, run.Env, run.Stderr = dir, append(os.Environ(), "SECRET="+newSecret, fmt.Sprint("PORT=", port.Number)), os.Stderr
	out, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = run.Process.Kill()
		_ = run.Wait()
	}()
	push := client(t, "http://"+port.Addr())
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if err = push.Push(t.Context(), received()); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if want := received().ID + " message.received 3 c1\n"; err != nil || line != want {
		t.Errorf("it says %q (%v), want %q", line, err, want)
	}
	stranger := client(t, "http://"+port.Addr(), func(o *Options) { o.Secrets = []string{oldSecret} })
	if f := failure(t, stranger.Push(t.Context(), received())); f.Code != http.StatusUnauthorized {
		t.Errorf("a wrong signature: got %+v", f)
	}
}

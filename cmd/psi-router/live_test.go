package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/app"
	"github.com/psivisionhub/psi-router/internal/config"
)

// shell runs commands as a person in one environment would.
type shell struct {
	t       *testing.T
	environ []string
}

type output struct {
	code     int
	out, err string
}

func (s shell) run(stdin string, args ...string) output {
	s.t.Helper()
	var out, errs bytes.Buffer
	code := run(args, strings.NewReader(stdin), &out, &errs, s.environ)
	return output{code, out.String(), errs.String()}
}

// fine wants exit code 0 and every part in the output.
func (s shell) fine(parts []string, args ...string) string {
	s.t.Helper()
	return s.want(exitOK, parts, args...)
}

func (s shell) want(code int, parts []string, args ...string) string {
	s.t.Helper()
	got := s.run("", args...)
	if got.code != code {
		s.t.Fatalf("psi-router %q: exit code %d, want %d\n%s%s", args, got.code, code, got.out, got.err)
	}
	for _, part := range parts {
		if !strings.Contains(got.out+got.err, part) {
			s.t.Fatalf("psi-router %q: no %q in\n%s%s", args, part, got.out, got.err)
		}
	}
	return got.out
}

// eventually repeats a command until it prints the part: what is sent reaches a
// phone by itself, in its own time.
func (s shell) eventually(part string, args ...string) string {
	s.t.Helper()
	var got output
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if got = s.run("", args...); strings.Contains(got.out, part) {
			return got.out
		}
	}
	s.t.Fatalf("psi-router %q never printed %q:\n%s%s", args, part, got.out, got.err)
	return ""
}

// settled waits until every answer to a person has its last report.
func (s shell) settled(key string) {
	s.t.Helper()
	onItsWay := regexp.MustCompile(`"status": "(queued|sending|sent)"`)
	var got output
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if got = s.run("", "trace", key, "--json"); got.code == 0 && !onItsWay.MatchString(got.out) {
			return
		}
	}
	s.t.Fatalf("answers are still on their way:\n%s%s", got.out, got.err)
}

const hello = `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"5491100000099","phone_number_id":"200000000000002"},"contacts":[{"profile":{"name":"Ana"},"wa_id":"5491155550001"}],"messages":[{"from":"5491155550001","id":"wamid.first","timestamp":"1700000000","type":"text","text":{"body":"hola"}}]}}]}]}`

// TestLife: every command against a whole router, then against its files.
func TestLife(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "d")
	sh := shell{t, []string{"PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR=" + dir, "PSI_LOG_LEVEL=error"}}
	cfg, err := config.Load(config.Options{Env: sh.environ})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), app.Options{Config: cfg, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	defer func() { stop(); <-done }()

	file := filepath.Join(t.TempDir(), "hello.json")
	if err := os.WriteFile(file, []byte(hello), 0o600); err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		t.Helper()
		got := sh.run(strings.ReplaceAll(hello, "hola", text), "sandbox", "send", "-", "--url", a.URL())
		if got.code != 0 || !strings.Contains(got.out, `200 {"success":true,"queued":1}`) {
			t.Fatalf("send: %+v", got)
		}
	}
	sh.fine([]string{"200", `"queued":1`, "wamid."}, "sandbox", "send", file, "--url", a.URL())
	sh.want(exitProblem, []string{"401"}, "sandbox", "send", file, "--url", a.URL(), "--unsigned")
	sh.want(exitUsage, []string{"no such line", "sandbox"}, "sandbox", "send", file, "--line", "x")
	sh.eventually("le llegó", "why", "5491155550001")

	write("1")
	write("11")
	sh.eventually("ticket PSI-", "why", "11 5555-0001")
	write("sigo acá")
	sh.eventually("handed_off_silent", "why", "5491155550001")
	sh.fine([]string{"La tiene el equipo admin", "Lo último que pasó", "no se contestó nada", "psi-router conv close"}, "why", "5491155550001")
	sh.fine([]string{"The team admin has it", "nothing was answered"}, "why", "5491155550001", "--lang", "en", "--last", "1")
	sh.fine([]string{"handed_off", "! handoff  admin pagos PSI-", "← contact  received  first_contact        hola"}, "trace", "5491155550001")
	sh.want(exitProblem, []string{"no hay nada de 15 5555 9999", "+5491155559999"}, "why", "15 5555 9999")
	sh.want(exitProblem, nil, "trace", "nothing")

	var why struct {
		Conversations []explanation `json:"conversations"`
	}
	if err := json.Unmarshal([]byte(sh.fine(nil, "why", "5491155550001", "--json")), &why); err != nil {
		t.Fatal(err)
	}
	if len(why.Conversations) != 1 || len(why.Conversations[0].Decisions) != 4 || why.Conversations[0].Conversation.Contact.ID == "" || why.Conversations[0].Decisions[0].Reason != "first_contact" {
		t.Fatalf("why --json: %+v", why)
	}
	ticket := why.Conversations[0].Conversation.Ticket

	// The same over the network, with a key.
	sh.fine([]string{ticket}, "trace", ticket, "--url", a.URL(), "--key", "sandbox")
	sh.fine([]string{ticket}, "trace", ticket, "--url", a.URL()+"/api/v1/", "--key", "sandbox")
	sh.want(exitUsage, []string{"not known here"}, "trace", ticket, "--url", a.URL(), "--key", "wrong")

	sh.fine([]string{"is blocked, at WhatsApp too"}, "conv", "block", ticket, "--reason", "insulta")
	sh.fine([]string{`"blocked": true`}, "conv", "block", ticket, "--json")
	sh.fine([]string{"Está bloqueado", "psi-router conv unblock"}, "why", "5491155550001")
	sh.fine([]string{"is not blocked"}, "conv", "unblock", "5491155550001")
	sh.fine([]string{"! block by cli note=insulta", "! unblock by cli"}, "trace", ticket)

	sh.fine([]string{"disconnected"}, "conv", "disconnect", ticket)
	sh.fine([]string{"menu"}, "conv", "reconnect", "5491155550001")
	sh.want(exitUsage, []string{"no area of this name"}, "conv", "handoff", "5491155550001", "--area", "cocina")
	sh.fine([]string{"handed_off", "area=admin", "tag=facturas"}, "conv", "handoff", "5491155550001", "--area", "administracion", "--tag", "facturas", "--reason", "pide factura")
	sh.fine([]string{`"state": "closed"`, `"username": ""`, `"id": "` + why.Conversations[0].Conversation.Contact.ID + `"`}, "conv", "close", "5491155550001", "--json")
	sh.fine([]string{"menu"}, "conv", "reopen", "5491155550001")
	sh.want(exitProblem, []string{"has no conversation on line x"}, "conv", "close", "5491155550001", "--line", "x")

	sh.fine([]string{"inbound", "send:sandbox", "80/s", "open"}, "queue", "stats")
	sh.fine([]string{"inbound paused"}, "queue", "pause", "inbound")
	sh.fine([]string{"La cola inbound está en pausa"}, "why", "5491155550001")
	sh.fine([]string{`"paused": true`}, "queue", "stats", "--json")
	sh.fine([]string{`"enqueued": `}, "queue", "pause", "inbound", "--json")
	sh.fine([]string{"inbound resumed"}, "queue", "resume", "inbound")
	sh.want(exitProblem, []string{`no queue "nope"`}, "queue", "pause", "nope")
	sh.fine([]string{"No dead letters"}, "dead", "list")
	sh.fine([]string{`"items": []`}, "dead", "list", "--json")
	sh.want(exitProblem, []string{"no dead letter 9"}, "dead", "show", "9")
	sh.want(exitProblem, []string{"0 dropped", "1 of 1 were not there"}, "dead", "drop", "9")

	// A router that runs holds its files.
	sh.want(exitProblem, nil, "migrate")

	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	done <- nil
	// Without a router the commands open the files.
	sh.fine([]string{"is up to date"}, "migrate")
	sh.fine([]string{"first_contact"}, "trace", "5491155550001")
	sh.fine([]string{"menu"}, "conv", "reset", "5491155550001")
	sh.fine([]string{"inbound"}, "queue", "stats")
}

// TestLongDataDir: a unix socket's path is short; a data_dir need not be.
func TestLongDataDir(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30), "data")
	sh := shell{t, []string{"PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR=" + dir, "PSI_LOG_LEVEL=error"}}
	sh.want(exitUnreachable, []string{"no router runs in data_dir"}, "queue", "stats")
	cfg, err := config.Load(config.Options{Env: sh.environ})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // and again over what the first one left
		a, err := app.New(t.Context(), app.Options{Config: cfg, Version: "test"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx) }()
		sh.fine([]string{"inbound"}, "queue", "stats")
		info, err := os.Stat(filepath.Join(dir, app.SocketName))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("admin socket: got %v, %v", info, err)
		}
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, app.SocketName)); !os.IsNotExist(err) {
			t.Errorf("admin socket after stop: %v", err)
		}
	}
	sh.fine([]string{"inbound"}, "queue", "stats")
}

// TestServeAndSandboxStop: Ctrl-C ends both, without an error.
func TestSandboxAlone(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	e := &env{ctx: ctx, in: strings.NewReader(""), out: w, err: io.Discard, globals: &globals{JSON: true}, now: time.Now}
	done := make(chan error, 1)
	go func() {
		done <- (&sandboxRun{Listen: "127.0.0.1:0", Webhook: "http://127.0.0.1:1/webhook"}).Run(e)
	}()
	var note map[string]string
	if err := json.NewDecoder(r).Decode(&note); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(note["graph_url"], "/sandbox/graph/v26.0") {
		t.Errorf("%v", note)
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	stop()
	if err := <-done; err != nil {
		t.Errorf("stopped with %v", err)
	}
}

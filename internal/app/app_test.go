package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/observe"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testRouter is a whole router in this process, with the sandbox as its WhatsApp.
type testRouter struct {
	*App
	t    *testing.T
	logs *bytes.Buffer
	stop func()
}

func start(t *testing.T, dir string) *testRouter {
	t.Helper()
	return startAs(t, roleAll, "PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR="+dir)
}

func startAs(t *testing.T, role string, env ...string) *testRouter {
	t.Helper()
	return startWith(t, Options{Role: role}, env...)
}

// startHurried starts a router whose back-offs are so many times shorter.
func startHurried(t *testing.T, times float64, env ...string) *testRouter {
	t.Helper()
	return startWith(t, Options{BackoffSpeedup: times}, env...)
}

func startWith(t *testing.T, o Options, env ...string) *testRouter {
	t.Helper()
	cfg, err := config.Load(config.Options{Env: env})
	if err != nil {
		t.Fatal(err)
	}
	logs := &bytes.Buffer{}
	o.Config, o.Version, o.Log = cfg, "test", observe.NewLogger(logs, "info", "json")
	a, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	r := &testRouter{App: a, t: t, logs: logs}
	r.stop = func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v\n%s", err, logs)
		}
		http.DefaultClient.CloseIdleConnections()
		r.stop = func() {}
	}
	t.Cleanup(func() { r.stop() })
	return r
}

// write posts a text as Meta would, and requires a 200.
func (r *testRouter) write(from, id, text string) {
	r.t.Helper()
	if err := r.post(from, id, text, http.StatusOK); err != nil {
		r.t.Fatal(err)
	}
}

// post posts a text as Meta would; another status than want is an error.
func (r *testRouter) post(from, id, text string, want int) error {
	r.t.Helper()
	return r.postOf(time.Now(), from, id, text, want)
}

// postOf posts a text that was sent at the given time.
func (r *testRouter) postOf(sent time.Time, from, id, text string, want int) error {
	r.t.Helper()
	body := fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"phone_number_id":%q},"contacts":[{"wa_id":%q,"profile":{"name":"Ana"}}],"messages":[{"from":%q,"id":%q,"timestamp":"%d","type":"text","text":{"body":%q}}]}}]}]}`,
		config.DevPhoneNumberID, from, from, id, sent.Unix(), text)
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.URL()+"/webhook", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set(whatsapp.SignatureHeader, whatsapp.Sign(config.DevAppSecret, []byte(body)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != want {
		return fmt.Errorf("webhook: got %s, want %d", res.Status, want)
	}
	return nil
}

// ask calls the API and decodes its answer.
func (r *testRouter) ask(client *http.Client, base, method, path string, to any) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, base+path, strings.NewReader("{}"))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+config.DevAPIKey)
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusTooManyRequests {
		time.Sleep(100 * time.Millisecond)
		r.ask(client, base, method, path, to)
		return
	}
	if res.StatusCode != http.StatusOK {
		r.t.Fatalf("%s %s: got %s, want 200", method, path, res.Status)
	}
	if err := json.NewDecoder(res.Body).Decode(to); err != nil {
		r.t.Fatal(err)
	}
}

type message struct{ Direction, Author, Status, Text, Reason, Type string }

// messages waits until the messages of the person's conversation are ok.
func (r *testRouter) messages(phone string, ok func([]message) bool) (id string, all []message) {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var conversations struct{ Items []struct{ ID string } }
		r.ask(http.DefaultClient, r.URL(), http.MethodGet, "/api/v1/conversations?phone="+phone, &conversations)
		if len(conversations.Items) == 1 {
			var page struct{ Items []message }
			id = conversations.Items[0].ID
			r.ask(http.DefaultClient, r.URL(), http.MethodGet, "/api/v1/conversations/"+id+"/messages", &page)
			if all = page.Items; ok(all) {
				return id, all
			}
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("conversation of %s never became as wanted: %+v\n%s", phone, all, r.logs)
		}
	}
}

// answered returns a check for n answers, the last one containing the text.
func answered(n int, text string) func([]message) bool {
	return func(all []message) bool {
		sent, last := 0, ""
		for _, m := range all {
			if m.Direction == "outbound" && m.Status != "queued" && m.Status != "sending" {
				sent, last = sent+1, m.Text
			}
		}
		return sent == n && strings.Contains(last, text)
	}
}

func TestMainJob(t *testing.T) {
	r := start(t, t.TempDir())
	const ana = "5491155550101"
	r.write(ana, "wamid.1", "hola")
	r.messages(ana, answered(1, ""))
	r.write(ana, "wamid.2", "1")
	r.messages(ana, answered(2, "Administración"))
	r.write(ana, "wamid.3", "11")
	id, _ := r.messages(ana, answered(3, fmt.Sprintf("PSI-%d-000001", time.Now().Year())))

	// With a team the bot is silent. After a close it shows the menu.
	r.write(ana, "wamid.4", "gracias")
	r.messages(ana, func(all []message) bool { return all[len(all)-1].Reason == "handed_off_silent" })
	var conv struct{ State string }
	r.ask(http.DefaultClient, r.URL(), http.MethodPost, "/api/v1/conversations/"+id+"/close", &conv)
	if conv.State != "closed" {
		t.Errorf("after close: got %s, want closed", conv.State)
	}
	r.write(ana, "wamid.5", "hola de nuevo")
	_, all := r.messages(ana, func(all []message) bool {
		last := all[len(all)-1]
		return last.Direction == "outbound" && last.Status != "queued" && last.Status != "sending" && last.Reason == "closed_reopened"
	})
	t.Logf("%+v", all)
}

func TestRestartKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir)
	const ana = "5491155550102"
	r.write(ana, "wamid.1", "hola")
	r.messages(ana, answered(1, ""))
	r.stop()

	r = start(t, dir)
	r.write(ana, "wamid.1", "hola") // redelivered
	r.write(ana, "wamid.2", "1")
	_, all := r.messages(ana, answered(2, "Administración"))
	if len(all) != 4 {
		t.Errorf("messages after a restart and a repeat: got %d, want 4: %+v", len(all), all)
	}
}

// overSocket returns a client of the router that has the files of a directory.
func overSocket(t *testing.T, dir string) *http.Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(dir, SocketName))
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestAdminSocketNeedsNoKey(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir)
	path := filepath.Join(dir, SocketName)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("admin socket: got %v %v, want mode 0600", info, err)
	}
	var page struct{ Items []struct{ Name string } }
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://admin/api/v1/queues", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := overSocket(t, dir).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&page); err != nil || res.StatusCode != http.StatusOK || len(page.Items) == 0 {
		t.Errorf("queues over the socket: got %s, %v, %+v", res.Status, err, page)
	}
	r.stop()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("admin socket after stop: got %v, want it gone", err)
	}
}

func TestOfflineOpensTheFilesOfAStoppedRouter(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir)
	cfg := r.cfg
	if _, _, err := Offline(t.Context(), cfg); err == nil {
		t.Error("offline while the router runs: got no error, want one")
	}
	r.write("5491155550103", "wamid.1", "hola")
	r.messages("5491155550103", answered(1, ""))
	r.stop()
	h, done, err := Offline(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	w := &recorder{header: http.Header{}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/conversations?phone=5491155550103", nil)
	if err != nil {
		t.Fatal(err)
	}
	h.ServeHTTP(w, req)
	if w.code != http.StatusOK || !strings.Contains(w.body.String(), `"state":"menu"`) {
		t.Errorf("conversation offline: got %d %s", w.code, w.body.String())
	}
}

type recorder struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) WriteHeader(c int)   { r.code = c }
func (r *recorder) Write(b []byte) (int, error) {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	return r.body.Write(b)
}

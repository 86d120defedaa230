package app

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/observe"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/porttest"
	"github.com/psivisionhub/psi-router/internal/redistest"
)

// alertInbox is a receiver of alerts.
type alertInbox struct {
	mu  sync.Mutex
	all []alertPost
}

type alertPost struct{ Text, Status, Rule, Command string }

func (c *alertInbox) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var post alertPost
	if err := json.NewDecoder(r.Body).Decode(&post); err != nil {
		post.Text = err.Error()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, post)
}

// wait returns the first notice of the rule with the status.
func (c *alertInbox) wait(t *testing.T, rule, status string) alertPost {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		c.mu.Lock()
		i := slices.IndexFunc(c.all, func(post alertPost) bool { return post.Rule == rule && post.Status == status })
		all := slices.Clone(c.all)
		c.mu.Unlock()
		if i >= 0 {
			return all[i]
		}
		if time.Now().After(deadline) {
			t.Fatalf("no alert %s %s: %+v", rule, status, all)
		}
	}
}

// startFast starts a router whose alerts fire soon.
func startFast(t *testing.T, role string, env ...string) *testRouter {
	t.Helper()
	cfg, err := config.Load(config.Options{Env: append(env, "PSI_ALERTS_EVERY=500ms")})
	if err != nil {
		t.Fatal(err)
	}
	logs := &bytes.Buffer{}
	a, err := New(t.Context(), Options{Config: cfg, Role: role, Version: "test", BackoffSpeedup: 30, Log: observe.NewLogger(logs, "info", "json")})
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

func ask(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestTheAlertForStoppedWorkersFiresAndClears: a webhook without a worker fires the alert,
// and resolves it once there is one.
func TestTheAlertForStoppedWorkersFiresAndClears(t *testing.T) {
	got := &alertInbox{}
	hook := httptest.NewServer(got)
	t.Cleanup(hook.Close)
	db := pgtest.New(t, pgtest.Options{})
	env := []string{
		"PSI_SANDBOX=true", "PSI_LISTEN=" + porttest.Addr(t), "PSI_ALERTS_URL=" + hook.URL,
		"PSI_ALERTS_WHATSAPP=+54 9 11 5555-0999", "PSI_ALERTS_TEMPLATE=alerta_router",
		"PSI_REDIS_URL=" + redistest.Start(t, redistest.AOF...).URL(), "PSI_DATABASE_URL=" + db.URL(db.Database(t)),
	}
	web := startFast(t, roleWebhook, append(env, "PSI_DATA_DIR="+t.TempDir())...)
	const ana = "5491155550901"
	web.write(ana, "wamid.1", "hola")
	post := got.wait(t, "no_workers", "firing")
	if !strings.Contains(post.Text, "No hay ningún worker en marcha") || !strings.Contains(post.Text, "Ejecutá: psi-router queue stats") {
		t.Errorf("got %+v", post)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		sent := ask(t, web.URL()+"/sandbox/sent")
		if strings.Contains(sent, "alerta_router") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing by WhatsApp: %s\n%s", sent, ask(t, web.URL()+"/status"))
		}
	}
	for path, want := range map[string]string{
		"/metrics": `psi_alert_firing{rule="no_workers",subject=""} 1`, "/status": `"no_workers"`, "/": "No hay ningún worker en marcha",
	} {
		if body := ask(t, web.URL()+path); !strings.Contains(body, want) {
			t.Errorf("%s does not have %q:\n%s", path, want, body)
		}
	}
	env = append(env, "PSI_METRICS_LISTEN="+porttest.Addr(t))
	worker := startFast(t, roleWorker, append(env, "PSI_DATA_DIR="+t.TempDir())...)
	over := got.wait(t, "no_workers", "over")
	if !strings.Contains(over.Text, "Hay workers en marcha de nuevo") {
		t.Errorf("got %+v", over)
	}
	web.messages(ana, answered(1, "Con quién querés hablar"))

	if body := ask(t, "http://"+worker.metricsAddr+"/metrics"); !strings.Contains(body, "psi_turn_messages_total") || !strings.Contains(body, `psi_sends_total{line="sandbox",verdict="sent"}`) {
		t.Errorf("the worker's metrics lack turns or sends:\n%s", body)
	}
}

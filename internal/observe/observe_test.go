package observe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/phone"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/redact"
)

func get(t *testing.T, h http.Handler, path string, into any) int {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	if into != nil {
		if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
			t.Fatalf("%s: %v in %s", path, err, w.Body)
		}
	}
	return w.Code
}

func serve(h *Health, m *Metrics) http.Handler {
	mux := http.NewServeMux()
	h.Register(mux, m)
	return mux
}

func TestReadyzIsHonest(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	var looks atomic.Int64 // each call of the clock is a second later
	h := NewHealth(HealthOptions{
		Now: func() time.Time { return time.Unix(looks.Add(1), 0) },
		Checks: []Check{
			{Name: "store", Run: func(context.Context) error {
				if down.Load() {
					return errors.New("disk is full")
				}
				return nil
			}},
			{Name: "disk", Info: true, Run: func(context.Context) error { return errors.New("91 % used") }},
		},
	})
	srv := serve(h, nil)
	var r readyView
	if code := get(t, srv, "/readyz", &r); code != 200 || r.Status != "ready" || len(r.Checks) != 2 {
		t.Errorf("well: %d %+v", code, r)
	}
	down.Store(true)
	if code := get(t, srv, "/readyz", &r); code != 503 || r.Status != "down" || cmp.Diff([]string{"store: disk is full"}, r.Down) != "" {
		t.Errorf("down: %d %+v", code, r)
	}
	if code := get(t, srv, "/healthz", nil); code != 200 {
		t.Errorf("healthz while down: %d", code)
	}
	down.Store(false)
	h.Drain()
	if code := get(t, srv, "/readyz", &r); code != 503 || r.Status != "draining" {
		t.Errorf("draining: %d %+v", code, r)
	}
}

// TestChecksRepeatNoSecret: an error shows no secret, not even the part that a cut would
// leave.
func TestChecksRepeatNoSecret(t *testing.T) {
	t.Parallel()
	const secret = "sesame-open-sesame-open"
	h := NewHealth(HealthOptions{Redact: redact.New(secret), Checks: []Check{
		{Name: "certificate", Run: func(context.Context) error { return errors.New("the authority said " + secret + " to +5491155559876") }},
		{Name: "store", Run: func(context.Context) error { return errors.New(strings.Repeat("x ", 95) + secret) }},
	}})
	srv := serve(h, nil)
	for _, path := range []string{"/readyz", "/status"} {
		var body json.RawMessage
		get(t, srv, path, &body)
		if text := string(body); strings.Contains(text, "sesame") || strings.Contains(text, "1155559876") || !strings.Contains(text, "the authority said <secret> to ***876") {
			t.Errorf("%s: got %s", path, text)
		}
	}
}

func TestAHangingOrBrokenCheckIsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		h := NewHealth(HealthOptions{Checks: []Check{
			{Name: "hangs", Timeout: time.Second, Run: func(context.Context) error { <-free; return nil }},
			{Name: "panics", Run: func(context.Context) error { panic("boo") }},
		}})
		_, got := h.Ready(t.Context())
		close(free)
		want := []Result{
			{Name: "hangs", Error: "no answer within 1s", Took: 1000},
			{Name: "panics", Error: "check panicked: boo"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestManyCallersShareOneCheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		h := NewHealth(HealthOptions{Checks: []Check{{Name: "store", Run: func(context.Context) error { runs.Add(1); return nil }}}})
		for range 10 {
			h.Results(t.Context())
		}
		time.Sleep(resultTTL)
		h.Results(t.Context())
		if got := runs.Load(); got != 2 {
			t.Errorf("%d runs, want 2", got)
		}
	})
}

func sources() Sources {
	return Sources{
		Queues: func(context.Context) ([]queue.Stats, error) {
			return []queue.Stats{{Name: "inbound", Depth: 3, InFlight: 1, Dead: 2, OldestAge: 1500 * time.Millisecond, Paused: true, HeldUntil: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), HeldReason: "store", Done: 7}, {Name: "events:crm", HeldUntil: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), HeldReason: "gone"}}, nil
		},
		Disk:    func() (Disk, error) { return Disk{"/data", 25, 100}, nil },
		Spool:   func() (int, time.Duration) { return 3, 2 * time.Second },
		Workers: func() (int, bool) { return 2, true },
		Alerts:  func() []OpenAlert { return []OpenAlert{{"no_workers", ""}, {"queue_held", "send:wsp4"}} },
		StoreStats: func(context.Context) (StoreStats, error) {
			return StoreStats{OldestUnanswered: 4 * time.Second, OldestHandedOff: time.Date(2026, 11, 24, 9, 59, 30, 0, time.UTC), PendingSends: 5, UncertainSends: 1, Left: 6, LastInbound: map[string]time.Time{"wsp4": time.Unix(1_800_000_000, 0)}, Endpoints: map[string]EndpointBacklog{"crm": {12, 90 * time.Second}, "n8n": {}}}, nil
		},
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	h := NewHealth(HealthOptions{
		Version: "v1", Sources: sources(), Now: func() time.Time { return now },
		Lines: []LineInfo{{ID: "wsp4", Provider: "cloud"}, {ID: "new", Provider: "evolution"}},
	})
	now = now.Add(90 * time.Second)
	var got Status
	if code := get(t, serve(h, nil), "/status", &got); code != 200 {
		t.Fatal(code)
	}
	two := 2
	until, last := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(1_800_000_000, 0).UTC()
	want := Status{
		Version: "v1", Go: got.Go, Started: now.Add(-90 * time.Second), Uptime: 90, Status: "ready", Down: []string{}, Checks: []Result{},
		Queues:    []QueueStatus{{Name: "inbound", Depth: 3, InFlight: 1, Dead: 2, OldestAge: 1.5, Paused: true, HeldUntil: &until, HeldFor: "store"}, {Name: "events:crm", HeldUntil: &until, HeldFor: "gone"}},
		Endpoints: []EndpointStatus{{Name: "crm", Behind: 12, Oldest: 90, HeldUntil: &until, HeldFor: "gone"}, {Name: "n8n"}},
		Lines:     []LineStatus{{LineInfo{ID: "wsp4", Provider: "cloud"}, &last}, {LineInfo{ID: "new", Provider: "evolution"}, nil}},
		Sends:     SendStatus{5, 1}, OldestUnanswered: 4, OldestHandedOff: 120, Left: 6, Workers: &two, Alerts: []string{"no_workers", "queue_held:send:wsp4"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStatusSaysWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	broken := errors.New("down")
	h := NewHealth(HealthOptions{Sources: Sources{
		Queues:     func(context.Context) ([]queue.Stats, error) { return nil, broken },
		StoreStats: func(context.Context) (StoreStats, error) { return StoreStats{}, broken },
	}})
	var got Status
	get(t, serve(h, nil), "/status", &got)
	if diff := cmp.Diff([]string{"queues", "store"}, got.Unknown); diff != "" {
		t.Error(diff)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	m := NewMetrics("v1")
	h := NewHealth(HealthOptions{Sources: sources(), Checks: []Check{{Name: "store", Run: func(context.Context) error { return nil }}}})
	m.RegisterHealth(h)
	m.Webhook("ok", 3*time.Millisecond)
	m.Arrived("wsp4", "message")
	m.Batch("inbound", 12, time.Millisecond)
	m.Settled("inbound", "done")
	m.Turn(12, time.Millisecond)
	m.Decision("wsp4", "first_contact", 1)
	m.Sent("wsp4", "sent", 300*time.Millisecond)
	m.Media("ready")
	w := httptest.NewRecorder()
	serve(h, m).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`psi_webhook_requests_total{outcome="ok"} 1`, `psi_arrivals_total{kind="message",line="wsp4"} 1`,
		`psi_batch_jobs_sum{queue="inbound"} 12`, `psi_jobs_settled_total{queue="inbound",verdict="done"} 1`,
		`psi_turn_messages_total 12`, `psi_decisions_total{line="wsp4",reason="first_contact"} 1`, `psi_replies_total{line="wsp4"} 1`,
		`psi_sends_total{line="wsp4",verdict="sent"} 1`, `psi_media_total{outcome="ready"} 1`,
		`psi_queue_depth{queue="inbound"} 3`, `psi_queue_dead{queue="inbound"} 2`, `psi_queue_oldest_seconds{queue="inbound"} 1.5`,
		`psi_queue_paused{queue="inbound"} 1`, `psi_queue_held{queue="inbound"} 1`, `psi_oldest_unanswered_seconds{waits_for="router"} 4`, `psi_oldest_unanswered_seconds{waits_for="team"} `, `psi_workers 2`,
		`psi_alert_firing{rule="queue_held",subject="send:wsp4"} 1`, `psi_disk_free_bytes{dir="/data"} 25`, `psi_disk_size_bytes{dir="/data"} 100`,
		`psi_spool_depth 3`, `psi_spool_oldest_seconds 2`,
		`psi_sends_pending 5`, `psi_conversations_left 6`, `psi_line_last_inbound_timestamp_seconds{line="wsp4"} 1.8e+09`,
		`psi_check_up{check="store"} 1`, `psi_source_up{source="queues"} 1`, `psi_build_info{go=`, `go_goroutines`, `process_`,
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %q", want)
		}
	}
	if _, err := m.registry.Gather(); err != nil {
		t.Errorf("gather: %v", err)
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	log := NewLogger(&b, "warn", "auto")
	log.Info("no")
	log.Warn("yes", "contact", phone.Masked("5491155550001"), "took", 68*time.Millisecond)
	var line map[string]any
	if err := json.Unmarshal(b.Bytes(), &line); err != nil {
		t.Fatalf("%v in %q", err, b.String())
	}
	if line["msg"] != "yes" || line["contact"] != "***001" || line["took"] != "68ms" {
		t.Errorf("%v", line)
	}
	b.Reset()
	NewLogger(&b, "nonsense", "text").Info("x", slog.Int("n", 1))
	if !strings.Contains(b.String(), "level=INFO msg=x n=1") || strings.Contains(b.String(), "T") && strings.Contains(b.String(), "Z") {
		t.Errorf("%q", b.String())
	}
	f, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if IsTerminal(f) {
		t.Error("a file is no terminal")
	}
}

// TestLogLinesAreBounded: any logged value is printable and bounded; a stack keeps its
// lines.
func TestLogLinesAreBounded(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		var b bytes.Buffer
		long := strings.Repeat("x", 1<<20) + "\x1b[2J"
		log := NewLogger(&b, "info", format)
		log.With("with", long).Warn("m", "text", "\u202ecod.exe\x1b[2J", "error", errors.New(long), slog.Group("g", "in", long), "stack", "one\ntwo")
		got := b.String()
		if n := strings.Count(got, "\n"); len(got) > 20_000 || n != 1 || strings.ContainsAny(got, "\x1b\u202e") || strings.Contains(got, `\u001b`) {
			t.Errorf("%s: %d bytes, %d lines: %.300q", format, len(got), n, got)
		}
		if !strings.Contains(got, `one\ntwo`) {
			t.Errorf("%s: the stack is one line", format)
		}
	}
}

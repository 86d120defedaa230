package dashboard_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/dashboard"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
)

var now = time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC)

func well() dashboard.Status {
	return dashboard.Status{
		Version: "1.2.3", Now: now, Started: now.Add(-3 * time.Hour), Sandbox: true,
		Lines:  []dashboard.Line{{ID: "wsp4", Provider: "cloud"}, {ID: "ventas", Provider: "evolution"}},
		Queues: []queue.Stats{{Name: "inbound", Depth: 3, InFlight: 1, OldestAge: 2 * time.Second}, {Name: "send:wsp4"}, {Name: "odd"}},
		Gauges: store.Gauges{Lines: map[string]time.Time{"wsp4": now.Add(-5 * time.Minute)}},
		Checks: []dashboard.Check{{Name: "store", OK: true}, {Name: "disk", OK: true, Detail: "12 GB"}},
	}
}

func show(t *testing.T, s dashboard.Status, path string) (string, http.Header) {
	t.Helper()
	h, err := dashboard.New(dashboard.Options{Status: func(context.Context) dashboard.Status { return s }})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	return w.Body.String(), w.Header()
}

var heading = regexp.MustCompile(`(?s)<section class="headline (\w+)">\s*<h1>(.*?)</h1>\s*<p>(.*?)</p>`)

// said is the text of an alert.
func said(es, en string) func(string) (string, string) {
	return func(language string) (string, string) {
		if language == "en" {
			return en, "x"
		}
		return es, "x"
	}
}

// TestTheSentenceNamesTheFirstThingBroken also executes the template with every
// kind of row, in both languages.
func TestTheSentenceNamesTheFirstThingBroken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change         func(*dashboard.Status)
		level          string
		es, en, inCure string
	}{
		"well":  {func(*dashboard.Status) {}, "well", "Todo bien", "All well", ""},
		"empty": {func(s *dashboard.Status) { *s = dashboard.Status{Now: now} }, "well", "Todo bien", "All well", ""},
		"store": {func(s *dashboard.Status) { s.Checks[0] = dashboard.Check{Name: "store", Detail: "disk I/O"} }, "bad", "No anda: la base de datos (disk I/O).", "Broken: the database (disk I/O).", ""},
		"critical": {func(s *dashboard.Status) {
			s.Queues[0].Dead = 1
			s.Alerts = []dashboard.Alert{{Text: said("", "")}, {Critical: true, Text: said("Nadie.", "Nobody.")}}
		}, "bad", "Nadie.", "Nobody.", ""},
		"warning": {func(s *dashboard.Status) {
			s.Alerts = []dashboard.Alert{{Text: said("Poco.", "Little.")}}
		}, "worried", "Poco.", "Little.", ""},
		"other": {func(s *dashboard.Status) { s.Checks[0] = dashboard.Check{Name: "reloj"} }, "bad", "No anda: reloj.", "Broken: reloj.", ""},
		"info":  {func(s *dashboard.Status) { s.Checks[0] = dashboard.Check{Name: "reloj", Info: true} }, "worried", "No anda: reloj.", "Broken: reloj.", ""},
		"line":  {func(s *dashboard.Status) { s.Lines[1].Problem = "QR vencido." }, "bad", "La línea ventas no anda: QR vencido.", "Line ventas does not work: QR vencido.", ""},
		"refused": {
			func(s *dashboard.Status) {
				s.Lines[1].Problem = "WhatsApp refuses our token, permission or account: a person must act: token expired (code 190)"
			},
			"bad", "La línea ventas no anda: el proveedor rechaza el token, el permiso o la cuenta: tiene que actuar una persona: token expired (code 190).",
			"Line ventas does not work: WhatsApp refuses our token, permission or account: a person must act: token expired (code 190).", "",
		},
		"held":   {func(s *dashboard.Status) { hold(&s.Queues[1]) }, "bad", "La línea wsp4 no puede enviar: token &lt;190&gt;.", "Line wsp4 cannot send: token &lt;190&gt;.", "token"},
		"holds":  {func(s *dashboard.Status) { hold(&s.Queues[0]) }, "bad", "La cola inbound está frenada: token &lt;190&gt;.", "Queue inbound is held: token &lt;190&gt;.", ""},
		"over":   {func(s *dashboard.Status) { s.Queues[0].HeldUntil, s.Queues[0].HeldReason = now, "x" }, "well", "Todo bien", "All well", ""},
		"paused": {func(s *dashboard.Status) { s.Queues[0].Paused = true }, "worried", "La cola inbound está en pausa.", "Queue inbound is paused.", "queue resume inbound"},
		"dead":   {func(s *dashboard.Status) { s.Queues[0].Dead = 1 }, "worried", "Hay 1 trabajo apartado en la cola inbound.", "Queue inbound has 1 dead letter.", "dead list"},
		"deads":  {func(s *dashboard.Status) { s.Queues[0].Dead = 4 }, "worried", "Hay 4 trabajos apartados en la cola inbound.", "There are 4 dead letters in queue inbound.", "dead list"},
		"waited": {func(s *dashboard.Status) { s.Gauges.OldestUnanswered = 5 * time.Minute }, "worried", "Hay gente que espera respuesta desde hace 5 min.", "People have been waiting for an answer for 5 min.", "why"},
		"behind": {func(s *dashboard.Status) { s.Queues[0].OldestAge = 50 * time.Second }, "worried", "La cola inbound viene atrasada: lo más viejo espera desde hace 50 s.", "Queue inbound is late: its oldest job has waited for 50 s.", "concurrency"},
		"unsure": {func(s *dashboard.Status) { s.Gauges.UncertainSends = 1 }, "worried", "Hay 1 envío dudoso: puede haber salido o no, y no se repite.", "1 send is uncertain: it may or may not have left, and is not repeated.", ""},
		"unsures": {
			func(s *dashboard.Status) { s.Gauges.UncertainSends = 2 }, "worried",
			"Hay 2 envíos dudosos: pueden haber salido o no, y no se repiten.", "2 sends are uncertain: they may or may not have left, and are not repeated.", "",
		},
		"first": {func(s *dashboard.Status) {
			s.Queues[0].Dead, s.Queues[0].Paused, s.Checks[1].OK = 9, true, false
			hold(&s.Queues[1])
		}, "bad", "No anda: el disco (12 GB).", "Broken: the disk (12 GB).", "data_dir"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := well()
			c.change(&s)
			for path, want := range map[string]string{"/": c.es, "/?lang=xx": c.es, "/?lang=en": c.en, "/?fragment&lang=en": c.en} {
				body, _ := show(t, s, path)
				got := heading.FindStringSubmatch(body)
				if got == nil || got[1] != c.level || got[2] != want || got[3] == "" || !strings.Contains(got[3], c.inCure) {
					t.Errorf("%s: got %q, want %s %q with %q", path, got, c.level, want, c.inCure)
				}
				if full := strings.HasPrefix(body, "<!doctype html>"); full == strings.Contains(path, "fragment") {
					t.Errorf("%s: full page %v", path, full)
				}
				for _, bad := range []string{"%!", "no value", "ZgotmplZ", "<nil>"} {
					if strings.Contains(body, bad) {
						t.Errorf("%s: the page holds %q", path, bad)
					}
				}
			}
		})
	}
}

func hold(q *queue.Stats) { q.HeldUntil, q.HeldReason = now.Add(time.Minute), "token <190>." }

func TestThePageShowsItsStatus(t *testing.T) {
	t.Parallel()
	s := well()
	hold(&s.Queues[1])
	s.Queues[1].Dead, s.Gauges.PendingSends = 7, 42
	body, header := show(t, s, "/")
	for _, want := range []string{
		`lang="es"`, "wsp4", "hace 5 min", "todavía nada", "lo que llega", "envíos de wsp4", `esperan">3<`, `en curso">1<`, `apartados">7<`,
		"frenada hasta las 10:31", "token &lt;190&gt;", "la base de datos", "12 GB", "versión 1.2.3", "en marcha desde hace 3 h", "<b>42</b>", "/sandbox", "/?lang=en",
		"prefers-color-scheme: dark", "setInterval(refresh",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	// Nothing is loaded from elsewhere, and the policy allows exactly the page's own style
	// and script.
	if strings.Contains(body, "https://") || strings.Contains(body, "http://") || strings.Contains(body, ` style="`) {
		t.Error("the page reaches outside, or styles in line")
	}
	for _, tag := range []string{"style", "script"} {
		text := regexp.MustCompile("(?s)<" + tag + ">(.*?)</" + tag + ">").FindStringSubmatch(body)[1]
		sum := sha256.Sum256([]byte(text))
		if !strings.Contains(header.Get("Content-Security-Policy"), tag+"-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
			t.Errorf("the policy forbids the page's own %s", tag)
		}
	}
	policy := header.Get("Content-Security-Policy")
	if strings.Count(policy, "'sha256-") != 2 || strings.Contains(policy, "unsafe") || header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers: %v", header)
	}
}

func TestOtherPathsAndMethods(t *testing.T) {
	t.Parallel()
	h, err := dashboard.New(dashboard.Options{Status: func(context.Context) dashboard.Status { return well() }})
	if err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]int{"GET /x": 404, "POST /": 405, "HEAD /": 200} {
		method, path, _ := strings.Cut(what, " ")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		if w.Code != want {
			t.Errorf("%s: got %d, want %d", what, w.Code, want)
		}
	}
	if _, err := dashboard.New(dashboard.Options{}); err == nil {
		t.Error("New without a status succeeded")
	}
}

package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlitestore"
	"github.com/psivisionhub/psi-router/internal/store/storetest"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// inbox is a receiver that can be made to fail.
type inbox struct {
	name string
	away bool
	got  []string
}

func (i *inbox) Name() string { return i.name }

func (i *inbox) Notify(_ context.Context, r *Rule, n Notice) error {
	if i.away {
		return errors.New("away")
	}
	sign := "+"
	if n.Resolved {
		sign = "-"
	}
	i.got = append(i.got, sign+r.ID+"/"+n.Subject)
	return nil
}

// harness has several processes that share one store and the test's clock.
type harness struct {
	t     *testing.T
	store *sqlitestore.Store
	cut   bool // the store cannot be reached
	now   time.Time
	facts Facts
	logs  bytes.Buffer
}

func (r *harness) Lead(ctx context.Context, now time.Time, round store.Term) (store.Leadership, error) {
	if r.cut {
		return store.Leadership{}, store.ErrUnavailable
	}
	return r.store.Lead(ctx, now, round)
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	set := storetest.Settings(t)
	s, err := sqlitestore.Open(t.Context(), sqlitestore.Options{Path: filepath.Join(t.TempDir(), "store.db"), Settings: unit.Settings{Rules: set.Rules}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &harness{t: t, store: s, now: noon()}
}

func (r *harness) manager(process, role string, to ...Receiver) *Manager {
	return NewManager(Options{
		Process: process, Store: r, Receivers: to, Hours: always(), Rules: Rules(Tuning{SilentAfter, TeamAfter}),
		Collect: func(context.Context) Facts { return r.facts }, Report: func() Report { return Report{Role: role, Host: process} },
		Now: func() time.Time { return r.now }, Log: slog.New(slog.NewTextHandler(&r.logs, nil)),
	})
}

// pass lets time pass; each manager does a round every 15 s.
func (r *harness) pass(d time.Duration, all ...*Manager) {
	r.t.Helper()
	for end := r.now.Add(d); r.now.Before(end); r.now = r.now.Add(15 * time.Second) {
		for _, m := range all {
			m.Round(r.t.Context())
		}
	}
}

func (r *harness) want(i *inbox, want ...string) {
	r.t.Helper()
	if diff := cmp.Diff(want, i.got); diff != "" {
		r.t.Errorf("%s (-want +got):\n%s\n%s", i.name, diff, r.logs.String())
	}
}

// TestStoppedWorkers: the last worker stops reporting, then one comes back.
func TestStoppedWorkers(t *testing.T) {
	t.Parallel()
	r := newHarness(t)
	to := &inbox{name: "webhook"}
	web, worker := r.manager("web", "webhook", to), r.manager("worker", "worker", to)
	r.pass(5*time.Minute, web, worker)
	r.want(to)
	r.facts.Queues = []queue.Stats{{Name: "inbound", Depth: 1, OldestAge: 10 * time.Minute}}
	r.pass(4*time.Minute, web)
	r.want(to, "+no_workers/") // inhibits the age of the queue
	if open := web.Firing(); len(open) != 1 || open[0].Rule != "no_workers" {
		t.Errorf("open: %+v", open)
	}
	r.facts.Queues = nil
	r.pass(2*time.Minute, web, worker)
	r.want(to, "+no_workers/", "-no_workers/")
	if n, ok := web.Workers(); n != 1 || !ok || len(web.Firing()) != 0 {
		t.Errorf("%d workers, %v, open %v", n, ok, web.Firing())
	}
}

// onlooker is a receiver that looks at the firing alerts when notified.
type onlooker struct {
	manager *Manager
	saw     []string
}

func (*onlooker) Name() string { return "webhook" }

func (o *onlooker) Notify(_ context.Context, r *Rule, n Notice) error {
	o.saw = append(o.saw, fmt.Sprintf("%s over=%v open=%d", r.ID, n.Resolved, len(o.manager.Firing())))
	return nil
}

// TestThePageAgreesWithANotice: the page agrees with a notice that was just delivered.
func TestThePageAgreesWithANotice(t *testing.T) {
	t.Parallel()
	r := newHarness(t)
	to := &onlooker{}
	web, worker := r.manager("web", "webhook", to), r.manager("worker", "worker")
	to.manager = web
	r.pass(4*time.Minute, web)
	r.pass(2*time.Minute, web, worker)
	if diff := cmp.Diff([]string{"no_workers over=false open=1", "no_workers over=true open=0"}, to.saw); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestOneProcessNotifies: one of three processes notifies, another takes over when it is gone,
// and a restart repeats nothing.
func TestOneProcessNotifies(t *testing.T) {
	t.Parallel()
	r := newHarness(t)
	to := &inbox{name: "webhook"}
	a, b, c := r.manager("a", "all", to), r.manager("b", "all", to), r.manager("c", "all", to)
	r.facts.Queues = []queue.Stats{{Name: "media", Dead: 1}}
	r.pass(3*time.Minute, a, b, c)
	r.want(to, "+dead_letters/media")
	if diff := cmp.Diff(a.Firing(), c.Firing()); diff != "" {
		t.Errorf("what c shows (-a +c):\n%s", diff)
	}
	r.pass(3*time.Minute, b, c) // a was killed
	a = r.manager("a2", "all", to)
	r.pass(3*time.Minute, a, b, c)
	r.pass(3*time.Minute, a) // all others were killed
	r.want(to, "+dead_letters/media")
	r.facts.Queues = nil
	r.pass(time.Minute, a)
	r.want(to, "+dead_letters/media", "-dead_letters/media")
}

// TestAReceiverThatIsDown: a receiver that was down gets the notices it missed, in order,
// and the other one nothing twice; also if the leader was killed meanwhile.
func TestAReceiverThatIsDown(t *testing.T) {
	t.Parallel()
	r := newHarness(t)
	one, two := &inbox{name: "webhook", away: true}, &inbox{name: "whatsapp"}
	m := r.manager("a", "all", one, two)
	r.facts.Queues = []queue.Stats{{Name: "media", Dead: 1}}
	r.pass(3*time.Minute, m)
	r.facts.Queues = nil
	r.pass(time.Minute, m)
	want := []string{"+dead_letters/media", "-dead_letters/media"}
	r.want(two, want...)
	r.want(one)
	if n := strings.Count(r.logs.String(), "could not be delivered"); n != 1 {
		t.Errorf("said %d times", n)
	}
	one.away = false
	r.pass(2*time.Minute, r.manager("b", "all", one, two))
	r.want(one, want...)
	r.want(two, want...)
}

// TestTheStoreIsDown: while the store is down, only the last leader notifies.
func TestTheStoreIsDown(t *testing.T) {
	t.Parallel()
	r := newHarness(t)
	to := &inbox{name: "webhook"}
	a, b := r.manager("a", "webhook", to), r.manager("b", "worker", to)
	r.pass(2*time.Minute, a, b)
	r.cut = true
	r.facts = Facts{NoStats: true, Down: map[string]string{"store": "connection refused"}}
	r.pass(5*time.Minute, a, b)
	r.want(to, "+check_down/store")
	r.cut, r.facts = false, Facts{}
	r.pass(3*time.Minute, a, b)
	r.want(to, "+check_down/store", "-check_down/store")
}

// stopped is a receiver during whose call the process stands still.
type stopped struct{ meanwhile func() }

func (s *stopped) Name() string { return "stopped" }

func (s *stopped) Notify(context.Context, *Rule, Notice) error {
	s.meanwhile()
	return nil
}

// gated is an inbox that checks the lease before it sends, as all clients do.
type gated struct{ inbox }

func (g *gated) Notify(ctx context.Context, r *Rule, n Notice) error {
	if err := httpcall.CheckGate(ctx); err != nil {
		return fmt.Errorf("post alert: %w", err)
	}
	return g.inbox.Notify(ctx, r, n)
}

// TestAStalledLeaderNotifiesNobody: a process that stood still sends nothing, because the new
// leader has sent the same; no receiver counts as failing.
func TestAStalledLeaderNotifiesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		to, stop := &gated{inbox{name: "webhook"}}, &stopped{}
		b := r.manager("b", "all", to)
		a := r.manager("a", "all", stop, to)
		r.facts.Queues = []queue.Stats{{Name: "media", Dead: 1}}
		stop.meanwhile = func() {
			time.Sleep(2 * time.Minute)
			r.now = r.now.Add(2 * time.Minute)
			r.pass(time.Minute, b)
		}
		r.pass(3*time.Minute, a)
		r.want(&to.inbox, "+dead_letters/media")
		stop.meanwhile = func() {}
		r.pass(time.Minute, b, a)
		r.want(&to.inbox, "+dead_letters/media")
		if strings.Contains(r.logs.String(), "could not be delivered") {
			t.Errorf("a receiver is said to fail:\n%s", r.logs.String())
		}
	})
}

func TestAPanickingRoundEndsNothing(t *testing.T) {
	t.Parallel()
	r := newHarness(t)
	m := r.manager("a", "all")
	m.opts.Collect = func(context.Context) Facts { panic("boo") }
	r.pass(time.Minute, m)
	if !strings.Contains(r.logs.String(), "a round panicked") {
		t.Error("nothing was said")
	}
}

func notice(over bool) (*Rule, Notice) {
	rules := Rules(Tuning{})
	for i := range rules {
		if rules[i].ID == "queue_held" {
			n := Notice{Incident: Incident{Rule: "queue_held", Subject: "send:wsp4", Value: 1, Detail: "no token.", Since: noon()}, Resolved: over, At: noon().Add(time.Hour)}
			return &rules[i], n
		}
	}
	panic("no such rule")
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	var got map[string]any
	code := http.StatusOK
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		got = nil
		if err := json.NewDecoder(q.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		w.WriteHeader(code)
	}))
	defer srv.Close()
	hook := &Webhook{URL: srv.URL, Lang: "es", Client: srv.Client()}
	for _, tc := range []struct {
		over         bool
		status, text string
	}{
		{false, "firing", "🔴 La cola send:wsp4 está frenada: no token.\n"},
		{true, "over", "🟢 La cola send:wsp4 sale de nuevo. Duró 60 min."},
	} {
		r, n := notice(tc.over)
		if err := hook.Notify(t.Context(), r, n); err != nil {
			t.Fatal(err)
		}
		if text, _ := got["text"].(string); got["status"] != tc.status || !strings.HasPrefix(text, tc.text) || got["content"] != text ||
			got["rule"] != "queue_held" || got["subject"] != "send:wsp4" || got["command"] != "psi-router queue stats" {
			t.Errorf("got %v", got)
		}
	}
	code = http.StatusInternalServerError
	r, n := notice(false)
	if err := hook.Notify(t.Context(), r, n); err == nil {
		t.Error("HTTP 500 was taken for delivered")
	}
	hook.URL = "http://127.0.0.1:1/secret"
	if err := hook.Notify(t.Context(), r, n); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}

type line struct {
	posts []outbound.Post
	err   error
}

func (l *line) Send(_ context.Context, p outbound.Post) (outbound.Accepted, error) {
	l.posts = append(l.posts, p)
	return outbound.Accepted{ID: "wamid.1"}, l.err
}

func TestWhatsApp(t *testing.T) {
	t.Parallel()
	l := &line{}
	to := &WhatsApp{Number: "5491155550000", Template: "alerta", TemplateLang: "es_AR", Lang: "en", Line: "wsp4", Sender: l}
	r, n := notice(false)
	if err := to.Notify(t.Context(), r, n); err != nil {
		t.Fatal(err)
	}
	p := l.posts[0]
	body := string(p.Body.Cloud)
	if p.To.Phone != to.Number || !strings.Contains(body, `"name":"alerta"`) || !strings.Contains(body, `The queue send:wsp4 is held`) || strings.Contains(body, `\n`) {
		t.Errorf("got %+v %s", p.To, body)
	}
	for class, failed := range map[outbound.Class]bool{outbound.Auth: true, outbound.Retry: true, outbound.Uncertain: false} {
		l.err = &outbound.Failure{Class: class}
		if err := to.Notify(t.Context(), r, n); (err != nil) != failed {
			t.Errorf("%s: got %v", class, err)
		}
	}
}

// TestRulesAreComplete: each rule has all its sentences, in both languages, and a command.
func TestRulesAreComplete(t *testing.T) {
	t.Parallel()
	ids := map[string]bool{}
	for _, r := range Rules(Tuning{SilentAfter, TeamAfter}) {
		for _, unless := range r.InhibitedBy {
			if !ids[unless.Rule] {
				t.Errorf("%s: %s does not come before it", r.ID, unless.Rule)
			}
		}
		if ids[r.ID] || r.Command == "" || r.Expr == "" {
			t.Errorf("%s is taken or lacks something", r.ID)
		}
		ids[r.ID] = true
		for _, lang := range []string{"es", "en"} {
			n := Notice{Incident: Incident{Rule: r.ID, Subject: "SUBJECT", Value: 1, Since: noon()}, At: noon()}
			for _, over := range []bool{false, true} {
				n.Resolved = over
				if text := Text(&r, n, lang); strings.ContainsAny(text, "{}") || text == "" {
					t.Errorf("%s, %s: %q", r.ID, lang, text)
				}
			}
			for _, text := range []string{r.Problem.In(lang), r.Fix.In(lang), r.Resolved.In(lang)} {
				if !strings.HasSuffix(text, ".") {
					t.Errorf("%s, %s: %q is no sentence", r.ID, lang, text)
				}
			}
		}
	}
	if fmt.Sprint(len(Rules(Tuning{}))) != fmt.Sprint(len(ids)-2) {
		t.Error("what is turned off is still there")
	}
}

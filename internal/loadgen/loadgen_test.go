package loadgen_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/psivisionhub/psi-router/internal/loadgen"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func options(url string) loadgen.Options {
	return loadgen.Options{
		URL: url + "/webhook", Secret: secret, PhoneNumberID: "200000000000002",
		Connections: 4, Conversations: 7, Messages: 50, Seed: 3,
	}
}

func run(t *testing.T, o loadgen.Options) loadgen.Report {
	t.Helper()
	g, err := loadgen.New(o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := g.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func judge(t *testing.T, r *receiver, url string, report loadgen.Report) loadgen.Verdict {
	t.Helper()
	rows, err := loadgen.API{URL: url, Key: "sandbox"}.Rows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return loadgen.Verify(loadgen.Evidence{
		Messages: report.Messages(), Rows: rows, Posts: r.posts,
		Replies: func(loadgen.Message) int { return 1 },
	})
}

func TestEverythingArrivesOnceAndInOrder(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*loadgen.Options){
		"plain":      func(*loadgen.Options) {},
		"batches":    func(o *loadgen.Options) { o.Batch, o.Connections = 5, 1 },
		"statuses":   func(o *loadgen.Options) { o.Statuses, o.Batch = 3, 2 },
		"duplicates": func(o *loadgen.Options) { o.Duplicates = 0.5 },
		"one":        func(o *loadgen.Options) { o.Connections, o.Conversations = 9, 1 },
		"rate":       func(o *loadgen.Options) { o.Rate, o.Burst = 5000, 10 },
		"words":      func(o *loadgen.Options) { o.Script = []string{"ñandú 👋 \"/\\\n\x01"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, s := newReceiver(t, "")
			o := options(s.URL)
			change(&o)
			var last atomic.Pointer[loadgen.Progress]
			o.Progress = func(p loadgen.Progress) { last.Store(&p) }
			report := run(t, o)
			v := judge(t, r, s.URL, report)
			if err := v.Err(); err != nil || v.Accepted != 50 || v.Stored != 50 || v.Sent != 50 || v.Unsure != 0 {
				t.Fatalf("%v %+v", err, v)
			}
			if report.Progress.Messages != 50 || r.statuses != 50*o.Statuses && o.Duplicates == 0 || report.Latency.P50 <= 0 || report.Latency.P50 > report.Latency.Max {
				t.Errorf("report: %+v, statuses %d", report.Progress, r.statuses)
			}
			if p := last.Load(); p == nil || p.Messages != 50 {
				t.Errorf("progress: %+v", p)
			}
			if o.Duplicates > 0 && (report.Duplicates == 0 || r.requests != 50+int(report.Duplicates)) {
				t.Errorf("%d duplicates, %d requests", report.Duplicates, r.requests)
			}
			if o.Batch == 5 && r.requests > 12 {
				t.Errorf("%d requests for 50 messages in batches", r.requests)
			}
			for m := range report.Messages() {
				if m.N == 49/7 && len(o.Script) == 1 && r.last[m.Person] != o.Script[0] {
					t.Errorf("got %q, want %q", r.last[m.Person], o.Script[0])
				}
			}
			if !r.names["Persona de Pruéba 👋"] {
				t.Errorf("names: %v", r.names)
			}
		})
	}
}

func TestRefusedRequestsArePostedAgain(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]int{"full": 503, "broken": -1, "broken after the work": -2, "server error": 500} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, s := newReceiver(t, "")
			r.refuse = func(n int) int {
				if n%5 == 0 {
					return refusal
				}
				return 0
			}
			report := run(t, options(s.URL))
			if err := judge(t, r, s.URL, report).Err(); err != nil {
				t.Fatal(err)
			}
			if report.Retried == 0 || report.Refusals[max(refusal, 0)] != report.Retried || report.Progress.Messages != 50 {
				t.Errorf("%+v %v", report.Progress, report.Refusals)
			}
		})
	}
}

// TestTheServerDiesAndComesBack: connections break, and for a while new ones are refused.
func TestTheServerDiesAndComesBack(t *testing.T) {
	t.Parallel()
	r, s := newReceiver(t, "")
	address := s.Listener.Addr().String()
	died, back := make(chan struct{}), make(chan *http.Server, 1)
	r.refuse = func(n int) int {
		if n == 20 {
			close(died)
		}
		return 0
	}
	go func() {
		<-died
		s.Listener.Close()
		s.CloseClientConnections()
		listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
		if err != nil {
			t.Errorf("listen again: %v", err)
			back <- nil
			return
		}
		again := &http.Server{Handler: s.Config.Handler, ReadHeaderTimeout: time.Second}
		back <- again
		_ = again.Serve(listener)
	}()
	report := run(t, options(s.URL))
	again := <-back
	if again == nil {
		return
	}
	defer again.Close()
	if err := judge(t, r, s.URL, report).Err(); err != nil {
		t.Error(err)
	}
	if report.Progress.Messages != 50 || report.GaveUp != 0 {
		t.Errorf("%+v", report.Progress)
	}
}

func TestGivesUpAndKeepsTheOrder(t *testing.T) {
	t.Parallel()
	r, s := newReceiver(t, "")
	r.refuse = func(int) int { return 503 }
	o := options(s.URL)
	o.RetryFor = time.Millisecond
	report := run(t, o)
	// One message of each person was tried, and no second one.
	if report.GaveUp != 7 || report.Progress.Messages != 0 {
		t.Errorf("%+v", report.Progress)
	}
	if v := judge(t, r, s.URL, report); v.Err() != nil || v.Unsure != 7 || v.Accepted != 0 {
		t.Errorf("%+v", v)
	}
}

func TestAWrongSecretEndsTheRun(t *testing.T) {
	t.Parallel()
	_, s := newReceiver(t, "")
	o := options(s.URL)
	o.Secret = "wrong"
	g, err := loadgen.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = g.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "app secret") {
		t.Errorf("got %v", err)
	}
}

func TestCancelEndsAnEndlessRun(t *testing.T) {
	t.Parallel()
	r, s := newReceiver(t, "")
	o := options(s.URL)
	o.Messages = 0
	ctx, cancel := context.WithCancel(t.Context())
	r.refuse = func(n int) int {
		if n == 200 {
			cancel()
		}
		return 0
	}
	g, err := loadgen.New(o)
	if err != nil {
		t.Fatal(err)
	}
	report, err := g.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if v := judge(t, r, s.URL, report); v.Err() != nil || v.Accepted < 190 || v.Unsure > 4 {
		t.Errorf("%+v", v)
	}
	o.Messages = 1 << 30
	if g, err = loadgen.New(o); err != nil {
		t.Fatal(err)
	}
	if _, err = g.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("an unfinished run: got %v", err)
	}
}

// TestVerifyFindsEachFault: each fault of the receiver is named, and nothing else.
func TestVerifyFindsEachFault(t *testing.T) {
	t.Parallel()
	for fault, want := range map[string]struct{ list, text string }{
		"lose":         {"lost", "wamid.LG"},
		"store twice":  {"doubled", "stored twice"},
		"send twice":   {"doubled", "sent twice"},
		"answer twice": {"doubled", "answers for"},
		"send unknown": {"doubled", "no row"},
		"swap":         {"reordered", "is stored after"},
		"send early":   {"reordered", "before the answer"},
		"say nothing":  {"unanswered", "of"},
		"claim sent":   {"lost", "never got it"},
		"leave queued": {"unanswered", "still queued"},
		"uncertain":    {},
		"fail":         {},
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			r, s := newReceiver(t, fault)
			v := judge(t, r, s.URL, run(t, options(s.URL)))
			lists := map[string][]string{"lost": v.Lost, "doubled": v.Doubled, "reordered": v.Reordered, "unanswered": v.Unanswered}
			if (v.Err() != nil) != (want.list != "") {
				t.Fatalf("verdict: %v", v.Err())
			}
			if want.list == "" {
				if v.Uncertain+v.Failed != 1 {
					t.Errorf("%+v", v)
				}
				return
			}
			if !has(lists[want.list], want.text) || !strings.Contains(v.Err().Error(), want.list) {
				t.Errorf("want %s with %q: %+v", want.list, want.text, v)
			}
		})
	}
}

func TestLateMessagesMayBeStoredOutOfOrder(t *testing.T) {
	t.Parallel()
	message := func(n int) loadgen.Message {
		return loadgen.Message{ID: string(rune('a' + n)), N: n, Accepted: true}
	}
	v := loadgen.Verify(loadgen.Evidence{
		Messages: slices.Values([]loadgen.Message{message(0), message(1)}),
		Rows: []loadgen.Row{
			{ID: "2", Conversation: "c", Direction: "inbound", ProviderID: "b"},
			{ID: "1", Conversation: "c", Direction: "inbound", ProviderID: "a", Reason: "late"},
			{ID: "0", Conversation: "c", Direction: "inbound", ProviderID: "somebody else's"},
		},
	})
	if diff := cmp.Diff(v, loadgen.Verdict{Accepted: 2, Stored: 2, Late: 1}); diff != "" {
		t.Errorf("verdict (-got +want):\n%s", diff)
	}
}

// TestBodiesCanBeDecoded decodes the bodies with the router's decoder.
func TestBodiesCanBeDecoded(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	kinds := map[string]int{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || bytes.ContainsFunc(body, func(r rune) bool { return r > '~' }) {
			t.Errorf("body is not plain ASCII: %s", body)
		}
		arrivals, err := whatsapp.Decode(body)
		if err != nil {
			t.Errorf("%v: %s", err, body)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, a := range arrivals {
			what := string(a.Kind) + " " + a.LineRef
			switch {
			case a.Content != nil:
				what += " " + a.Content.Type + " " + a.Content.Text
			case a.Report != nil:
				what += " " + a.Report.Status
			}
			kinds[what]++
			if len(a.Person.Phone) != 13 || !whatsapp.IsUserID(a.Person.UserID) || a.Person.Name == "" && a.Kind == "message" || a.SentAt.IsZero() || a.ID == "" {
				t.Errorf("incomplete: %+v", a)
			}
		}
	}))
	t.Cleanup(s.Close)
	o := options(s.URL)
	o.Messages, o.Statuses, o.Batch, o.Script = 4, 3, 2, []string{"¿señal? 👋 a/b"}
	run(t, o)
	line := " 200000000000002 "
	want := map[string]int{
		"message" + line + "text ¿señal? 👋 a/b": 4, "status" + line + "sent": 4, "status" + line + "delivered": 4, "status" + line + "read": 4,
	}
	if diff := cmp.Diff(kinds, want); diff != "" {
		t.Errorf("arrivals (-got +want):\n%s", diff)
	}
}

// TestRawBodies: a raw body is the value alone, with the messages at its root.
func TestRawBodies(t *testing.T) {
	t.Parallel()
	var posted atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Metadata struct {
				ID string `json:"phone_number_id"`
			} `json:"metadata"`
			Messages []struct{ From, ID string } `json:"messages"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body.Messages) != 1 || body.Messages[0].ID == "" || body.Metadata.ID == "" {
			t.Errorf("got %+v (%v), want one message and its number", body, err)
		}
		posted.Add(1)
	}))
	t.Cleanup(s.Close)
	o := options(s.URL)
	o.RawValue = true
	run(t, o)
	if got := posted.Load(); got != int32(o.Messages) {
		t.Errorf("posted %d, want %d", got, o.Messages)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*loadgen.Options){
		"address":   func(o *loadgen.Options) { o.URL = "localhost:80" },
		"secret":    func(o *loadgen.Options) { o.Secret = "" },
		"number":    func(o *loadgen.Options) { o.PhoneNumberID = "" },
		"duplicate": func(o *loadgen.Options) { o.Duplicates = 2 },
		"rate":      func(o *loadgen.Options) { o.Rate = -1 },
	} {
		o := options("http://127.0.0.1:1")
		change(&o)
		if _, err := loadgen.New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// BenchmarkGenerator measures the generator against a handler that does nothing.
func BenchmarkGenerator(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"success":true,"queued":1}`)
	}))
	defer s.Close()
	o := options(s.URL)
	o.Connections, o.Conversations, o.Messages = 32, 1000, b.N
	g, err := loadgen.New(o)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	report, err := g.Run(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(report.PerSecond(), "requests/s")
	b.ReportMetric(float64(report.Latency.P99.Microseconds()), "p99-µs")
}

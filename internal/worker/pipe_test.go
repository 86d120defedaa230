package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/flows"
	"github.com/psivisionhub/psi-router/internal/decode"
	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/ingest"
	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/sqlitequeue"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlitestore"
	"github.com/psivisionhub/psi-router/internal/store/unit"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
	"github.com/psivisionhub/psi-router/internal/worker"
)

// engines opens real engines in a temporary directory.
func engines(t testing.TB) (*sqlitequeue.Engine, *sqlitestore.Store) {
	t.Helper()
	src, err := flows.FS.ReadFile("psi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f, err := flow.Parse("psi.yaml", src)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	q, err := sqlitequeue.Open(t.Context(), sqlitequeue.Options{Path: filepath.Join(dir, "queue.db")})
	if err != nil {
		t.Fatal(err)
	}
	s, err := sqlitestore.Open(t.Context(), sqlitestore.Options{
		Path: filepath.Join(dir, "store.db"), Settings: unit.Settings{Rules: router.Rules{Flow: f, Window: 24 * time.Hour}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return q, s
}

// backlog enqueues n messages, of the given people in turn.
func backlog(t testing.TB, q queue.Queue, n, people int) {
	t.Helper()
	var jobs []queue.Job
	for i := range n {
		a := text(fmt.Sprintf("wamid.%d", i), fmt.Sprintf("5491155%06d", i%people), time.Now())
		a.SentAt, a.Content.Text = a.ReceivedAt, []string{"hola", "1", "11", "gracias"}[(i/people)%4]
		j, err := job.Arrival(a)
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, j)
		if len(jobs) == 1000 || i == n-1 {
			if _, err := q.Enqueue(t.Context(), jobs); err != nil {
				t.Fatal(err)
			}
			jobs = jobs[:0]
		}
	}
}

// counted stops the runner after a number of decisions.
type counted struct {
	left atomic.Int64
	stop func()
}

func (c *counted) Turn(int, time.Duration) {}

func (c *counted) Decision(string, string, int) {
	if c.left.Add(-1) == 0 {
		c.stop()
	}
}

func work(t testing.TB, q *sqlitequeue.Engine, s *sqlitestore.Store, n, slots int) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	c := &counted{stop: stop}
	c.left.Store(int64(n))
	w := worker.New(worker.Options{Store: s, Queue: q, Meter: c})
	r := queue.NewRunner(queue.RunnerOptions{Queue: q, Name: job.Inbound, Handler: w.Inbound(), Slots: slots, Batch: 100})
	if err := r.Run(ctx); err != nil {
		t.Error(err)
	}
}

// TestTurnsOverRealEngines: four concurrent turns on one store keep each conversation in order.
func TestTurnsOverRealEngines(t *testing.T) {
	t.Parallel()
	const people, each = 50, 4
	q, s := engines(t)
	backlog(t, q, people*each, people)
	work(t, q, s, people*each, 4)
	conversations, err := s.Conversations(t.Context(), store.Filter{Limit: 200})
	if err != nil || len(conversations) != people {
		t.Fatalf("%d conversations, want %d (%v)", len(conversations), people, err)
	}
	tickets := map[string]bool{}
	for _, conv := range conversations {
		if conv.State != router.StateHandedOff || conv.Ticket == "" || tickets[conv.Ticket] {
			t.Errorf("ended %s with ticket %q", conv.State, conv.Ticket)
		}
		tickets[conv.Ticket] = true
	}
}

// TestEveryEnqueuedBodyIsStored: whatever ingest enqueues, the worker can read. Any body that Meta
// signs becomes rows of the store and no dead letter.
func TestEveryEnqueuedBodyIsStored(t *testing.T) {
	t.Parallel()
	const secret, head = "secret", `{"object":"x","entry":[{"changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"1"},`
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	text := func(body string) string {
		return head + `"messages":[{"from":"5491100000001","id":"wamid.1","type":"text","text":{"body":"` + body + `"}}]}}]}]}`
	}
	bodies := []string{
		"hola", "\xff", "[", "{}", "null", deep(65), deep(9_998), deep(10_000), deep(10_001), deep(1 << 20),
		`{"a":` + deep(9_999) + `}`, "[\"\xff\"," + deep(100) + "]",
		head + `"messages":[` + strings.Repeat("0,", 20_000) + `0]}}]}]}`,
		text(strings.Repeat("a", 1<<20)), text(strings.Repeat("a", 64<<10)), text(strings.Repeat(`\u0000`, 64<<10)), text("\xff"), text(`\ud800`),
		strings.Replace(text("hola"), `"id":"wamid.1"`, `"timestamp":"1e18","id":"`+strings.Repeat("w", 600)+`"`, 1),
		head + `"statuses":[{"id":"w","status":"failed","timestamp":1e300,"errors":[{"code":1e30}]}]}}]}]}`,
	}
	q, s := engines(t)
	door := ingest.New(ingest.Options{
		Queue: q, Decoder: decode.Decoder{}, Lines: []ingest.Line{{ID: "wsp4", Provider: "cloud", Ref: "1", AppSecrets: []string{secret}}},
		Meta: ingest.Meta{NewSignature: func(secret string) ingest.Signature { return whatsapp.NewSignature(secret) }, WellFormed: whatsapp.WellFormed},
	})
	for i, body := range bodies {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhook", strings.NewReader(body))
		r.Header.Set(whatsapp.SignatureHeader, whatsapp.Sign(secret, []byte(body)))
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		if w.Code != http.StatusOK && (w.Code != http.StatusBadRequest || json.Valid([]byte(body))) {
			t.Errorf("body %d: %d %s", i, w.Code, w.Body)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	w := worker.New(worker.Options{Store: s, Queue: q})
	var runs sync.WaitGroup
	for name, h := range map[string]queue.Handler{job.Inbound: w.Inbound(), job.Status: w.Status()} {
		runs.Go(func() {
			if err := queue.NewRunner(queue.RunnerOptions{Queue: q, Name: name, Handler: h, Batch: 100}).Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	for left := int64(1); left > 0 && t.Context().Err() == nil; {
		all, err := q.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		left = 0
		for _, st := range all {
			if st.Name == job.Inbound || st.Name == job.Status {
				left += st.Depth
			}
			if st.Dead > 0 || st.Retried > 0 {
				t.Fatalf("%s: %+v", st.Name, st)
			}
		}
	}
	stop()
	runs.Wait()
	for _, body := range []string{"hola", "\xff", deep(65), deep(10_001), deep(1 << 20)} {
		found, err := s.Trace(t.Context(), inbound.Unreadable([]byte(body), errors.ErrUnsupported).ID)
		if err != nil || len(found.Records) != 1 || found.Records[0].Reason != router.UnknownShape || found.Records[0].Detail == "" {
			t.Errorf("%.20q: %+v, %v", body, found.Records, err)
		}
	}
}

// BenchmarkBacklog runs messages through the whole turn, with a sync to disk per batch.
func BenchmarkBacklog(b *testing.B) {
	for _, slots := range []int{1, 4} {
		b.Run(fmt.Sprint("turns=", slots), func(b *testing.B) {
			q, s := engines(b)
			backlog(b, q, b.N, max(100, b.N/4))
			b.ResetTimer()
			work(b, q, s, b.N, slots)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

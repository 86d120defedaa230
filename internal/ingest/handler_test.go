package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/admission"
	"github.com/psivisionhub/psi-router/internal/decode"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/ingest"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

const (
	appSecret  = "test_app_secret_0123456789abcdef"
	oldSecret  = "the_secret_before_the_rotation"
	pageSecret = "the_secret_of_another_app"
	evoSecret  = "evolution-secret-of-ventas"
	hopSecret  = "secret-of-the-n8n-hop"
	lineRef    = "200000000000002"
)

// proxies are the trusted proxies of these tests.
var proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8")}

// received is the time of every request in these tests.
var received = time.Date(2026, 11, 18, 11, 8, 0, 0, time.UTC)

// fakeQueue is a queue that keeps its jobs, deduplicated by id, or fails.
type fakeQueue struct {
	mu    sync.Mutex
	calls int
	jobs  []queue.Job
	seen  map[string]bool
	fail  error
	wait  func(ctx context.Context) // before anything else
}

func (m *fakeQueue) Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error) {
	if m.wait != nil {
		m.wait(ctx)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	if m.fail != nil {
		return nil, m.fail
	}
	if m.seen == nil {
		m.seen = map[string]bool{}
	}
	added := make([]bool, len(jobs))
	for i, j := range jobs {
		if added[i] = !m.seen[j.Queue+j.ID]; added[i] {
			m.seen[j.Queue+j.ID] = true
			m.jobs = append(m.jobs, j)
		}
	}
	return added, nil
}

func (m *fakeQueue) arrivals(t testing.TB) []inbound.Arrival {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]inbound.Arrival, len(m.jobs))
	for i, j := range m.jobs {
		if err := json.Unmarshal(j.Body, &out[i]); err != nil {
			t.Fatalf("%v: %s", err, j.Body)
		}
	}
	return out
}

func lines() []ingest.Line {
	return []ingest.Line{
		{ID: "wsp4", Provider: "cloud", Ref: lineRef, AppSecrets: []string{appSecret, oldSecret}, VerifyTokens: []string{"sandbox"}, Secrets: []string{hopSecret}},
		{ID: "ventas_api", Provider: "cloud", Ref: "200000000000003", AppSecrets: []string{appSecret}, VerifyTokens: []string{"other"}},
		{ID: "page", Provider: "cloud", Ref: "300000000000001", AppSecrets: []string{pageSecret}},
		{ID: "ventas", Provider: "evolution", Ref: "linea-ventas", Secrets: []string{evoSecret}},
		{ID: "alumnos", Provider: "evolution", Ref: "linea-alumnos", Secrets: []string{"evolution-secret-of-alumnos", "shared"}},
		{ID: "comunidad", Provider: "evolution", Ref: "linea-comunidad", Secrets: []string{"shared"}},
	}
}

func options(q ingest.Enqueuer) ingest.Options {
	return ingest.Options{
		Queue:   q,
		Decoder: decode.Decoder{},
		Meta: ingest.Meta{
			NewSignature: func(secret string) ingest.Signature { return whatsapp.NewSignature(secret) },
			WellFormed:   whatsapp.WellFormed,
			Challenge:    whatsapp.Challenge,
		},
		Lines:     lines(),
		Admission: admission.New(admission.Options{Proxies: proxies}),
		Now:       func() time.Time { return received },
	}
}

// request is one POST. A zero field leaves its part out.
type request struct {
	path   string // default /webhook
	body   string
	sign   string // app secret
	secret string
	bearer string
	from   string // X-Forwarded-For
	header http.Header
}

func (q request) build(t testing.TB) *http.Request {
	t.Helper()
	if q.path == "" {
		q.path = "/webhook"
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, q.path, bytes.NewReader([]byte(q.body)))
	r.RemoteAddr = "127.0.0.1:40000"
	for name, values := range q.header {
		r.Header[name] = values
	}
	if q.sign != "" {
		r.Header.Set("X-Hub-Signature-256", whatsapp.Sign(q.sign, []byte(q.body)))
	}
	if q.secret != "" {
		r.Header.Set("X-Webhook-Secret", q.secret)
	}
	if q.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+q.bearer)
	}
	if q.from != "" {
		r.Header.Set("X-Forwarded-For", q.from)
	}
	return r
}

func post(t testing.TB, h http.Handler, q request) (status int, body string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, q.build(t))
	text, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(text)
}

// TestArrivalsCarrySkew: arrivals carry the skew of our clock, so that their age is known.
func TestArrivalsCarrySkew(t *testing.T) {
	t.Parallel()
	q := &fakeQueue{}
	o := options(q)
	o.Ahead = func() time.Duration { return 15 * time.Minute }
	text, err := os.ReadFile("testdata/payloads/in_text.json")
	if err != nil {
		t.Fatal(err)
	}
	if status, body := post(t, ingest.New(o), request{body: string(text), sign: appSecret}); status != http.StatusOK {
		t.Fatalf("got %d %s", status, body)
	}
	if got := q.arrivals(t); len(got) != 1 || got[0].Ahead != 15*time.Minute || !got[0].ReceivedAt.Equal(received) {
		t.Errorf("got %+v", got)
	}
}

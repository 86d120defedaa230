package webhookout

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Test secrets, made with openssl rand.
const (
	newSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	oldSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

func received() store.Event {
	return store.Event{
		ID: "01987f3e-5d3c-7c11-b5a5-6f0b8f2d1a04", Conversation: "c1", Type: store.EventReceived, Seq: 3, Pos: 4711,
		CreatedAt: time.Date(2026, 11, 24, 10, 0, 1, 500_000_000, time.UTC),
		Data: json.RawMessage(`{"conversation":{"id":"c1","line":"wsp4","area":"admin","state":"handed_off","ticket":"PSI-2026-000123",` +
			`"contact":{"id":"p1","phone":"5491155550101","user_id":"AR.1","name":"Ana"}},"message":{"id":"m1","type":"text","text":"¿<hola> & chau?"}}`),
	}
}

// client returns the client of a local endpoint, which is allowed.
func client(t *testing.T, url string, change ...func(*Options)) *Client {
	t.Helper()
	o := Options{
		Name: "crm", URL: url, Secrets: []string{newSecret, oldSecret}, Key: "endpoints.0.allow",
		Allow: []string{strings.TrimPrefix(strings.TrimSuffix(url, "/hook"), "http://")},
	}
	for _, f := range change {
		f(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// endpoint answers with h and keeps the requests.
func endpoint(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func failure(t *testing.T, err error) *outbound.Failure {
	t.Helper()
	var f *outbound.Failure
	if !errors.As(err, &f) {
		t.Fatalf("got %v, want an *outbound.Failure", err)
	}
	return f
}

// TestStandard: headers, body and one signature per secret.
func TestStandard(t *testing.T) {
	t.Parallel()
	var body []byte
	var header http.Header
	s := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		header = r.Header
		w.WriteHeader(http.StatusNoContent)
	})
	if err := client(t, s.URL+"/hook").Push(t.Context(), received()); err != nil {
		t.Fatal(err)
	}
	if got := header.Get("webhook-id"); got != received().ID {
		t.Errorf("webhook-id %q", got)
	}
	for _, secret := range []string{newSecret, oldSecret} {
		wh, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := wh.Verify(body, header); err != nil {
			t.Errorf("%s: %v", secret, err)
		}
	}
	want := `{"id":"01987f3e-5d3c-7c11-b5a5-6f0b8f2d1a04","type":"message.received","timestamp":"2026-11-24T10:00:01.5Z","pos":4711,"seq":3,"data":` +
		string(received().Data) + `}`
	if diff := cmp.Diff(string(body), want); diff != "" {
		t.Errorf("body (-got +want):\n%s", diff)
	}
}

// TestNotice: the body for n8n workflows.
func TestNotice(t *testing.T) {
	t.Parallel()
	handoff := received()
	handoff.Type, handoff.Data = store.EventHandedOff, json.RawMessage(`{"conversation":{"id":"c1","line":"wsp4","area":"admin",`+
		`"state":"handed_off","ticket":"PSI-2026-000123","contact":{"id":"p1","phone":"","user_id":"AR.1"}},`+
		`"handoff":{"ticket":"PSI-2026-000123","area":"admin","tag":"pagos","note":"Pide factura"}}`)
	photo := received()
	photo.Data = json.RawMessage(`{"conversation":{"id":"c1","line":"wsp4","area":"","state":"menu","ticket":"","contact":{"id":"p1","phone":"5491155550101"}},` +
		`"message":{"id":"m1","type":"image","text":"","media":{"state":"pending"}}}`)
	type want map[string]any
	for name, x := range map[string]struct {
		event store.Event
		want  want
	}{
		"to a person": {received(), want{
			"telefono": "5491155550101", "mensaje": "¿<hola> & chau?", "area": "admin", "tipo": "mensaje_proxy",
			"ticket_id": "PSI-2026-000123", "derivacion_id": nil, "proxy": true,
		}},
		"hand-off": {handoff, want{
			"telefono": "AR.1", "mensaje": "Pide factura", "area": "admin", "tipo": "derivacion",
			"ticket_id": "PSI-2026-000123", "derivacion_id": received().ID, "proxy": true,
		}},
		"photo to the menu": {photo, want{
			"telefono": "5491155550101", "mensaje": "[Imagen]", "area": "", "tipo": "mensaje_normal",
			"ticket_id": nil, "derivacion_id": nil, "proxy": false,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got map[string]any
			var header http.Header
			s := endpoint(t, func(_ http.ResponseWriter, r *http.Request) {
				header = r.Header
				if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
					t.Error(err)
				}
			})
			c := client(t, s.URL, func(o *Options) { o.Format, o.Secrets = Notice, []string{"palabra", "vieja"} })
			if err := c.Push(t.Context(), x.event); err != nil {
				t.Fatal(err)
			}
			if header.Get("X-Webhook-Secret") != "palabra" || header.Get("webhook-signature") != "" {
				t.Errorf("headers %v", header)
			}
			proxy := x.want["proxy"]
			delete(x.want, "proxy")
			x.want["conversacion_id"], x.want["timestamp"] = "c1", "2026-11-24T10:00:01.5Z"
			x.want["metadata"] = map[string]any{
				"source": "psi-router", "proxy_activo": proxy, "event_id": received().ID, "seq": 3.0, "line": "wsp4",
			}
			if diff := cmp.Diff(want(got), x.want); diff != "" {
				t.Errorf("notice (-got +want):\n%s", diff)
			}
		})
	}
}

// TestAnswers: the class of each answer.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		status int
		header string
		want   outbound.Class
		wait   time.Duration
		say    string
	}{
		"fine":        {status: 200},
		"no content":  {status: 204},
		"bad request": {status: 400, want: outbound.Permanent, say: "400"},
		"refused":     {status: 422, want: outbound.Permanent},
		"no key":      {status: 401, want: outbound.Auth, say: "401"},
		"forbidden":   {status: 403, want: outbound.Auth},
		"not there":   {status: 404, want: outbound.Auth},
		"gone":        {status: 410, want: outbound.Auth},
		"moved":       {status: 302, header: "https://elsewhere.example/secret", want: outbound.Auth, say: "to https://elsewhere.example: redirects are not followed"},
		"too many":    {status: 429, header: "7", want: outbound.Throttle, wait: 7 * time.Second},
		"for ever":    {status: 429, header: "99999999", want: outbound.Throttle, wait: 10 * time.Minute},
		"nonsense":    {status: 429, header: "-5 o'clock", want: outbound.Throttle},
		"away":        {status: 503, header: "Tue, 24 Nov 2026 12:00:30 GMT", want: outbound.Throttle, wait: 30 * time.Second},
		"a bug":       {status: 500, want: outbound.Retry, say: "500"},
		"gateway":     {status: 504, want: outbound.Retry},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := endpoint(t, func(w http.ResponseWriter, _ *http.Request) {
				key := "Retry-After"
				if x.status/100 == 3 {
					key = "Location"
				}
				w.Header().Set(key, x.header)
				w.WriteHeader(x.status)
			})
			noon := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
			err := client(t, s.URL, func(o *Options) { o.Now = func() time.Time { return noon } }).Push(t.Context(), received())
			if x.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			f := failure(t, err)
			if f.Class != x.want || f.Wait != x.wait || f.Code != x.status || !strings.Contains(f.Detail, x.say) || strings.Contains(f.Detail, "secret") {
				t.Errorf("got %+v", f)
			}
		})
	}
}

// TestHugeAnswer: only the status counts, and the rest is not read to its end.
func TestHugeAnswer(t *testing.T) {
	t.Parallel()
	wrote := make(chan int, 1)
	s := endpoint(t, func(w http.ResponseWriter, _ *http.Request) {
		n := 0
		for range 500 { // 50 MB
			k, err := w.Write(make([]byte, 100<<10))
			if n += k; err != nil {
				break
			}
		}
		wrote <- n
	})
	if err := client(t, s.URL).Push(t.Context(), received()); err != nil {
		t.Error(err)
	}
	if n := <-wrote; n >= 50<<20-1<<20 {
		t.Errorf("all %d bytes were taken", n)
	}
}

// TestNoAnswer: nothing hangs, and no error names the path.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	hang := endpoint(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if f := failure(t, client(t, hang.URL+"/hook").Push(ctx, received())); f.Class != outbound.Retry || f.Detail != "it does not answer in time" {
		t.Errorf("got %+v", f)
	}

	cut := endpoint(t, func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			c.Close()
		}
	})
	if f := failure(t, client(t, cut.URL+"/hook").Push(t.Context(), received())); f.Class != outbound.Retry || strings.Contains(f.Detail, "hook") {
		t.Errorf("got %+v", f)
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := "http://" + l.Addr().String()
	l.Close()
	if f := failure(t, client(t, gone+"/hook").Push(t.Context(), received())); f.Class != outbound.Throttle || !strings.Contains(f.Detail, "cannot be reached") {
		t.Errorf("got %+v", f)
	}

	plain := endpoint(t, func(http.ResponseWriter, *http.Request) {})
	tls := strings.Replace(plain.URL, "http:", "https:", 1)
	c := client(t, tls, func(o *Options) { o.Allow = []string{strings.TrimPrefix(plain.URL, "http://")} })
	if f := failure(t, c.Push(t.Context(), received())); f.Class == outbound.Permanent {
		t.Errorf("got %+v", f)
	}
}

// TestTooLate: after the lease is lost no whole event arrives, and the failure is not the
// endpoint's.
func TestTooLate(t *testing.T) {
	t.Parallel()
	var arrived, asked atomic.Int32
	s := endpoint(t, func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			arrived.Add(1)
		}
	})
	c := client(t, s.URL)
	err := c.Push(httpcall.WithGate(t.Context(), func() error {
		if asked.Add(1) > 1 { // too late once it has connected
			return errors.New("the lease is over")
		}
		return nil
	}), received())
	s.Close()
	if f := failure(t, err); f.Class != outbound.NotBegun || arrived.Load() > 0 {
		t.Errorf("got %+v, %d arrived", f, arrived.Load())
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"address":   {Name: "crm", URL: "nowhere", Secrets: []string{newSecret}},
		"no secret": {Name: "crm", URL: "https://crm.example"},
		"secret":    {Name: "crm", URL: "https://crm.example", Secrets: []string{"whsec_ñ"}},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), "endpoint crm") || strings.Contains(err.Error(), "ñ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

package ingest_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/ingest"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

func FuzzHandler(f *testing.F) {
	f.Add([]byte(envelope(lineRef, text("w", "1", hola))), true, false)
	f.Add([]byte(flat), false, true)
	f.Add([]byte(`[{"json":`+flat+`}]`), false, false)
	f.Add([]byte(`{`), true, true)
	f.Add([]byte(strings.Repeat("[", 9_999)+strings.Repeat("]", 9_999)), true, false)
	f.Add([]byte(strings.Repeat("[", 20_000)+strings.Repeat("]", 20_000)), true, false)
	f.Add([]byte(envelope(lineRef, strings.Repeat("{},", inbound.MaxElements)+"{}")), true, false)
	signature := whatsapp.NewSignature(appSecret)
	f.Fuzz(func(t *testing.T, body []byte, signed, path bool) {
		q := &fakeQueue{}
		req := request{body: string(body), secret: evoSecret}
		if path {
			req.path = "/webhook/ventas"
		}
		r := req.build(t)
		if signed { // by an app that is not authorised for the path
			r.Header.Set("X-Hub-Signature-256", signature.Sign(body))
			r.Header.Del("X-Webhook-Secret")
		}
		w := httptest.NewRecorder()
		ingest.New(options(q)).ServeHTTP(w, r)
		if signed && len(q.jobs) == 0 {
			t.Fatalf("signed and not stored: %d %s", w.Code, w.Body)
		}
		if w.Code == http.StatusOK && len(q.jobs) == 0 || w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
			t.Fatalf("%d %s, %d jobs", w.Code, w.Body, len(q.jobs))
		}
		for i, a := range q.arrivals(t) {
			again, err := inbound.Decode(q.jobs[i].Body)
			if err != nil || a.Key() != again.Key() {
				t.Fatalf("the worker reads %q of %q: %v", again.Key(), a.Key(), err)
			}
			if a.ID == "" || !a.ReceivedAt.Equal(received) || len(a.Raw) == 0 {
				t.Fatalf("got %+v", a)
			}
			if a.Line == "" && a.Quarantine == "" && (a.Kind == inbound.Message || a.Kind == inbound.Status) {
				t.Fatalf("no line and not quarantined: %+v", a)
			}
		}
	})
}

func BenchmarkHandler(b *testing.B) {
	body := envelope(lineRef, text("wamid.HBgNNTQ5MTEwMDAwMDAwMRUCABIYFDNBRUE1OTdDODZDQzYxN0FFNUIxAA==", "5491100000001", "Hola, quiero información 👋"))
	signature := whatsapp.Sign(appSecret, []byte(body))
	door := ingest.New(options(sink{}))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/webhook", strings.NewReader(body))
		r.Header.Set("X-Hub-Signature-256", signature)
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}

// BenchmarkServed is BenchmarkHandler over loopback, with 32 connections and the
// client on the same cores.
func BenchmarkServed(b *testing.B) {
	body := envelope(lineRef, text("wamid.HBgNNTQ5MTEwMDAwMDAwMRUCABIYFDNBRUE1OTdDODZDQzYxN0FFNUIxAA==", "5491100000001", "Hola, quiero información 👋"))
	signature := whatsapp.Sign(appSecret, []byte(body))
	server := httptest.NewServer(ingest.New(options(sink{})))
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, _ := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL+"/webhook", strings.NewReader(body))
			r.Header.Set("X-Hub-Signature-256", signature)
			res, err := client.Do(r)
			if err != nil || res.StatusCode != http.StatusOK {
				b.Error(err)
				return
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
	})
}

// sink is the queue of benchmarks.
type sink struct{}

func (sink) Enqueue(_ context.Context, jobs []queue.Job) ([]bool, error) {
	return make([]bool, len(jobs)), nil
}

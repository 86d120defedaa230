package ingest_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/ingest"
)

var update = flag.Bool("update", false, "write the golden files anew")

type goldenJob struct {
	Queue string          `json:"queue"`
	Lane  string          `json:"lane"`
	ID    string          `json:"id"`
	Body  inbound.Arrival `json:"body"`
}

// TestEveryPayload posts every captured webhook, authenticated as by its provider, and compares
// the jobs.
func TestEveryPayload(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/payloads/*.json")
	if err != nil || len(paths) < 50 {
		t.Fatalf("%d payloads, %v", len(paths), err)
	}
	for _, path := range paths {
		name := filepath.Base(path)
		if name == "sig_vectors.json" {
			continue
		}
		t.Run(strings.TrimSuffix(name, ".json"), func(t *testing.T) {
			t.Parallel()
			body, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			q := &fakeQueue{}
			door := ingest.New(options(q))
			req := request{body: string(body), sign: appSecret}
			switch {
			case strings.HasPrefix(name, "evo_"):
				req = request{body: string(body), secret: evoSecret}
			case strings.HasPrefix(name, "n8n_"):
				req = request{body: string(body), bearer: hopSecret}
			}
			if status, answer := post(t, door, request{body: req.body}); status != http.StatusUnauthorized || len(q.jobs) > 0 {
				t.Fatalf("without credentials: %d %s", status, answer)
			}
			status, answer := post(t, door, req)
			if want := fmt.Sprintf(`{"success":true,"queued":%d}`, len(q.jobs)); status != http.StatusOK || answer != want {
				t.Fatalf("got %d %s, want %s", status, answer, want)
			}
			if q.calls != 1 {
				t.Errorf("%d enqueues for one request", q.calls)
			}
			jobs := make([]goldenJob, len(q.jobs))
			for i, a := range q.arrivals(t) {
				if !bytes.Contains(body, a.Raw) {
					t.Errorf("raw is not the body: %s", a.Raw)
				}
				a.Raw = nil
				jobs[i] = goldenJob{q.jobs[i].Queue, q.jobs[i].Lane, q.jobs[i].ID, a}
			}
			compare(t, filepath.Join("testdata/golden", name), jobs)

			// The same once more, signed or not by Meta: the ids are the same.
			before := len(q.jobs)
			if status, again := post(t, door, req); status != http.StatusOK || again != answer || len(q.jobs) != before {
				t.Errorf("repeated: %d %s, %d new jobs", status, again, len(q.jobs)-before)
			}
		})
	}
}

// TestEveryPayloadSigned: a signature is good for every shape.
func TestEveryPayloadSigned(t *testing.T) {
	t.Parallel()
	paths, _ := filepath.Glob("testdata/payloads/*.json")
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		q := &fakeQueue{}
		status, answer := post(t, ingest.New(options(q)), request{body: string(body), sign: appSecret})
		if status != http.StatusOK || len(q.jobs) == 0 {
			t.Errorf("%s: %d %s, %d jobs", path, status, answer, len(q.jobs))
		}
	}
}

func compare(t *testing.T, path string, got any) {
	t.Helper()
	text, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *update {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), string(want)); diff != "" {
		t.Errorf("got(-) want(+):\n%s", diff)
	}
}

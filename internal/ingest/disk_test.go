package ingest_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/psivisionhub/psi-router/internal/ingest"
	"github.com/psivisionhub/psi-router/internal/queue/sqlitequeue"
)

// TestFullDisk: a webhook that does not fit into the embedded queue gets a 503 and none of its
// messages is kept; earlier ones with a 200 stay.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	e, err := sqlitequeue.Open(t.Context(), sqlitequeue.Options{
		Path: filepath.Join(t.TempDir(), "queue.db"), MaxPages: 150, Relaxed: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	h := ingest.New(options(e))
	taken, n, full := 0, 0, false
	for range 500 {
		var messages []string
		for range 7 {
			n++
			messages = append(messages, text(fmt.Sprint("wamid.", n), fmt.Sprint("54911", n), hola))
		}
		status, answer := post(t, h, request{body: envelope(lineRef, messages...), sign: appSecret})
		if status == http.StatusServiceUnavailable {
			full = true
			break
		}
		if status != http.StatusOK {
			t.Fatalf("got %d %s", status, answer)
		}
		taken += len(messages)
	}
	stats, err := e.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var depth int64
	for _, s := range stats {
		depth += s.Depth
	}
	if !full || depth != int64(taken) {
		t.Errorf("full %v: %d messages had their 200, and %d are kept", full, taken, depth)
	}
	if wrong, err := e.Check(t.Context()); err != nil || len(wrong) > 0 {
		t.Errorf("got %v, %v", wrong, err)
	}
}

package rehearse

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster"
	"github.com/psivisionhub/psi-router/internal/loadgen"
)

// TestOneKeySendsOnce: of a hundred equal, concurrent POST messages with one
// Idempotency-Key, over HTTP to real processes, one message reaches the person.
func TestOneKeySendsOnce(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]cluster.Options{
		"sqlite":                      {Embedded: true},
		"two doors before PostgreSQL": {Webhooks: 2, Workers: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var err error
			if o.Program, err = os.Executable(); err != nil {
				t.Fatal(err)
			}
			o.Record, o.Note = 100, func(text string) { t.Log(text) }
			s, err := cluster.Start(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { s.Stop(t.Failed()) }()
			api := loadgen.API{URL: s.DoorURL(), Key: s.Key, Line: cluster.Line}
			sendOnce(t, s, api, conversation(t, s, api))
		})
	}
}

// conversation begins a conversation.
func conversation(t *testing.T, s *cluster.Cluster, api loadgen.API) string {
	t.Helper()
	load, err := loadgen.New(loadgen.Options{
		URL: s.DoorURL() + "/webhook", Secret: s.Secret, PhoneNumberID: cluster.PhoneNumberID, Messages: 1, Conversations: 1, Connections: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := load.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	quiet(t, s, api, 1)
	rows, err := api.Rows(t.Context())
	if err != nil || len(rows) == 0 {
		t.Fatalf("%d rows (%v)", len(rows), err)
	}
	return rows[0].Conversation
}

// quiet waits until WhatsApp has that many messages and all work is done.
func quiet(t *testing.T, s *cluster.Cluster, api loadgen.API, sent int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		f, err := api.Stats(ctx)
		if err == nil && f.Depth == 0 && f.Pending == 0 && len(s.WhatsApp.Sent()) >= sent {
			return
		}
		if !loadgen.Sleep(ctx, 50*time.Millisecond) {
			t.Fatalf("%d messages sent, %+v wait (%v)", len(s.WhatsApp.Sent()), f, err)
		}
	}
}

func sendOnce(t *testing.T, s *cluster.Cluster, api loadgen.API, conversation string) {
	t.Helper()
	const times, text = 100, "Hola, soy Ana"
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: times}}
	defer client.CloseIdleConnections()
	var mu sync.Mutex
	var all sync.WaitGroup
	answers, replayed := map[string]int{}, 0
	for range times {
		all.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, api.URL+"/api/v1/conversations/"+conversation+"/messages",
				strings.NewReader(`{"type":"text","text":{"body":"`+text+`"}}`))
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Authorization", "Bearer "+api.Key)
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Idempotency-Key", "one")
			res, err := client.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			mu.Lock()
			defer mu.Unlock()
			answers[res.Status+" "+string(body)]++
			if res.Header.Get("Idempotent-Replayed") == "true" {
				replayed++
			}
			if err != nil || res.StatusCode != http.StatusCreated {
				t.Errorf("%s %s (%v)", res.Status, body, err)
			}
		})
	}
	all.Wait()
	quiet(t, s, api, 2)
	var said int
	for _, m := range s.WhatsApp.Sent() {
		if m.Text == text {
			said++
		}
	}
	if said != 1 || len(answers) != 1 || replayed != times-1 {
		t.Errorf("it was sent %d times, with %d different responses, %d of them replayed; want 1, 1 and %d", said, len(answers), replayed, times-1)
	}
}

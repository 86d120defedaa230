package ingest_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/ingest"
)

// tally counts the arrivals by line and kind.
type tally struct {
	mu   sync.Mutex
	seen map[string]int
}

func (*tally) Webhook(string, time.Duration) {}

func (c *tally) Arrived(line, kind string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[line+" "+kind]++
}

// TestPresenceIsOnlyCounted: typing and read chats are not kept.
func TestPresenceIsOnlyCounted(t *testing.T) {
	t.Parallel()
	q, counted := &fakeQueue{}, &tally{seen: map[string]int{}}
	o := options(q)
	o.Meter = counted
	door := ingest.New(o)
	names := []string{"presence.update", "PRESENCE_UPDATE", "chats.update", "chats.upsert", "CHATS_SET", "chats.delete", "ChatPresence", "Presence"}
	for _, name := range names {
		body := `{"event":"` + name + `","instance":"linea-ventas","data":{"id":"5491100000001@s.whatsapp.net","presences":{}}}`
		status, answer := post(t, door, request{body: body, secret: evoSecret})
		if status != http.StatusOK || answer != `{"success":true,"queued":0}` {
			t.Errorf("%s: got %d %s", name, status, answer)
		}
	}
	if q.calls != 0 || counted.seen["ventas presence"] != len(names) {
		t.Errorf("%d calls of the queue; counted %v", q.calls, counted.seen)
	}
	// An event that may hold a message is kept, whatever its name.
	post(t, door, request{body: `{"event":"presence.something","instance":"linea-ventas","data":{"x":1}}`, secret: evoSecret})
	if len(q.arrivals(t)) != 1 {
		t.Error("an unknown event was dropped")
	}
}

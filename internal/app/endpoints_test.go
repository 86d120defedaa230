package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/observe"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/redistest"
	"github.com/psivisionhub/psi-router/internal/store"
)

const crmSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// pushedEvent is an event as a CRM reads it.
type pushedEvent struct {
	ID, Type  string
	Timestamp time.Time
	Pos, Seq  int64
	Data      struct{ Conversation struct{ ID string } }
	raw       string
}

// crm is a CRM that takes events, in one of several modes.
type crm struct {
	t     *testing.T
	sign  *standardwebhooks.Webhook
	mu    sync.Mutex
	mood  string
	seen  map[string]int // requests by mode
	taken []pushedEvent
}

func newCRM(t *testing.T) *crm {
	sign, err := standardwebhooks.NewWebhook(crmSecret)
	if err != nil {
		t.Fatal(err)
	}
	return &crm{t: t, sign: sign, mood: "well", seen: map[string]int{}}
}

func (c *crm) setMood(mood string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mood = mood
}

// asked waits until the CRM got requests in the mode.
func (c *crm) asked(mood string) {
	c.t.Helper()
	eventually(c.t, "a post while it is "+mood, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.seen[mood] > 0
	})
}

func (c *crm) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	c.mu.Lock()
	mood := c.mood
	c.seen[mood]++
	c.mu.Unlock()
	switch mood {
	case "broken":
		w.WriteHeader(http.StatusInternalServerError)
		return
	case "hanging":
		<-r.Context().Done()
		return
	case "elsewhere":
		http.Redirect(w, r, "http://127.0.0.1:1/other", http.StatusFound)
		return
	}
	if err := c.sign.Verify(body, r.Header); err != nil {
		c.t.Errorf("signature: %v", err)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var e pushedEvent
	if err := json.Unmarshal(body, &e); err != nil || e.ID != r.Header.Get("webhook-id") {
		c.t.Errorf("event %s: %v", body, err)
	}
	e.raw = string(body)
	c.mu.Lock()
	c.taken = append(c.taken, e)
	c.mu.Unlock()
	if mood == "verbose" {
		_, _ = w.Write(make([]byte, 5<<20)) // the router does not read to the end
	}
}

// events returns the taken events by conversation, without repeats.
func (c *crm) events() map[string][]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string][]int64{}
	for _, e := range c.taken {
		if id := e.Data.Conversation.ID; !slices.Contains(out[id], e.Seq) {
			out[id] = append(out[id], e.Seq)
		}
	}
	return out
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// pulled reads all events by position.
func (r *testRouter) pulled() (all []pushedEvent) {
	r.t.Helper()
	after := int64(0)
	for {
		var page struct {
			Items []json.RawMessage
			Pos   int64
		}
		r.ask(http.DefaultClient, r.URL(), http.MethodGet, fmt.Sprintf("/api/v1/events?after=%d&limit=200", after), &page)
		if len(page.Items) == 0 {
			return all
		}
		for _, item := range page.Items {
			e := pushedEvent{raw: string(item)}
			if err := json.Unmarshal(item, &e); err != nil {
				r.t.Fatal(err)
			}
			all = append(all, e)
		}
		after = page.Pos
	}
}

// complete waits until the events of so many messages can be pulled and all of them were
// taken, in order.
func (r *testRouter) complete(c *crm, messages int) {
	r.t.Helper()
	var want map[string][]int64
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		heard := 0
		want = map[string][]int64{}
		for _, e := range r.pulled() {
			want[e.Data.Conversation.ID] = append(want[e.Data.Conversation.ID], e.Seq)
			if e.Type == store.EventReceived {
				heard++
			}
		}
		if heard == messages && cmp.Equal(c.events(), want) {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%d of %d messages; taken (-got +want):\n%s\n%s", heard, messages, cmp.Diff(c.events(), want), r.logs)
		}
	}
}

// TestEventsReachTheCRM: in each of its modes the CRM gets every event, signed and in
// order, and pushed events equal pulled ones.
func TestEventsReachTheCRM(t *testing.T) {
	db := pgtest.New(t, pgtest.Options{})
	for name, extra := range map[string][]string{
		"embedded": nil,
		"servers":  {"PSI_REDIS_URL=" + redistest.Start(t, redistest.AOF...).URL(), "PSI_DATABASE_URL=" + db.URL(db.Database(t))},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCRM(t)
			server := httptest.NewUnstartedServer(c)
			addr := server.Listener.Addr().String()
			server.Start()
			env := append(extra, "PSI_SANDBOX=true", "PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR="+t.TempDir(),
				"PSI_ENDPOINTS_0_NAME=crm", "PSI_ENDPOINTS_0_URL=http://"+addr+"/events", "PSI_ENDPOINTS_0_SECRET="+crmSecret,
				"PSI_ENDPOINTS_0_ALLOW="+addr)
			r := startHurried(t, 20, env...)
			n := 0
			say := func(text string) {
				for i := range 4 {
					n++
					r.write(fmt.Sprintf("54911555506%02d", i), fmt.Sprintf("wamid.e%d", n), text)
				}
			}
			say("hola")
			r.complete(c, n)
			c.mu.Lock()
			first := slices.Clone(c.taken)
			c.mu.Unlock()
			for _, e := range first {
				if i := slices.IndexFunc(r.pulled(), func(p pushedEvent) bool { return p.ID == e.ID }); i < 0 {
					t.Errorf("event %s cannot be pulled", e.ID)
				} else if diff := cmp.Diff(asJSON(t, e.raw), asJSON(t, r.pulled()[i].raw)); diff != "" {
					t.Errorf("pushed and pulled differ (-pushed +pulled):\n%s", diff)
				}
			}
			for _, mood := range []string{"broken", "elsewhere", "verbose"} {
				c.setMood(mood)
				say("1")
				c.asked(mood)
				say("0")
			}
			c.setMood("well")
			r.complete(c, n)

			server.CloseClientConnections()
			server.Close() // unreachable
			say("1")
			eventually(t, "readyz tells of the endpoint and stays ready", func() bool {
				var ready struct {
					Status string
					Checks []observe.Result
				}
				r.ask(http.DefaultClient, r.URL(), http.MethodGet, "/readyz", &ready)
				i := slices.IndexFunc(ready.Checks, func(x observe.Result) bool { return x.Name == "endpoints" })
				return ready.Status == "ready" && i >= 0 && strings.Contains(ready.Checks[i].Error, "events:crm is held: the endpoint cannot be reached")
			})
			say("11")
			l, err := net.Listen("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			back := httptest.NewUnstartedServer(c)
			back.Listener.Close()
			back.Listener = l
			back.Start()
			defer back.Close()
			r.complete(c, n)
			r.stop()
		})
	}
}

func asJSON(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestPrivateEndpointNeedsAllow: a private endpoint is not called, and the error has the
// fix.
func TestPrivateEndpointNeedsAllow(t *testing.T) {
	c := newCRM(t)
	server := httptest.NewServer(c)
	defer server.Close()
	r := startHurried(t, 20, "PSI_SANDBOX=true", "PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR="+t.TempDir(),
		"PSI_ENDPOINTS_0_NAME=crm", "PSI_ENDPOINTS_0_URL="+server.URL, "PSI_ENDPOINTS_0_SECRET="+crmSecret)
	r.write("5491155550701", "wamid.1", "hola")
	r.messages("5491155550701", answered(1, ""))
	eventually(t, "the cure is said", func() bool {
		var status observe.Status
		r.ask(http.DefaultClient, r.URL(), http.MethodGet, "/status", &status)
		return len(status.Endpoints) == 1 && strings.Contains(status.Endpoints[0].HeldFor, "endpoints.0.allow")
	})
	r.stop()
	if len(c.seen) != 0 {
		t.Errorf("it was called: %v", c.seen)
	}
}

func TestStuckEndpoints(t *testing.T) {
	t.Parallel()
	now := time.Now()
	stats := []queue.Stats{
		{Name: job.EventQueue("held"), HeldUntil: now.Add(time.Second), HeldReason: "gone"},
		{Name: job.EventQueue("paused"), Paused: true},
		{Name: job.EventQueue("slow")},
		{Name: job.EventQueue("well")},
	}
	backlogs := map[string]store.Backlog{
		"slow": {Conversations: store.MaxBacklogCount, Oldest: now.Add(-time.Hour)}, "well": {Conversations: 3, Oldest: now.Add(-time.Minute)},
	}
	err := stuckEndpoints([]string{"held", "paused", "slow", "well", "new"}, stats, backlogs, now)
	want := "events:held is held: gone; events:paused is paused; events:slow events of at least 1000 conversations wait, the oldest for 1h0m0s"
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	if err := stuckEndpoints([]string{"well"}, stats, nil, now); !errors.Is(err, nil) {
		t.Errorf("got %v", err)
	}
}

package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/flows"
	"github.com/psivisionhub/psi-router/internal/api"
	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/queue/sqlitequeue"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store/sqlitestore"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// real is the API on the production engines.
type real struct {
	http.Handler
	store *sqlitestore.Store
	queue *sqlitequeue.Engine
}

func open(t *testing.T) real { t.Helper(); return openWith(t, func(*api.Options) {}) }

func openWith(t *testing.T, more func(*api.Options)) real {
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
	s, err := sqlitestore.Open(t.Context(), sqlitestore.Options{
		Path: filepath.Join(dir, "store.db"), Relaxed: true,
		Settings: unit.Settings{Rules: router.Rules{Flow: f, HandoffTimeout: 24 * time.Hour, Window: 24 * time.Hour}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	q, err := sqlitequeue.Open(t.Context(), sqlitequeue.Options{Path: filepath.Join(dir, "queue.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	var areas []flow.Area
	for _, id := range f.AreaOrder {
		areas = append(areas, f.Areas[id])
	}
	o := api.Options{Store: s, Queue: q, Keys: realKeys(), Areas: areas, Now: func() time.Time { return at(30) }}
	more(&o)
	h, err := api.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return real{h, s, q}
}

// realKeys are keys with the area as the shipped flow names it.
func realKeys() []api.Key {
	all := keys()
	for i := range all {
		if len(all[i].Areas) > 0 {
			all[i].Areas = []string{"ventas"}
		}
	}
	return all
}

// say lets a person write, one message a minute.
func (r real) say(t *testing.T, person int, line string, texts ...string) {
	t.Helper()
	for i, text := range texts {
		when := at(person + i)
		results, err := r.store.Turn(t.Context(), when, []inbound.Arrival{{
			Kind: inbound.Message, ID: fmt.Sprintf("wamid.%d/%d==", person, i), Line: line, LineRef: "2000", Provider: "cloud",
			Person: inbound.Person{Phone: fmt.Sprintf("549110000000%d", person), UserID: fmt.Sprintf("AR.%d", person), Name: "Persona"},
			SentAt: when, ReceivedAt: when, Content: &inbound.Content{Type: "text", Text: text}, Raw: []byte(`{}`),
		}})
		if err != nil || len(results) != 1 {
			t.Fatalf("turn: %v %v", results, err)
		}
	}
}

func read[T any](t *testing.T, h http.Handler, request, body string) T {
	t.Helper()
	got := ask(t, h, "admin", request, body)
	var v T
	if err := json.Unmarshal([]byte(got.body), &v); err != nil || got.status != 200 {
		t.Fatalf("%s: %d %v %s", request, got.status, err, got.body)
	}
	return v
}

func TestAConversationOnTheRealEngines(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.say(t, 1, "wsp4", "hola", "1", "11", "gracias")
	r.say(t, 2, "ventas", "hola")
	for {
		p, err := r.store.Pump(t.Context(), at(10))
		if err != nil {
			t.Fatal(err)
		}
		if !p.More {
			break
		}
	}

	list := read[api.ConversationPage](t, r, "GET /conversations?phone=%2B54+9+11+0000-0001", "")
	if len(list.Items) != 1 {
		t.Fatalf("by phone: %+v", list)
	}
	c := list.Items[0]
	if c.State != "handed_off" || c.Area != "admin" || c.Ticket == "" || c.Line != "wsp4" || c.WindowExpiresAt == nil || !c.WindowExpiresAt.Equal(at(4).Add(24*time.Hour)) {
		t.Errorf("conversation: %+v", c)
	}
	messages := read[api.MessagePage](t, r, "GET /conversations/"+c.ID+"/messages", "")
	var said []string
	for _, m := range messages.Items {
		said = append(said, m.Direction+" "+m.Reason)
		if m.Direction == "outbound" && (m.Text == "" || m.Status != "queued") {
			t.Errorf("reply: %+v", m)
		}
	}
	want := []string{"inbound first_contact", "outbound first_contact", "inbound menu_choice", "outbound menu_choice", "inbound handed_off", "outbound handed_off", "inbound handed_off_silent"}
	if diff := gocmp.Diff(said, want); diff != "" {
		t.Errorf("messages (-got +want):\n%s", diff)
	}
	var paged []string
	for cursor := ""; ; {
		page := read[api.MessagePage](t, r, "GET /conversations/"+c.ID+"/messages?limit=2&cursor="+url.QueryEscape(cursor), "")
		for _, m := range page.Items {
			paged = append(paged, m.Direction+" "+m.Reason)
		}
		if page.NextCursor == nil {
			break
		}
		cursor = *page.NextCursor
	}
	if diff := gocmp.Diff(paged, want); diff != "" {
		t.Errorf("messages page by page (-got +want):\n%s", diff)
	}

	for _, key := range []string{"5491100000001", "+54 9 11 0000-0001", "AR.1", "wamid.1/2==", c.Ticket, c.ID, messages.Items[2].ID} {
		found := read[api.Trace](t, r, "GET /trace/"+url.PathEscape(key), "")
		if len(found.Conversations) != 1 || found.Conversations[0].ID != c.ID || len(found.Messages) == 0 {
			t.Errorf("trace %s: %+v", key, found)
		}
	}
	for _, foreign := range []string{"nobody", "%00", "wamid.9", strings.Repeat("9", 300)} {
		if got := ask(t, r, "admin", "GET /trace/"+foreign, ""); got.status != 404 {
			t.Errorf("trace %s: %d %s", foreign, got.status, got.body)
		}
	}
	for _, request := range []string{"GET /conversations?cursor=nonsense", "GET /conversations?phone=x&user_id=y", "GET /conversations?line=nowhere"} {
		if got := ask(t, r, "admin", request, ""); got.status != 200 {
			t.Errorf("%s: %d %s", request, got.status, got.body)
		}
	}

	events := read[api.EventPage](t, r, "GET /events", "")
	if len(events.Items) < 8 || events.NextCursor != nil || events.Pos != events.Items[len(events.Items)-1].Pos {
		t.Fatalf("events: %+v", events)
	}
	// A program reads answers and events with one set of types.
	data, err := json.Marshal(events.Items)
	if err != nil {
		t.Fatal(err)
	}
	var snapshots []struct {
		Seq  int64
		Data struct{ Conversation, Message map[string]any }
	}
	if err := json.Unmarshal(data, &snapshots); err != nil {
		t.Fatal(err)
	}
	conv := read[map[string]any](t, r, "GET /conversations/"+c.ID, "")
	delete(conv, "left") // computed after the event
	message := read[struct{ Items []map[string]any }](t, r, "GET /conversations/"+c.ID+"/messages", "").Items[0]
	for _, s := range snapshots {
		if diff := gocmp.Diff(names(s.Data.Conversation), names(conv)); diff != "" {
			t.Fatalf("conversation in an event and in the API (-event +api):\n%s", diff)
		}
		if s.Data.Message != nil {
			if diff := gocmp.Diff(names(s.Data.Message), names(message)); diff != "" {
				t.Fatalf("message in an event and in the API (-event +api):\n%s", diff)
			}
		}
	}
	if got, _ := ids(t, ask(t, r, "shop", "GET /events", "")); len(got) == 0 || len(got) >= len(events.Items) {
		t.Errorf("events of one line: %v", got)
	}
}

// dump is everything that a program can read.
func (r real) dump(t *testing.T) (all []string) {
	t.Helper()
	if _, err := r.store.Pump(t.Context(), at(30)); err != nil {
		t.Fatal(err)
	}
	look := func(request string) string {
		got := ask(t, r, "admin", request, "")
		if got.status != 200 {
			t.Fatalf("%s: %d %s", request, got.status, got.body)
		}
		all = append(all, request+" "+got.body)
		return got.body
	}
	var list api.ConversationPage
	if err := json.Unmarshal([]byte(look("GET /conversations?limit=200")), &list); err != nil {
		t.Fatal(err)
	}
	for _, c := range list.Items {
		look("GET /conversations/" + c.ID + "/messages?limit=200")
	}
	for _, request := range []string{"GET /events?limit=200", "GET /audit?limit=200", "GET /queues", "GET /dead-letters?limit=200"} {
		look(request)
	}
	return all
}

func names(v map[string]any) []string { return slices.Sorted(maps.Keys(v)) }

func TestCommandsOnTheRealEngines(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.say(t, 1, "wsp4", "hola")
	c := read[api.ConversationPage](t, r, "GET /conversations", "").Items[0]
	epoch := c.Epoch
	for _, step := range []struct {
		verb, body, state, area string
		grows                   bool
	}{
		{"handoff", `{"area":"administracion","tag":"pagos","reason":"pide"}`, "handed_off", "admin", true},
		{"handoff", `{"area":"ventas"}`, "handed_off", "ventas", true},
		{"close", `{"reason":"listo"}`, "closed", "", true},
		{"close", "", "closed", "", false},
		{"reopen", "", "menu", "", true},
		{"disconnect", "", "disconnected", "", true},
		{"disconnect", "", "disconnected", "", false},
		{"reconnect", "", "menu", "", true},
		{"disconnect", "", "disconnected", "", true},
		{"reset", "", "menu", "", true},
		{"reset", "", "menu", "", false},
	} {
		c = read[api.Conversation](t, r, "POST /conversations/"+c.ID+"/"+step.verb, step.body)
		if c.State != step.state || c.Area != step.area || (c.Epoch > epoch) != step.grows {
			t.Errorf("%s: %+v (epoch was %d)", step.verb, c, epoch)
		}
		epoch = c.Epoch
	}
	got := ask(t, r, "admin", "POST /conversations/"+c.ID+"/reconnect", "")
	if got.status != 200 && got.status != 409 {
		t.Errorf("reconnect while in the menu: %d %s", got.status, got.body)
	}
	found := read[api.Trace](t, r, "GET /trace/"+c.ID, "")
	if len(found.Handoffs) != 2 || found.Handoffs[0].Ticket == "" || found.Handoffs[0].Ticket != found.Handoffs[1].Ticket || found.Handoffs[0].By != "boss" {
		t.Errorf("hand-offs: %+v", found.Handoffs)
	}
	if len(found.Audit) != 8 || found.Audit[0].Actor != "boss" {
		t.Errorf("audit: %+v", found.Audit)
	}
}

// TestPeopleLeftWithoutAnswer: the list of people without an answer, and how a person leaves it.
func TestPeopleLeftWithoutAnswer(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.say(t, 1, "wsp4", "hola")
	results, err := r.store.Turn(t.Context(), at(20), []inbound.Arrival{{
		Kind: inbound.Message, ID: "late", Line: "wsp4", LineRef: "2000", Provider: "cloud", Late: true,
		Person: inbound.Person{Phone: "5491100000002"}, ReceivedAt: at(20), Content: &inbound.Content{Type: "text", Text: "hola"}, Raw: []byte(`{}`),
	}})
	if err != nil {
		t.Fatal(err)
	}
	id := results[0].Conversation
	list := func() []api.Conversation {
		t.Helper()
		return read[api.ConversationPage](t, r, "GET /conversations?left=true", "").Items
	}
	got := list()
	if len(got) != 1 || got[0].ID != id || got[0].Left == nil || got[0].Left.Reason != "late" || !got[0].Left.Since.Equal(at(20)) {
		t.Fatalf("got %+v", got)
	}
	if all := read[api.ConversationPage](t, r, "GET /conversations?left=false", "").Items; len(all) != 2 {
		t.Errorf("left=false: got %d", len(all))
	}
	for range 2 {
		if c := read[api.Conversation](t, r, "POST /conversations/"+id+"/left/dismiss", `{"reason":"prueba"}`); c.Left != nil {
			t.Errorf("dismissed: got %+v", c.Left)
		}
	}
	if got := list(); len(got) != 0 {
		t.Errorf("got %+v", got)
	}
	audit := read[api.Trace](t, r, "GET /trace/"+id, "").Audit
	if len(audit) != 1 || audit[0].Action != "left_dismissed" || audit[0].Detail != "note=prueba" {
		t.Errorf("audit: %+v", audit)
	}
}

// TestADisconnectedConversationKeepsItsTeam: a team still sees its conversation when only
// the bot was disconnected.
func TestADisconnectedConversationKeepsItsTeam(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.say(t, 1, "wsp4", "hola")
	id := read[api.ConversationPage](t, r, "GET /conversations", "").Items[0].ID
	read[api.Conversation](t, r, "POST /conversations/"+id+"/handoff", `{"area":"ventas"}`)
	read[api.Conversation](t, r, "POST /conversations/"+id+"/disconnect", "")
	for key, request := range map[string]string{"admin": "GET /conversations?area=ventas", "sales": "GET /conversations"} {
		if got, _ := ids(t, ask(t, r, key, request, "")); !slices.Equal(got, []string{id}) {
			t.Errorf("%s as %s: got %v", request, key, got)
		}
	}
}

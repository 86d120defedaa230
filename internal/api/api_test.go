package api_test

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/api"
	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/queuetest"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

func update(t *testing.T) bool { t.Helper(); return flag.Lookup("update").Value.String() == "true" }

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write golden files anew")
	flag.Parse()
	os.Exit(m.Run())
}

func at(minute int) time.Time { return time.Date(2026, 11, 24, 10, minute, 0, 0, time.UTC) }

// fakeStore is a store that holds exactly the rows of a test.
type fakeStore struct {
	conversations []store.Conversation
	messages      []store.Message
	events        []store.Event
	trace         store.Trace
	err           error
	commands      []store.Command
	notes         []store.AuditRow
	paused        []string // queues
}

func (r *fakeStore) Conversations(_ context.Context, f store.Filter) ([]store.Conversation, error) {
	var out []store.Conversation
	for _, c := range slices.SortedFunc(slices.Values(r.conversations), func(a, b store.Conversation) int { return cmp.Compare(b.Cursor, a.Cursor) }) {
		fits := (f.Line == "" || f.Line == c.Line) && (f.Area == "" || f.Area == c.Area) && (f.State == "" || f.State == c.State) &&
			(f.Contact == "" || f.Contact == c.Contact.ID) && (f.Phone == "" || f.Phone == c.Contact.Phone) && (f.UserID == "" || f.UserID == c.Contact.UserID) && (f.Before == "" || c.Cursor < f.Before)
		if fits && len(out) < f.Limit {
			out = append(out, c)
		}
	}
	return out, r.err
}

func (r *fakeStore) Conversation(_ context.Context, id string) (store.Conversation, error) {
	for _, c := range r.conversations {
		if c.ID == id {
			return c, r.err
		}
	}
	return store.Conversation{}, cmp.Or(r.err, store.ErrNotFound)
}

func (r *fakeStore) Messages(_ context.Context, id, after string, limit int) ([]store.Message, error) {
	var out []store.Message
	for _, m := range r.messages {
		if m.Conversation == id && m.ID > after && len(out) < limit {
			out = append(out, m)
		}
	}
	return out, r.err
}

func (r *fakeStore) Events(_ context.Context, after int64, limit int) ([]store.Event, error) {
	var page store.EventPage
	for _, e := range r.events {
		if e.Pos > after && len(page.Events) < limit && !page.Full() {
			page.Add(e)
		}
	}
	return page.Events, r.err
}

func (r *fakeStore) Trace(_ context.Context, key string) (store.Trace, error) {
	if key == "wamid.a/b==" || key == "5491100000001" {
		return r.trace, r.err
	}
	return store.Trace{}, cmp.Or(r.err, store.ErrNotFound)
}

func (r *fakeStore) Command(_ context.Context, _ time.Time, cmd store.Command) (store.CommandResult, error) {
	for i := range r.conversations {
		c := &r.conversations[i]
		if c.ID != cmd.Conversation && (cmd.To == nil || cmd.To.Line != c.Line) {
			continue
		}
		if r.err != nil {
			return store.CommandResult{}, r.err
		}
		if cmd.CanSee != nil && !cmd.CanSee(*c) {
			return store.CommandResult{}, store.ErrNotFound
		}
		cmd.CanSee = nil
		r.commands = append(r.commands, cmd)
		c.Epoch++
		done := store.CommandResult{Conversation: *c}
		if cmd.Draft != nil {
			done.Message = &store.Message{
				ID: "m9", Conversation: c.ID, Line: c.Line, Direction: "outbound", Author: store.AuthorAgent, Type: cmd.Draft.Type,
				Text: cmd.Draft.Text, Media: cmd.Draft.Media, Status: store.Queued, Reason: router.ByAgent, CreatedAt: at(5),
			}
		}
		return done, nil
	}
	return store.CommandResult{}, store.ErrNotFound
}

func (r *fakeStore) AddAudit(_ context.Context, row store.AuditRow) error {
	r.notes = append(r.notes, row)
	return r.err
}

func (r *fakeStore) SetPaused(_ context.Context, queue string, paused bool) error {
	r.paused = slices.DeleteFunc(r.paused, func(name string) bool { return name == queue })
	if paused {
		r.paused = append(r.paused, queue)
	}
	return r.err
}

func (r *fakeStore) Audit(_ context.Context, before string, limit int) ([]store.AuditEntry, error) {
	var out []store.AuditEntry
	for i, a := range slices.Backward(r.trace.Audit) {
		e := store.AuditEntry{AuditRow: a, Cursor: strconv.Itoa(i + 1)}
		for _, c := range r.conversations {
			if c.ID == a.Conversation {
				e.Line, e.Area = c.Line, c.Area
			}
		}
		if (before == "" || e.Cursor < before) && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, r.err
}

func conversation(id, line, area string, minute int) store.Conversation {
	c := store.Conversation{
		ID: id, Cursor: at(minute).Format(time.RFC3339) + id,
		Contact:       store.Contact{ID: "p-" + id, Phone: "5491100000001", UserID: "AR.1", Name: "Persona Prueba", Username: "persona"},
		LastMessageAt: at(minute), CreatedAt: at(0),
	}
	c.Conversation = router.Conversation{State: router.StateMenu, Line: line, Area: area, Menu: "principal", Epoch: 1, LastInbound: at(minute)}
	if area != "" {
		c.State, c.Tag, c.Ticket = router.StateHandedOff, "pagos", "PSI-2026-000123"
	}
	return c
}

// sampleStore has three conversations on two lines.
func sampleStore() *fakeStore {
	w := &fakeStore{conversations: []store.Conversation{
		conversation("c1", "wsp4", "admin", 3), conversation("c2", "wsp4", "ventas", 2), conversation("c3", "ventas", "", 1),
	}}
	w.messages = []store.Message{
		{
			ID: "m1", Conversation: "c1", Line: "wsp4", Direction: "inbound", Author: store.AuthorContact, Type: "image", Text: "mirá",
			Media:   &store.Media{Media: inbound.Media{MIME: "image/jpeg", Size: 7, Name: "a.jpg", URL: "https://lookaside/secret"}, State: "ready", Path: "ab/cd"},
			ReplyID: "r", QuotedID: "wamid.q", Reactions: []store.Reaction{{Author: store.AuthorAgent, Emoji: "👍"}},
			ProviderID: "wamid.a/b==", Status: store.Received, Reason: router.FirstContact, SentAt: at(1), ReceivedAt: at(1), CreatedAt: at(2),
		},
		{
			ID: "m2", Conversation: "c1", Line: "wsp4", Direction: "outbound", Author: store.AuthorRouter, Type: "text",
			Body: outbound.Body{Reply: &router.Reply{Text: "¡Hola!"}}, Status: store.Failed, Reason: router.WindowClosed,
			ErrorCode: 131047, ErrorDetail: "Re-engagement message", CreatedAt: at(3),
		},
	}
	for i, c := range w.conversations {
		data := `{"conversation":{"id":"` + c.ID + `","line":"` + c.Line + `","area":"` + c.Area + `"}}`
		w.events = append(w.events, store.Event{ID: "e" + c.ID, Conversation: c.ID, Type: "conversation.opened", Seq: 1, Pos: int64(i + 5), Data: []byte(data), CreatedAt: at(i)})
	}
	w.trace = store.Trace{
		Conversations: w.conversations[:2], Messages: w.messages,
		Handoffs: []store.HandoffRow{{Conversation: "c1", Ticket: "PSI-2026-000123", Area: "admin", Tag: "pagos", By: "router", At: at(2)}},
		Audit:    []store.AuditRow{{Conversation: "c2", Actor: "crm", Action: "close", At: at(2)}},
		Records:  []store.Record{{ID: "x1", Kind: inbound.Unknown, LineRef: "999", Reason: router.UnknownLine, Raw: []byte(`{"a":1}`), ReceivedAt: at(1)}},
	}
	return w
}

// engine returns a queue with three dead letters: two of lines, one of neither.
func engine(t *testing.T) *queuetest.Model {
	t.Helper()
	q := queuetest.NewModel(func() time.Time { return at(5) })
	addDeadLetter(t, q, queue.Job{Queue: "inbound", Lane: "wsp4:AR.1", ID: "message:1", Body: []byte(`{"id":"wamid.x"}`)}, "decode: boom")
	addDeadLetter(t, q, queue.Job{Queue: "send:ventas", Lane: "c3", ID: "s", Body: []byte("not json")}, "refused")
	addDeadLetter(t, q, queue.Job{Queue: "media", Lane: "m1", ID: "f", Body: []byte(`{}`)}, "decode: gone")
	if _, err := q.Enqueue(t.Context(), []queue.Job{{Queue: "send:wsp4", Lane: "c1"}, {Queue: "events:crm", Lane: "c1"}}); err != nil {
		t.Fatal(err)
	}
	return q
}

func addDeadLetter(t *testing.T, q queue.Queue, j queue.Job, why string) {
	t.Helper()
	if _, err := q.Enqueue(t.Context(), []queue.Job{j}); err != nil {
		t.Fatal(err)
	}
	b, err := q.Exchange(t.Context(), j.Queue, nil, 1, time.Minute)
	if err != nil || len(b.Claims) != 1 {
		t.Fatalf("claim %s: %v %v", j.Queue, b, err)
	}
	c := b.Claims[0]
	if _, err := q.Exchange(t.Context(), j.Queue, []queue.Outcome{{Lane: c.Lane, Token: c.Token, Verdict: queue.Dead, Err: why}}, 0, time.Minute); err != nil {
		t.Fatal(err)
	}
}

func teams() []flow.Area {
	return []flow.Area{{ID: "admin", Name: "Administración", Aliases: []string{"administracion"}}, {ID: "ventas", Name: "Ventas"}, {ID: "revisar", Name: "Revisar"}}
}

func keys() []api.Key {
	return []api.Key{
		{Name: "reader", Secrets: []string{"reader"}, Role: api.Viewer},
		{Name: "crm", Secrets: []string{"old", "agent"}, Role: api.Agent},
		// sha256 of "admin"
		{Name: "boss", Secrets: []string{"sha256:8c6976e5b5410415bde908bd4dee15dfb167a9c873fc4bb8a81f6f2ab448a918"}, Role: api.Admin},
		{Name: "sales", Secrets: []string{"sales"}, Role: api.Agent, Areas: []string{"Ventas"}},
		{Name: "shop", Secrets: []string{"shop"}, Role: api.Admin, Lines: []string{"ventas"}},
	}
}

func serve(t *testing.T, o api.Options) http.Handler {
	t.Helper()
	if o.Store == nil {
		o.Store = sampleStore()
	}
	if o.Queue == nil {
		o.Queue = engine(t)
	}
	if o.Keys == nil {
		o.Keys = keys()
	}
	o.Areas, o.Version = teams(), "1.2.3"
	o.Now = func() time.Time { return at(5) }
	h, err := api.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) code(t *testing.T) string {
	t.Helper()
	var p api.Problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatalf("not a problem: %s", a.body)
	}
	if p.Status != a.status || p.Detail == "" || p.Title == "" || a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("problem is incomplete: %d %v %s", a.status, a.header, a.body)
	}
	return p.Code
}

// ask sends "METHOD path" with a key ("" for none).
func ask(t *testing.T, h http.Handler, key, request, body string) answer {
	t.Helper()
	method, path, _ := strings.Cut(request, " ")
	if !strings.HasPrefix(path, "/openapi") && !strings.HasPrefix(path, "/api") {
		path = api.Prefix + path
	}
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, path, reader)
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

// endpoints lists every operation with a request that works for the key "boss".
var endpoints = []struct {
	what, body string
	role       api.Role
	foreign    string // the same request about something that does not exist
}{
	{"GET /conversations", "", api.Viewer, ""},
	{"GET /conversations/c1", "", api.Viewer, "GET /conversations/zz"},
	{"GET /conversations/c1/messages", "", api.Viewer, "GET /conversations/zz/messages"},
	{"GET /queues", "", api.Viewer, ""},
	{"GET /dead-letters", "", api.Viewer, ""},
	{"GET /dead-letters/1", "", api.Viewer, "GET /dead-letters/99"},
	{"GET /events", "", api.Viewer, ""},
	{"GET /trace/wamid.a%2Fb==", "", api.Viewer, "GET /trace/zz"},
	{"GET /reasons", "", api.Viewer, ""},
	{"GET /areas", "", api.Viewer, ""},
	{"GET /audit", "", api.Admin, ""},
	{"POST /conversations/c1/messages", `{"type":"text","text":{"body":"hola"}}`, api.Agent, "POST /conversations/zz/messages"},
	{"POST /messages", `{"line":"wsp4","phone":"+54 9 11 0000-0001","type":"text","text":{"body":"hola"}}`, api.Agent, ""},
	{"POST /conversations/c1/handoff", `{"area":"Administracion","tag":"pagos","reason":"pide"}`, api.Agent, "POST /conversations/zz/handoff"},
	{"POST /conversations/c1/close", "", api.Agent, "POST /conversations/zz/close"},
	{"POST /conversations/c1/reopen", `{"reason":"x"}`, api.Agent, "POST /conversations/zz/reopen"},
	{"POST /conversations/c1/disconnect", "{}", api.Agent, "POST /conversations/zz/disconnect"},
	{"POST /conversations/c1/reconnect", "", api.Agent, "POST /conversations/zz/reconnect"},
	{"POST /conversations/c1/reset", "", api.Agent, "POST /conversations/zz/reset"},
	{"POST /contacts/p-c1/block", `{"reason":"amenazas"}`, api.Agent, "POST /contacts/zz/block"},
	{"POST /contacts/p-c1/unblock", "", api.Agent, "POST /contacts/zz/unblock"},
	{"POST /conversations/c1/left/dismiss", "", api.Agent, "POST /conversations/zz/left/dismiss"},
	{"POST /queues/send:wsp4/pause", "", api.Admin, "POST /queues/send:zz/pause"},
	{"POST /queues/send:wsp4/resume", "", api.Admin, "POST /queues/send:zz/resume"},
	{"POST /dead-letters/redrive", `{"ids":[1]}`, api.Admin, ""},
	{"POST /dead-letters/drop", `{"ids":[2,99]}`, api.Admin, ""},
}

func TestEveryEndpointGuardsItself(t *testing.T) {
	t.Parallel()
	holders := map[api.Role]string{api.Viewer: "reader", api.Agent: "agent", api.Admin: "admin"}
	below := map[api.Role]string{api.Agent: "reader", api.Admin: "agent"}
	huge := `{"reason":"` + strings.Repeat("x", 300<<10) + `"}`
	for _, e := range endpoints {
		t.Run(e.what, func(t *testing.T) {
			t.Parallel()
			h := serve(t, api.Options{})
			check := func(key, request, body string, status int, code string) {
				t.Helper()
				got := ask(t, h, key, request, body)
				if got.status != status {
					t.Fatalf("%s as %q: got %d, want %d: %s", request, key, got.status, status, got.body)
				}
				if code != "" {
					if c := got.code(t); c != code {
						t.Errorf("%s as %q: got code %s, want %s", request, key, c, code)
					}
				}
				if status == http.StatusUnauthorized && got.header.Get("WWW-Authenticate") == "" {
					t.Error("401 without WWW-Authenticate")
				}
			}
			check("", e.what, e.body, 401, "unauthorized")
			check("wrong", e.what, e.body, 401, "unauthorized")
			check("sha256:8c6976e5b5410415bde908bd4dee15dfb167a9c873fc4bb8a81f6f2ab448a918", e.what, e.body, 401, "unauthorized")
			if low, ok := below[e.role]; ok {
				check(low, e.what, e.body, 403, "forbidden")
			}
			if e.foreign != "" {
				check("admin", e.foreign, e.body, 404, "not_found")
			}
			if strings.HasPrefix(e.what, "POST") && !strings.Contains(e.what, "/queues/") {
				check("admin", e.what, `{"ids":`, 400, "broken_json")
				check("admin", e.what, `{"nonsense":1}`, 422, "invalid_request")
				check("admin", e.what, huge, 413, "too_large")
			}
			if strings.HasPrefix(e.what, "GET") {
				check("admin", e.what+"?nonsense=1", "", 422, "invalid_request")
			}
			want := 200
			if strings.HasSuffix(e.what, "/messages") && strings.HasPrefix(e.what, "POST") {
				want = 201
			}
			check(holders[e.role], e.what, e.body, want, "")
			h = serve(t, api.Options{}) // dead letters move once
			check("admin", e.what, e.body, want, "")
		})
	}
}

func TestOutsideTheScopeNothingExists(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key, what, body string
		want            int
	}{
		{"sales", "GET /conversations/c1", "", 404},
		{"sales", "GET /conversations/c2", "", 200},
		{"sales", "GET /conversations/c3", "", 404}, // no area: no team's yet
		{"sales", "GET /conversations/c1/messages", "", 404},
		{"sales", "POST /conversations/c1/close", "", 404},
		{"sales", "POST /conversations/c2/close", "", 200},
		{"sales", "POST /conversations/c2/handoff", `{"area":"admin"}`, 200}, // a hand-off may leave the key's teams
		{"sales", "GET /dead-letters/1", "", 404},
		{"shop", "GET /conversations/c1", "", 404},
		{"shop", "GET /conversations/c3", "", 200},
		{"shop", "GET /dead-letters/1", "", 404},
		{"shop", "GET /dead-letters/2", "", 200},
		{"shop", "GET /dead-letters/3", "", 404},
		{"shop", "POST /queues/send:wsp4/pause", "", 404},
		{"shop", "POST /queues/inbound/pause", "", 404},
		{"shop", "POST /queues/send:ventas/pause", "", 200},
		{"shop", "POST /dead-letters/drop", `{"ids":[1]}`, 404},
		{"shop", "POST /dead-letters/drop", `{"ids":[2]}`, 200},
		{"shop", "POST /dead-letters/redrive", `{"ids":[2,1]}`, 404},
		{"shop", "GET /trace/5491100000001", "", 404},
		{"sales", "GET /trace/5491100000001", "", 200},
	} {
		if got := ask(t, serve(t, api.Options{}), c.key, c.what, c.body); got.status != c.want {
			t.Errorf("%s %s: got %d, want %d: %s", c.key, c.what, got.status, c.want, got.body)
		}
	}
}

// ids picks the ids (or names) of a list, and its cursor.
func ids(t *testing.T, a answer) (list []string, cursor string) {
	t.Helper()
	var v struct {
		Items []struct {
			ID   any    `json:"id"`
			Name string `json:"name"`
		} `json:"items"`
		Next *string `json:"next_cursor"`
	}
	if err := json.Unmarshal([]byte(a.body), &v); err != nil || a.status != 200 {
		t.Fatalf("%d %v: %s", a.status, err, a.body)
	}
	for _, item := range v.Items {
		switch id := item.ID.(type) {
		case string:
			list = append(list, id)
		case float64:
			list = append(list, string(rune('0'+int(id))))
		default:
			list = append(list, item.Name)
		}
	}
	if v.Next != nil {
		cursor = *v.Next
	}
	return list, cursor
}

func TestListsShowTheScopeAndPage(t *testing.T) {
	t.Parallel()
	h := serve(t, api.Options{})
	for _, c := range []struct {
		key, what string
		want      []string
	}{
		{"reader", "GET /conversations", []string{"c1", "c2", "c3"}},
		{"reader", "GET /conversations?area=administracion", []string{"c1"}},
		{"reader", "GET /conversations?area=Administraci%C3%B3n", []string{"c1"}},
		{"reader", "GET /conversations?state=menu", []string{"c3"}},
		{"reader", "GET /conversations?line=wsp4&state=handed_off", []string{"c1", "c2"}},
		{"reader", "GET /conversations?phone=5491100000001&limit=200", []string{"c1", "c2", "c3"}},
		{"reader", "GET /conversations?user_id=nobody", nil},
		{"reader", "GET /conversations?user_id=%00", nil},
		{"sales", "GET /conversations", []string{"c2"}},
		{"sales", "GET /conversations?area=admin", nil},
		{"shop", "GET /conversations", []string{"c3"}},
		{"shop", "GET /conversations?line=wsp4", nil},
		{"reader", "GET /queues", []string{"events:crm", "inbound", "media", "send:ventas", "send:wsp4"}},
		{"shop", "GET /queues", []string{"inbound", "media", "send:ventas"}},
		{"reader", "GET /dead-letters", []string{"3", "2", "1"}},
		{"reader", "GET /dead-letters?queue=inbound", []string{"1"}},
		{"shop", "GET /dead-letters", []string{"2"}},
		{"sales", "GET /dead-letters", nil},
		{"reader", "GET /events?after=5", []string{"ec2", "ec3"}},
		{"sales", "GET /events", []string{"ec2"}},
	} {
		if got, _ := ids(t, ask(t, h, c.key, c.what, "")); !slices.Equal(got, c.want) {
			t.Errorf("%s %s: got %v, want %v", c.key, c.what, got, c.want)
		}
	}
	for request, want := range map[string][]string{
		"GET /conversations?limit=1":             {"c1", "c2", "c3"},
		"GET /conversations?limit=2":             {"c1", "c2", "c3"},
		"GET /conversations/c1/messages?limit=1": {"m1", "m2"},
		"GET /dead-letters?limit=1":              {"3", "2", "1"},
		"GET /events?limit=1":                    {"ec1", "ec2", "ec3"},
	} {
		var got []string
		next, param := "", "&cursor="
		if strings.Contains(request, "/events") {
			param = "&after="
		}
		for {
			path := request
			if next != "" {
				path += param + next
			}
			var page []string
			if page, next = ids(t, ask(t, h, "reader", path, "")); len(page) > 2 {
				t.Fatalf("%s: %v", path, page)
			}
			got = append(got, page...)
			if next == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s, page by page: got %v, want %v", request, got, want)
		}
	}
	for _, bad := range []string{"/conversations?limit=0", "/conversations?limit=201", "/conversations?limit=x", "/conversations?state=x", "/conversations?area=x", "/events?after=-1", "/dead-letters?cursor=x", "/dead-letters/x"} {
		if got := ask(t, h, "reader", "GET "+bad, ""); got.status != 422 {
			t.Errorf("%s: got %d %s", bad, got.status, got.body)
		}
	}
}

func TestShapes(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{
		"conversations": "GET /conversations?limit=2", "conversation": "GET /conversations/c1",
		"messages": "GET /conversations/c1/messages", "queues": "GET /queues", "dead-letters": "GET /dead-letters?limit=1",
		"dead-letter": "GET /dead-letters/1", "dead-letter-text": "GET /dead-letters/2",
		"events": "GET /events", "trace": "GET /trace/wamid.a%2Fb==", "not-found": "GET /conversations/zz",
	} {
		got := ask(t, serve(t, api.Options{}), "admin", request, "")
		var v any
		if err := json.Unmarshal([]byte(got.body), &v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		pretty, _ := json.MarshalIndent(v, "", "  ")
		file := filepath.Join("testdata", name+".json")
		if update(t) {
			if err := os.WriteFile(file, append(pretty, '\n'), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(string(pretty)+"\n", string(want)); diff != "" {
			t.Errorf("%s (-got +want):\n%s", name, diff)
		}
	}
}

func TestCommandsReachTheStore(t *testing.T) {
	t.Parallel()
	w := sampleStore()
	var woken []string
	h := serve(t, api.Options{Store: w, Wake: func(_ context.Context, line, id string) { woken = append(woken, line+" "+id) }})
	ask(t, h, "agent", "POST /conversations/c1/handoff", `{"area":" Administracion ","tag":"pagos","reason":"pide"}`)
	ask(t, h, "old", "POST /conversations/c2/close", `{"reason":"listo"}`)
	got := ask(t, h, "agent", "POST /conversations/c2/handoff", `{"area":"cocina"}`)
	if got.status != 422 || got.code(t) != "unknown_area" || !strings.Contains(got.body, "admin, ventas, revisar") {
		t.Errorf("unknown area: %d %s", got.status, got.body)
	}
	want := []store.Command{
		{Conversation: "c1", Actor: "crm", Command: router.Command{Kind: router.CommandHandoff, Area: "admin", Tag: "pagos", Note: "pide"}},
		{Conversation: "c2", Actor: "crm", Command: router.Command{Kind: router.CommandClose, Note: "listo"}},
	}
	if diff := gocmp.Diff(w.commands, want); diff != "" {
		t.Errorf("commands (-got +want):\n%s", diff)
	}
	if diff := gocmp.Diff(woken, []string{"wsp4 c1", "wsp4 c2"}); diff != "" {
		t.Errorf("woken (-got +want):\n%s", diff)
	}
	trusted := serve(t, api.Options{Store: w, Trusted: true})
	if got := ask(t, trusted, "", "POST /conversations/c3/reset", ""); got.status != 200 || w.commands[2].Actor != "cli" {
		t.Errorf("trusted: %d %v", got.status, w.commands)
	}
}

func TestErrorsHaveACodeAndACure(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{store.ErrUnavailable, 503, "unavailable"},
		{fmt.Errorf("command close: %w", store.ErrBusy), 503, "busy"},
		{store.ErrConflict, 409, "conflict"},
		{io.ErrUnexpectedEOF, 500, "internal"},
	} {
		w := sampleStore()
		w.err = c.err
		got := ask(t, serve(t, api.Options{Store: &failing{w}}), "agent", "POST /conversations/c1/close", "")
		if got.status != c.status || got.code(t) != c.code || strings.Contains(got.body, "EOF") {
			t.Errorf("%v: got %d %s", c.err, got.status, got.body)
		}
		if retry := got.header.Get("Retry-After"); (retry != "") != (c.status == 503) {
			t.Errorf("%v: Retry-After %q", c.err, retry)
		}
	}
	h := serve(t, api.Options{})
	for request, status := range map[string]int{"GET /nothing": 404, "POST /conversations": 405, "GET /conversations/c1/close": 405, "GET /api/v2/x": 404} {
		got := ask(t, h, "admin", request, "")
		if got.status != status || (status == 405) != (got.header.Get("Allow") != "") {
			t.Errorf("%s: %d %v %s", request, got.status, got.header, got.body)
		}
		got.code(t)
	}
}

// failing is a store that reads and fails to command.
type failing struct{ *fakeStore }

func (f *failing) Conversation(ctx context.Context, id string) (store.Conversation, error) {
	r := *f.fakeStore
	r.err = nil
	return r.Conversation(ctx, id)
}

func TestRedriveByFilter(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{`{"queue":"inbound"}`: 1, `{"reason":"decode"}`: 2, `{"queue":"media","reason":"boom"}`: 0, `{"ids":[1,2,3,4]}`: 3} {
		q := engine(t)
		got := ask(t, serve(t, api.Options{Queue: q}), "admin", "POST /dead-letters/redrive", body)
		var r api.Redriven
		if err := json.Unmarshal([]byte(got.body), &r); err != nil || got.status != 200 || r.Redriven != want {
			t.Errorf("%s: got %d %s, want %d", body, got.status, got.body, want)
		}
		left, err := q.Dead(t.Context(), "", 0, 10)
		if err != nil || len(left) != 3-want {
			t.Errorf("%s: left %v %v", body, left, err)
		}
	}
	for _, body := range []string{`{}`, `{"ids":[]}`, `{"ids":[1],"queue":"inbound"}`} {
		if got := ask(t, serve(t, api.Options{}), "admin", "POST /dead-letters/redrive", body); got.status != 422 {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
}

func TestReasonsAreAllThere(t *testing.T) {
	t.Parallel()
	var list api.ReasonList
	if err := json.Unmarshal([]byte(ask(t, serve(t, api.Options{}), "reader", "GET /reasons", "").body), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != len(router.Reasons()) {
		t.Errorf("got %d reasons, want %d", len(list.Items), len(router.Reasons()))
	}
	for _, r := range list.Items {
		if r.Reason == "" || r.ES == "" || r.EN == "" || r.ES == r.EN {
			t.Errorf("incomplete: %+v", r)
		}
	}
}

func TestALineWithoutWindowNeverExpires(t *testing.T) {
	t.Parallel()
	h := serve(t, api.Options{Windowless: []string{"ventas"}})
	for id, want := range map[string]bool{"c1": true, "c3": false} {
		var c api.Conversation
		if err := json.Unmarshal([]byte(ask(t, h, "reader", "GET /conversations/"+id, "").body), &c); err != nil {
			t.Fatal(err)
		}
		if (c.WindowExpiresAt != nil) != want {
			t.Errorf("%s: window %v", id, c.WindowExpiresAt)
		}
	}
}

func TestPauseShowsInTheQueue(t *testing.T) {
	t.Parallel()
	h := serve(t, api.Options{})
	for verb, want := range map[string]bool{"pause": true, "resume": false} {
		got := ask(t, h, "admin", "POST /queues/send:wsp4/"+verb, "")
		var q api.Queue
		if err := json.Unmarshal([]byte(got.body), &q); err != nil || q.Paused != want {
			t.Errorf("%s: %s", verb, got.body)
		}
	}
}

func TestKeysAreCheckedAtStart(t *testing.T) {
	t.Parallel()
	for want, k := range map[string]api.Key{
		"no name":      {Secrets: []string{"x"}, Role: api.Viewer},
		"role":         {Name: "a", Secrets: []string{"x"}, Role: "root"},
		"no value":     {Name: "a", Role: api.Viewer},
		"everybody":    {Name: "a", Secrets: []string{""}, Role: api.Viewer},
		"64 hex":       {Name: "a", Secrets: []string{"sha256:zz"}, Role: api.Viewer},
		"area \"zoo\"": {Name: "a", Secrets: []string{"x"}, Role: api.Viewer, Areas: []string{"zoo"}},
	} {
		_, err := api.New(api.Options{Store: sampleStore(), Queue: engine(t), Keys: []api.Key{k}, Areas: teams()})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want something about %q", err, want)
		}
	}
	if _, err := api.New(api.Options{}); err == nil {
		t.Error("New without a store succeeded")
	}
}

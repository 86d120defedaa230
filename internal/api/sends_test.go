package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/api"
	"github.com/psivisionhub/psi-router/internal/queue"
)

const hola = `{"type":"text","text":{"body":"Hola, soy Ana"}}`

// askOnce is ask with an idempotency key.
func askOnce(t *testing.T, h http.Handler, key, once, request, body string) answer {
	t.Helper()
	method, path, _ := strings.Cut(request, " ")
	r := httptest.NewRequestWithContext(t.Context(), method, api.Prefix+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Idempotency-Key", once)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

// first returns the id of the only conversation.
func (r real) first(t *testing.T) string {
	t.Helper()
	list := read[api.ConversationPage](t, r, "GET /conversations", "")
	if len(list.Items) != 1 {
		t.Fatalf("got %d conversations", len(list.Items))
	}
	return list.Items[0].ID
}

// agent lists what our people wrote in a conversation.
func (r real) agent(t *testing.T, id string) (said []api.Message) {
	t.Helper()
	for _, m := range read[api.MessagePage](t, r, "GET /conversations/"+id+"/messages?limit=200", "").Items {
		if m.Author == "agent" {
			said = append(said, m)
		}
	}
	return said
}

func TestAnAgentWrites(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.say(t, 1, "wsp4", "hola")
	id := r.first(t)
	quoted := read[api.MessagePage](t, r, "GET /conversations/"+id+"/messages", "").Items[0]
	for _, c := range []struct{ body, text string }{
		{hola, "Hola, soy Ana"},
		{`{"type":"text","text":{"body":"mirá https://example.com","preview_url":true},"context":{"message_id":"` + quoted.ID + `"}}`, "mirá https://example.com"},
		{`{"type":"interactive","interactive":{"type":"button","body":{"text":"¿Te sirve?"},"action":{"buttons":[{"type":"reply","reply":{"id":"a","title":"Sí"}}]}}}`, "¿Te sirve?"},
		{`{"type":"template","template":{"name":"recordatorio","language":{"code":"es_AR"},"components":[{"type":"body","parameters":[{"type":"text","text":"Ana"}]}]}}`, "recordatorio"},
		{`{"type":"image","image":{"link":"https://example.com/a.jpg","caption":"el aula"}}`, "el aula"},
		{`{"type":"video","video":{"link":"https://example.com/a.mp4"}}`, ""},
		{`{"type":"audio","audio":{"link":"https://example.com/a.ogg"}}`, ""},
		{`{"type":"document","document":{"link":"https://example.com/a.pdf","filename":"programa.pdf","future":1}}`, ""},
	} {
		got := ask(t, r, "agent", "POST /conversations/"+id+"/messages", c.body)
		var m api.Message
		if err := json.Unmarshal([]byte(got.body), &m); err != nil || got.status != http.StatusCreated {
			t.Fatalf("%d %v: %s", got.status, err, got.body)
		}
		if m.Text != c.text || m.Status != "queued" || m.Author != "agent" || m.Reason != "agent" || m.Conversation != id || m.Line != "wsp4" {
			t.Errorf("got %+v", m)
		}
		claims, err := r.store.ClaimSends(t.Context(), at(30), m.ID, []string{id})
		for err == nil && len(claims) == 1 && claims[0].Post.ID != m.ID { // the menu, not yet taken back
			claims, err = r.store.ClaimSends(t.Context(), at(30), m.ID+"x", []string{id})
		}
		if err != nil || len(claims) != 1 {
			t.Fatalf("claim: %v %v", claims, err)
		}
		var sent, asked map[string]any
		if json.Unmarshal(claims[0].Post.Body.Cloud, &sent) != nil || json.Unmarshal([]byte(c.body), &asked) != nil {
			t.Fatalf("body %s", claims[0].Post.Body.Cloud)
		}
		delete(asked, "context")
		if diff := gocmp.Diff(sent, asked); diff != "" {
			t.Errorf("what leaves (-got +want):\n%s", diff)
		}
		if strings.Contains(c.body, "context") != (claims[0].Post.QuotedID == quoted.ProviderID) {
			t.Errorf("quotes %q", claims[0].Post.QuotedID)
		}
	}
	if c := read[api.Conversation](t, r, "GET /conversations/"+id, ""); c.State != "handed_off" || c.Epoch != 1 {
		t.Errorf("the person of ours did not take it over: %+v", c)
	}
}

func TestWhatCannotBeSent(t *testing.T) {
	t.Parallel()
	r := openWith(t, func(o *api.Options) {
		o.Lines = []api.Line{{ID: "wsp4"}, {ID: "ventas", Types: []string{"text", "image"}}}
	})
	r.say(t, 1, "wsp4", "hola")
	r.say(t, 2, "ventas", "hola")
	r.say(t, 3, "gone", "hola")
	conversations := map[string]string{}
	for _, c := range read[api.ConversationPage](t, r, "GET /conversations", "").Items {
		conversations[c.Line] = c.ID
	}
	in := func(line string) string { return "POST /conversations/" + conversations[line] + "/messages" }
	read[api.Conversation](t, r, "POST /conversations/"+conversations["ventas"]+"/close", "")
	before := r.dump(t)
	for _, c := range []struct {
		what, body string
		status     int
		code       string
	}{
		{in("wsp4"), `{"type":"text"}`, 422, "invalid_request"},
		{in("wsp4"), `{"type":"sticker","sticker":{"id":"1"}}`, 422, "invalid_request"},
		{in("wsp4"), `{"type":"text","text":{"body":"   "}}`, 422, "invalid_request"},
		{in("wsp4"), `{"type":"text","text":{"body":""}}`, 422, "invalid_request"},
		{in("wsp4"), `{"type":"text","text":null}`, 422, "invalid_request"},
		{in("wsp4"), `{"type":"text","text":{"body":"` + strings.Repeat("😀", 2049) + `"}}`, 422, "invalid_request"},
		{in("wsp4"), `{"type":"text","text":{"body":"a"},"image":{"link":"https://example.com/a.jpg"}}`, 422, "invalid_request"},
		{in("wsp4"), `{"type":"text","text":{"body":"a"},"to":"549"}`, 422, "invalid_request"},
		{in("wsp4"), `{"type":"image","image":{"link":"file:///etc/passwd"}}`, 422, "invalid_request"},
		{in("wsp4"), `{"type":"image","image":{"id":"123"}}`, 422, "invalid_request"},
		{in("wsp4"), `{"type":"audio","audio":{"link":"https://example.com/a","caption":"x"}}`, 422, "invalid_request"},
		{in("wsp4"), `{"type":"template","template":{"name":"x"}}`, 422, "invalid_request"},
		{in("wsp4"), `{"type":"interactive","interactive":{"type":"button"}}`, 422, "invalid_request"},
		{in("wsp4"), `{"type":"interactive","interactive":{"type":"button","body":{"text":"a"},"action":{"buttons":[]}}}`, 422, "invalid_request"},
		{in("wsp4"), `{"type":"template","template":{"name":"x","language":{"code":"es"},"components":[{"type":"button","sub_type":"url","index":10}]}}`, 422, "invalid_request"},
		{in("wsp4"), `{"type":"text","text":{"body":"a"},"context":{"message_id":"zz"}}`, 422, "message_unknown"},
		{in("ventas"), `{"type":"template","template":{"name":"x","language":{"code":"es"}}}`, 422, "not_on_this_line"},
		{in("ventas"), `{"type":"text","text":{"body":"a"},"reopen":false}`, 409, "conversation_closed"},
		{in("gone"), hola, 422, "line_unknown"},
		{"POST /messages", `{"line":"nowhere","phone":"5491100000001","type":"text","text":{"body":"a"}}`, 422, "line_unknown"},
		{"POST /messages", `{"line":"wsp4","type":"text","text":{"body":"a"}}`, 422, "invalid_request"},
		{"POST /messages", `{"line":"wsp4","phone":"ana","type":"text","text":{"body":"a"}}`, 422, "invalid_request"},
		{"POST /messages", `{"line":"wsp4","phone":"5.49116E+12","type":"text","text":{"body":"a"}}`, 422, "invalid_request"},
		{"POST /messages", `{"line":"wsp4","phone":"11 0000 0001 / 11 0000 0002","type":"text","text":{"body":"a"}}`, 422, "invalid_request"},
		{"POST /messages", `{"line":"wsp4","phone":"54911000000012","type":"text","text":{"body":"a"}}`, 422, "invalid_request"},
		{"POST /messages", `{"line":"wsp4","phone":"0 11 0000","type":"text","text":{"body":"a"}}`, 422, "invalid_request"},
		{"POST /messages", `{"line":"wsp4","phone":"5491155556666","type":"text","text":{"body":"a"}}`, 409, "window_closed"},
	} {
		got := ask(t, r, "agent", c.what, c.body)
		if got.status != c.status {
			t.Errorf("%s: got %d, want %d: %s", c.body, got.status, c.status, got.body)
			continue
		}
		if code := got.code(t); code != c.code {
			t.Errorf("%s: got %s, want %s", c.body, code, c.code)
		}
	}
	if diff := gocmp.Diff(r.dump(t), before); diff != "" {
		t.Errorf("a refusal changed something (-got +want):\n%s", diff)
	}
}

func TestAPersonIsWrittenTo(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.say(t, 1, "wsp4", "hola")
	id := r.first(t)
	tpl := `"type":"template","template":{"name":"hola","language":{"code":"es_AR"}}}`
	for _, who := range []string{`"phone":"+54 9 11 0000-0001"`, `"phone":"1100000001"`, `"user_id":"AR.1"`} {
		got := ask(t, r, "agent", "POST /messages", `{"line":"wsp4",`+who+`,`+tpl)
		var m api.Message
		if err := json.Unmarshal([]byte(got.body), &m); err != nil || got.status != 201 || m.Conversation != id {
			t.Errorf("%s: %d %s", who, got.status, got.body)
		}
	}
	// The conversation's team decides who may write, also by phone.
	for key, want := range map[string]int{"sales": 404, "shop": 404, "reader": 403} {
		if got := ask(t, r, key, "POST /messages", `{"line":"wsp4","phone":"5491100000001",`+tpl); got.status != want {
			t.Errorf("%s: got %d: %s", key, got.status, got.body)
		}
	}
	if got := ask(t, r, "sales", "POST /messages", `{"line":"wsp4","phone":"5491177778888","takeover":false,`+tpl); got.status != 404 {
		t.Errorf("a notice, and a new one is nobody's: %d %s", got.status, got.body)
	}
	if got := ask(t, r, "sales", "POST /messages", `{"line":"wsp4","phone":"5491177778888",`+tpl); got.status != 201 {
		t.Errorf("a new one of theirs: %d %s", got.status, got.body)
	}
	read[api.Conversation](t, r, "POST /conversations/"+id+"/handoff", `{"area":"ventas"}`)
	if got := ask(t, r, "sales", "POST /messages", `{"line":"wsp4","phone":"5491100000001",`+tpl); got.status != 201 {
		t.Errorf("their own: %d %s", got.status, got.body)
	}
}

// TestATakeoverIsOfATeam: a key that is bound to areas takes over what no team has, for a
// team of its own.
func TestATakeoverIsOfATeam(t *testing.T) {
	t.Parallel()
	r := openWith(t, func(o *api.Options) {
		o.Keys = append(o.Keys, api.Key{Name: "two", Secrets: []string{"two"}, Role: api.Agent, Areas: []string{"ventas", "alumnos"}})
	})
	r.say(t, 1, "wsp4", "hola")
	id := r.first(t)
	in, boss := "POST /conversations/"+id, "agent"
	named := func(area string) string { return strings.Replace(hola, "{", `{"area":"`+area+`",`, 1) }
	notice := strings.Replace(hola, "{", `{"takeover":false,`, 1)
	for _, step := range []struct {
		key, what, body string
		status          int
		area            string // afterwards
	}{
		{"sales", "/messages", notice, 404, ""},
		{"sales", "/close", "", 404, ""},
		{"sales", "/messages", named("admin"), 404, ""},
		{"two", "/messages", hola, 404, ""}, // it would go to the flow's team
		{"two", "/messages", named("admin"), 404, ""},
		{"two", "/messages", named("nobody"), 422, ""},
		{"two", "/messages", named("ventas"), 201, "ventas"},
		{boss, "/close", "", 200, ""},
		{"two", "/messages", hola, 201, "ventas"}, // who had it last
		{boss, "/close", "", 200, ""},
		{boss, "/messages", named("admin"), 201, "admin"},
		{"two", "/messages", named("ventas"), 404, "admin"},
		{"sales", "/messages", hola, 404, "admin"},
		{boss, "/close", "", 200, ""},
		{"two", "/messages", hola, 404, ""},
		{"sales", "/messages", hola, 201, "ventas"}, // the key's only one
		{"sales", "/messages", notice, 201, "ventas"},
	} {
		if got := ask(t, r, step.key, in+step.what, step.body); got.status != step.status {
			t.Errorf("%s %s %s: got %d, want %d: %s", step.key, step.what, step.body, got.status, step.status, got.body)
		}
		if c := read[api.Conversation](t, r, "GET /conversations/"+id, ""); c.Area != step.area {
			t.Errorf("%s %s %s: the team is %q, want %q", step.key, step.what, step.body, c.Area, step.area)
		}
	}
}

func TestAWriteHappensOnce(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.say(t, 1, "wsp4", "hola")
	id := r.first(t)
	request := "POST /conversations/" + id + "/messages"
	answers := make(chan answer, 100)
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() { answers <- askOnce(t, r, "agent", "k", request, hola) })
	}
	all.Wait()
	close(answers)
	bodies, replays := map[string]int{}, 0
	for a := range answers {
		if a.status != 201 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		bodies[a.body]++
		if a.header.Get("Idempotent-Replayed") == "true" {
			replays++
		}
	}
	if said := r.agent(t, id); len(said) != 1 || len(bodies) != 1 || replays != 99 {
		t.Errorf("said %d times, %d answers, %d replays", len(said), len(bodies), replays)
	}
	for _, c := range []struct {
		key, what, body string
		status          int
	}{
		{"agent", request, ` { "text" : {"body":"Hola, soy Ana"}, "type":"text" } `, 201}, // the same request, formatted differently
		{"old", request, hola, 201}, // the same key, rotated
		{"agent", request, `{"type":"text","text":{"body":"otra"}}`, 409},
		{"agent", request, `{"type":"text","text":{"body":"Hola, soy Ana","preview_url":true}}`, 409},
		{"agent", "POST /conversations/" + id + "/close", "", 409},
	} {
		got := askOnce(t, r, c.key, "k", c.what, c.body)
		if got.status != c.status {
			t.Errorf("%s %s: got %d: %s", c.what, c.body, got.status, got.body)
		}
		if got.status == 409 && got.code(t) != "idempotency_key_reused" {
			t.Errorf("got %s", got.body)
		}
	}
	if said := r.agent(t, id); len(said) != 1 {
		t.Errorf("said %d times", len(said))
	}
	// A command is not repeated either: what others did since stays.
	first := askOnce(t, r, "agent", "c", "POST /conversations/"+id+"/close", `{"reason":"listo"}`)
	read[api.Conversation](t, r, "POST /conversations/"+id+"/reopen", "")
	again := askOnce(t, r, "agent", "c", "POST /conversations/"+id+"/close", `{"reason":"listo"}`)
	if first.body != again.body || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("got %s, then %s", first.body, again.body)
	}
	if c := read[api.Conversation](t, r, "GET /conversations/"+id, ""); c.State != "menu" {
		t.Errorf("got %+v", c)
	}
	if got := askOnce(t, r, "admin", "k", request, hola); got.status != 201 || got.header.Get("Idempotent-Replayed") != "" {
		t.Errorf("somebody else's key of the same name: %d %v", got.status, got.header)
	}
}

func TestEveryWriteIsInTheAudit(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.say(t, 1, "wsp4", "hola")
	id := r.first(t)
	for _, c := range []struct{ key, what, body string }{
		{"agent", "POST /conversations/" + id + "/messages", hola},
		{"agent", "POST /conversations/" + id + "/handoff", `{"area":"ventas"}`},
		{"agent", "POST /conversations/" + id + "/handoff", `{"area":"ventas"}`},
		{"admin", "POST /queues/send:wsp4/pause", ""},
	} {
		if c.what == "POST /queues/send:wsp4/pause" {
			if err := r.queue.SetLimit(t.Context(), "send:wsp4", queue.Limit{}); err != nil { // so that it exists
				t.Fatal(err)
			}
		}
		if got := ask(t, r, c.key, c.what, c.body); got.status/100 != 2 {
			t.Fatalf("%s: %d %s", c.what, got.status, got.body)
		}
	}
	show := func(key, query string) (out []string) {
		got := ask(t, r, key, "GET /audit"+query, "")
		var page api.AuditPage
		if err := json.Unmarshal([]byte(got.body), &page); err != nil || got.status != 200 {
			t.Fatalf("%d %s", got.status, got.body)
		}
		for _, a := range page.Items {
			out = append(out, fmt.Sprint(a.Actor, " ", a.Action, " ", a.Conversation == id))
		}
		if page.NextCursor != nil {
			out = append(out, "more")
		}
		return out
	}
	want := []string{"boss queue_pause false", "crm handoff true", "crm agent_sent true"}
	if diff := gocmp.Diff(show("admin", ""), want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if diff := gocmp.Diff(show("admin", "?limit=1"), append(want[:1:1], "more")); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if got := show("shop", ""); got != nil { // another line
		t.Errorf("got %v", got)
	}
}

func TestAKeyHasARate(t *testing.T) {
	t.Parallel()
	h := serve(t, api.Options{Keys: []api.Key{
		{Name: "slow", Secrets: []string{"slow"}, Role: api.Viewer, Rate: 0.25},
		{Name: "fast", Secrets: []string{"fast"}, Role: api.Viewer, Rate: -1},
	}})
	if got := ask(t, h, "slow", "GET /reasons", ""); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	got := ask(t, h, "slow", "GET /reasons", "")
	if got.status != 429 || got.code(t) != "rate_limited" || got.header.Get("Retry-After") != "4" {
		t.Errorf("%d %v %s", got.status, got.header, got.body)
	}
	for range 300 {
		if got := ask(t, h, "fast", "GET /areas", ""); got.status != 200 {
			t.Fatalf("another key: %d %s", got.status, got.body)
		}
	}
}

package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/api"
)

const reminder = `{"takeover":false,"type":"template","template":{"name":"recordatorio","language":{"code":"es_AR"}}}`

// TestNotices: a program sends a reminder, and the conversation does not change.
func TestNotices(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.say(t, 1, "wsp4", "hola")
	id := r.first(t)
	before := read[api.Conversation](t, r, "GET /conversations/"+id, "")
	for _, request := range []string{reminder, `{"takeover":false,"type":"text","text":{"body":"Tu turno es a las 10"},"expires_in":"90m"}`} {
		got := ask(t, r, "agent", "POST /conversations/"+id+"/messages", request)
		var m api.Message
		if err := json.Unmarshal([]byte(got.body), &m); err != nil || got.status != http.StatusCreated {
			t.Fatalf("%d %v: %s", got.status, err, got.body)
		}
		if m.Author != "program" || m.Reason != "api" || m.Status != "queued" {
			t.Errorf("got %+v", m)
		}
	}
	if diff := gocmp.Diff(read[api.Conversation](t, r, "GET /conversations/"+id, ""), before); diff != "" {
		t.Errorf("the conversation changed (-got +want):\n%s", diff)
	}
	fresh := strings.Replace(reminder, "{", `{"line":"wsp4","phone":"+5491100000077",`, 1)
	if got := ask(t, r, "agent", "POST /messages", fresh); got.status != http.StatusCreated {
		t.Errorf("%d: %s", got.status, got.body)
	}
	if c := read[api.ConversationPage](t, r, "GET /conversations?phone=5491100000077", "").Items; len(c) != 1 || c[0].State != "menu" || c[0].Area != "" {
		t.Errorf("got %+v", c)
	}
	for _, bad := range []string{"soon", "10", "100ms", "1000h", "-1h"} {
		body := strings.Replace(reminder, "{", `{"expires_in":"`+bad+`",`, 1)
		if got := ask(t, r, "agent", "POST /conversations/"+id+"/messages", body); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "body.expires_in") {
			t.Errorf("%s: %d %s", bad, got.status, got.body)
		}
	}
}

// TestWhoTakesOver: the body's area, else the key's only one, else the last one to have the
// conversation.
func TestWhoTakesOver(t *testing.T) {
	t.Parallel()
	r := open(t)
	send := func(key, id, body string) api.Conversation {
		t.Helper()
		if got := ask(t, r, key, "POST /conversations/"+id+"/messages", body); got.status != http.StatusCreated {
			t.Fatalf("%d: %s", got.status, got.body)
		}
		return read[api.Conversation](t, r, "GET /conversations/"+id, "")
	}
	r.say(t, 1, "wsp4", "hola")
	id := r.first(t)
	if c := send("agent", id, strings.Replace(hola, "{", `{"area":"ventas",`, 1)); c.Area != "ventas" || c.State != "handed_off" {
		t.Errorf("the body's: got %+v", c)
	}
	read[api.Conversation](t, r, "POST /conversations/"+id+"/close", "")
	if c := send("agent", id, hola); c.Area != "ventas" {
		t.Errorf("who had it last: got %+v", c)
	}
	if got := ask(t, r, "agent", "POST /conversations/"+id+"/messages", strings.Replace(hola, "{", `{"area":"nadie",`, 1)); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "unknown_area") {
		t.Errorf("%d: %s", got.status, got.body)
	}
}

package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeRouter is a minimal router for the page: it answers through the Graph API and gives
// reasons through an API of the same shapes.
type fakeRouter struct {
	*harness
	mu       sync.Mutex
	state    string
	area     string
	ticket   string
	messages []map[string]any
	commands []string
	url      string
}

func newFakeRouter(t *testing.T, o Options) *fakeRouter {
	t.Helper()
	o.APIBase, o.APIKey = "/api/v1", "sandbox"
	b := &fakeRouter{harness: newHarness(t, o), state: "menu"}
	mux := http.NewServeMux()
	mux.Handle("/sandbox", b.Handler())
	mux.Handle("/sandbox/", b.Handler())
	mux.HandleFunc("GET /api/v1/reasons", b.reasons)
	mux.HandleFunc("GET /api/v1/conversations", b.conversations)
	mux.HandleFunc("GET /api/v1/conversations/{id}/messages", b.list)
	mux.HandleFunc("GET /api/v1/areas", b.areas)
	mux.HandleFunc("POST /api/v1/conversations/{id}/{command}", b.command)
	mux.HandleFunc("POST /api/v1/conversations/{id}/messages", b.answer)
	front := httptest.NewServer(mux)
	t.Cleanup(front.Close)
	b.url = front.URL
	b.harness.mu.Lock()
	b.on = b.turn
	b.harness.mu.Unlock()
	return b
}

func (b *fakeRouter) turn(a arrived) {
	if a.status != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, m := range b.messages {
			if m["provider_id"] == a.status["id"] && tickRank(a.status["status"].(string)) > tickRank(m["status"].(string)) {
				m["status"] = a.status["status"]
			}
		}
		return
	}
	ref, _ := a.message["from"].(string)
	said, reply := "", ""
	switch body := a.message[a.message["type"].(string)].(type) {
	case map[string]any:
		said, _ = body["body"].(string)
		if row, ok := body["list_reply"].(map[string]any); ok {
			said, reply = row["title"].(string), row["id"].(string)
		}
	}
	b.mu.Lock()
	reason := "invalid_input"
	var answers []map[string]any
	switch {
	case b.state == "handed_off":
		reason = "handed_off_silent"
	case said == "hola":
		reason = "first_contact"
		if len(b.messages) > 0 {
			reason = "greeting"
		}
		answers = append(answers, menuList)
	case reply != "":
		reason, b.state, b.area, b.ticket = "handed_off", "handed_off", "admin", "PSI-2026-000123"
		answers = append(answers, map[string]any{"type": "text", "text": map[string]any{"body": "✅ Listo, te paso con *Administración*. Tu número es PSI-2026-000123. Suelen contestar en 2 a 4 h hábiles."}})
	default:
		answers = append(answers, map[string]any{"type": "text", "text": map[string]any{"body": "No encontré esa opción 🙈 Mirá el menú y mandame el número."}})
	}
	now := time.Now().UTC().Format(time.RFC3339Nano)
	b.messages = append(b.messages, map[string]any{
		"id": fmt.Sprint("m", len(b.messages)), "direction": "inbound", "author": "contact", "type": a.message["type"], "text": said, "reply_id": reply,
		"provider_id": a.message["id"], "status": "received", "reason": reason, "received_at": now, "created_at": now, "who": ref,
	})
	b.mu.Unlock()
	if ref == "" {
		return
	}
	b.send(map[string]any{"messaging_product": "whatsapp", "status": "read", "message_id": a.message["id"], "typing_indicator": map[string]any{"type": "text"}})
	for _, answer := range answers {
		answer := map[string]any{"type": answer["type"], answer["type"].(string): answer[answer["type"].(string)]}
		answer["messaging_product"], answer["to"] = "whatsapp", ref
		status, sent := b.send(answer)
		said := answer["type"].(string)
		if text, ok := answer["text"].(map[string]any); ok {
			said = text["body"].(string)
		} else if i, ok := answer["interactive"].(map[string]any); ok {
			said = i["body"].(map[string]any)["text"].(string)
		}
		row := map[string]any{"direction": "outbound", "author": "router", "type": answer["type"], "text": said, "provider_id": wamidOf(sent), "status": "sent", "created_at": now, "who": ref}
		if status != http.StatusOK {
			row["status"], row["reason"], row["error"] = "failed", "refused", map[string]any{"code": code(sent), "detail": "Refused"}
		}
		b.mu.Lock()
		row["id"] = fmt.Sprint("m", len(b.messages))
		b.messages = append(b.messages, row)
		b.mu.Unlock()
	}
}

var menuList = map[string]any{"type": "interactive", "interactive": map[string]any{
	"type": "list", "body": map[string]any{"text": "¡Hola! 👋 Gracias por escribirnos.\n\n¿Con quién querés hablar?"}, "footer": map[string]any{"text": "Escribí MENÚ para volver acá"},
	"action": map[string]any{"button": "Ver opciones", "sections": []any{map[string]any{"title": "Áreas", "rows": []any{
		map[string]any{"id": "m:principal:1", "title": "Administración", "description": "Pagos, facturas y constancias"},
		map[string]any{"id": "m:principal:2", "title": "Alumnos", "description": "Aula virtual, cursadas y exámenes"},
		map[string]any{"id": "m:principal:3", "title": "Inscripciones", "description": "Cursos, fechas y precios"},
		map[string]any{"id": "m:principal:4", "title": "Comunidad", "description": "Egresados y eventos"},
		map[string]any{"id": "m:principal:5", "title": "Otra consulta"},
	}}}},
}}

func (b *fakeRouter) allowed(w http.ResponseWriter, r *http.Request) bool {
	if r.Header.Get("Authorization") == "Bearer sandbox" {
		return true
	}
	w.WriteHeader(http.StatusUnauthorized)
	return false
}

func (b *fakeRouter) reasons(w http.ResponseWriter, r *http.Request) {
	if !b.allowed(w, r) {
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"items": []any{
		map[string]string{"reason": "first_contact", "es": "Es la primera vez que escribe: le mostramos el menú."},
		map[string]string{"reason": "greeting", "es": "Saludó: le mostramos el menú en el que estaba."},
		map[string]string{"reason": "handed_off", "es": "Eligió una opción que lleva a una persona: la conversación pasa al equipo."},
		map[string]string{"reason": "handed_off_silent", "es": "Ya está con una persona: el bot no contesta."},
		map[string]string{"reason": "invalid_input", "es": "No es ninguna opción de este menú."},
	}})
}

func (b *fakeRouter) conversations(w http.ResponseWriter, r *http.Request) {
	if !b.allowed(w, r) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	items := []any{}
	if slices.ContainsFunc(b.messages, func(m map[string]any) bool { return m["who"] == r.FormValue("phone") }) {
		items = append(items, map[string]any{
			"id": "c-" + r.FormValue("phone"), "line": "sandbox", "state": b.state, "area": b.area, "tag": map[bool]string{true: "otro"}[b.area != ""], "menu": "principal", "ticket": b.ticket,
			"window_expires_at": time.Now().Add(24*time.Hour - time.Second).UTC().Format(time.RFC3339),
		})
	}
	writeJSON(w, http.StatusOK, map[string]any{"items": items, "next_cursor": nil})
}

func (b *fakeRouter) list(w http.ResponseWriter, r *http.Request) {
	if !b.allowed(w, r) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	items := []json.RawMessage{}
	for _, m := range b.messages {
		if m["who"] == strings.TrimPrefix(r.PathValue("id"), "c-") {
			items = append(items, marshalPlain(m))
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"items": items, "next_cursor": nil})
}

func (b *fakeRouter) areas(w http.ResponseWriter, r *http.Request) {
	if b.allowed(w, r) {
		writeJSON(w, http.StatusOK, map[string]any{"items": []any{
			map[string]string{"id": "admin", "name": "Administración"}, map[string]string{"id": "ventas", "name": "Ventas"},
		}})
	}
}

// answer is the text of a team member; "cerrada" is refused.
func (b *fakeRouter) answer(w http.ResponseWriter, r *http.Request) {
	if !b.allowed(w, r) {
		return
	}
	var in struct {
		Type string
		Text struct{ Body string }
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Type != "text" || r.Header.Get("Idempotency-Key") == "" {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	if in.Text.Body == "cerrada" {
		writeJSON(w, http.StatusConflict, map[string]string{"code": "window_closed", "detail": "Send a template."})
		return
	}
	ref := strings.TrimPrefix(r.PathValue("id"), "c-")
	_, sent := b.send(map[string]any{"messaging_product": "whatsapp", "to": ref, "type": "text", "text": map[string]string{"body": in.Text.Body}})
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state = "handed_off"
	b.messages = append(b.messages, map[string]any{
		"id": fmt.Sprint("m", len(b.messages)), "direction": "outbound", "author": "agent", "type": "text", "text": in.Text.Body, "reason": "agent",
		"provider_id": wamidOf(sent), "status": "sent", "created_at": time.Now().UTC().Format(time.RFC3339Nano), "who": ref,
	})
	writeJSON(w, http.StatusCreated, map[string]any{"id": "m"})
}

func (b *fakeRouter) command(w http.ResponseWriter, r *http.Request) {
	if !b.allowed(w, r) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.commands = append(b.commands, r.PathValue("command"))
	b.state = map[string]string{"close": "closed", "reset": "menu", "handoff": "handed_off"}[r.PathValue("command")]
	b.area, b.ticket = "", ""
	if b.state == "handed_off" {
		var to struct{ Area string }
		_ = json.NewDecoder(r.Body).Decode(&to) // an area of none shows in the test
		b.area, b.ticket = to.Area, "PSI-2026-000124"
	}
	writeJSON(w, http.StatusOK, map[string]any{"state": b.state})
}

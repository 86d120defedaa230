package app

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/flows"
	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

// flowWith writes PSI's flow with an addition to a file.
func flowWith(t *testing.T, more string) string {
	t.Helper()
	src, err := flows.FS.ReadFile("psi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "flow.yaml")
	if err := os.WriteFile(path, append(src, more...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// send posts to the API over the socket, which has no rate, and requires a 201.
func (r *testRouter) send(client *http.Client, path, body string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, "http://admin/api/v1"+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		r.t.Fatalf("%s: got %s, want 201", path, res.Status)
	}
}

// press posts a tap on a template's button as Meta would.
func (r *testRouter) press(from, id, payload string) {
	r.t.Helper()
	body := fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"phone_number_id":%q},"contacts":[{"wa_id":%q}],"messages":[{"from":%q,"id":%q,"timestamp":"%d","type":"button","button":{"text":"Confirmo","payload":%q}}]}}]}]}`,
		config.DevPhoneNumberID, from, from, id, time.Now().Unix(), payload)
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.URL()+"/webhook", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set(whatsapp.SignatureHeader, whatsapp.Sign(config.DevAppSecret, []byte(body)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	if res.Body.Close(); res.StatusCode != http.StatusOK {
		r.t.Fatalf("webhook: got %s", res.Status)
	}
}

// place is the state that a notice must not change.
type place struct {
	Phone                    string
	State, Area, Tag, Ticket string
	Menu                     string
	Epoch                    int64
	LastMessageAt            *time.Time
}

// places returns the places of all conversations.
func (r *testRouter) places() map[string]place {
	r.t.Helper()
	out := map[string]place{}
	for cursor := ""; ; {
		var page struct {
			Items []struct {
				State, Area, Tag, Ticket, Menu string
				Epoch                          int64
				LastMessageAt                  *time.Time             `json:"last_message_at"`
				Contact                        struct{ Phone string } `json:"contact"`
			}
			Next *string `json:"next_cursor"`
		}
		r.ask(http.DefaultClient, r.URL(), http.MethodGet, "/api/v1/conversations?limit=200&cursor="+cursor, &page)
		for _, c := range page.Items {
			out[c.Contact.Phone] = place{c.Contact.Phone, c.State, c.Area, c.Tag, c.Ticket, c.Menu, c.Epoch, c.LastMessageAt}
		}
		if page.Next == nil {
			return out
		}
		cursor = *page.Next
	}
}

// pending counts the messages waiting to be sent and the wake-ups in the queues.
func (r *testRouter) pending() (messages, jobs int64) {
	r.t.Helper()
	var status struct {
		Sends  struct{ Pending int64 }
		Queues []struct{ Depth int64 }
	}
	r.ask(http.DefaultClient, r.URL(), http.MethodGet, "/status", &status)
	for _, q := range status.Queues {
		jobs += q.Depth
	}
	return status.Sends.Pending, jobs
}

func (r *testRouter) settle() {
	r.t.Helper()
	for deadline := time.Now().Add(40 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		messages, jobs := r.pending()
		if messages+jobs == 0 {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%d messages and %d jobs still wait", messages, jobs)
		}
	}
}

// TestReminders: five hundred people get a reminder, in the menu, with a team and closed.
// Their conversations do not change, and an agent's message does not wait behind the
// reminders.
func TestReminders(t *testing.T) {
	dir := t.TempDir()
	admin := overSocket(t, dir)
	r := startWith(t, Options{Role: roleAll}, "PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR="+dir, "PSI_FLOW="+flowWith(t, "buttons:\n  turnos/confirmar: {reply: \"¡Gracias! Te esperamos\", tag: confirmado}\n"))
	const people = 500
	phone := func(i int) string { return fmt.Sprintf("549115556%04d", i) }
	for i := range people {
		text := "hola"
		if i%3 == 1 {
			text = "22" // hands off
		}
		r.write(phone(i), fmt.Sprint("wamid.in.", i), text)
	}
	r.settle()
	if got := len(r.places()); got != people {
		t.Fatalf("%d of %d conversations", got, people)
	}
	for i := 2; i < people; i += 3 {
		var conversations struct{ Items []struct{ ID string } }
		r.ask(admin, "http://admin", http.MethodGet, "/api/v1/conversations?phone="+phone(i), &conversations)
		var conv struct{ State string }
		r.ask(admin, "http://admin", http.MethodPost, "/api/v1/conversations/"+conversations.Items[0].ID+"/close", &conv)
	}
	r.settle()
	before := r.places()
	states := map[string]int{}
	for _, p := range before {
		states[p.State]++
	}
	if states["menu"] < 150 || states["handed_off"] < 150 || states["closed"] < 150 {
		t.Fatalf("the people of the story are %v", states)
	}

	var queue struct{ Paused bool } // until all messages wait
	r.ask(admin, "http://admin", http.MethodPost, "/api/v1/queues/send:sandbox/pause", &queue)
	for i := range people {
		r.send(admin, "/messages", fmt.Sprintf(`{"line":"sandbox","phone":%q,"takeover":false,"type":"template","template":{"name":"recordatorio","language":{"code":"es_AR"}}}`, "+"+phone(i)))
	}
	id, _ := r.messages(phone(1), func([]message) bool { return true })
	r.send(admin, "/conversations/"+id+"/messages", `{"type":"text","text":{"body":"Hola, soy Ana"}}`)
	r.ask(admin, "http://admin", http.MethodPost, "/api/v1/queues/send:sandbox/resume", &queue)
	r.messages(phone(1), func(all []message) bool {
		for _, m := range all {
			if m.Author == "agent" {
				return m.Status != "queued" && m.Status != "sending"
			}
		}
		return false
	})
	if left, _ := r.pending(); left < 400 {
		t.Errorf("%d of %d reminders waited when the agent's message had left", left, people)
	}
	r.settle()
	after := r.places()
	changed := before[phone(1)]
	changed.LastMessageAt = after[phone(1)].LastMessageAt
	before[phone(1)] = changed // taken over by the agent
	if diff := cmp.Diff(after, before); diff != "" {
		t.Errorf("a reminder changed something (-got +want):\n%s", diff)
	}

	for i := range 3 {
		r.press(phone(i), fmt.Sprint("wamid.press.", i), "turnos/confirmar")
		r.messages(phone(i), func(all []message) bool {
			last := all[len(all)-1]
			return last.Text == "¡Gracias! Te esperamos" && last.Reason == "template_button"
		})
	}
	r.write(phone(0), "wamid.again", "hola")
	r.messages(phone(0), func(all []message) bool {
		last := all[len(all)-1]
		return last.Direction == "outbound" && strings.Contains(last.Text, "Con quién querés hablar")
	})
}

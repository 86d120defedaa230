package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/config"
)

// contactView is a contact as the API shows it.
type contactView struct {
	ID          string
	Blocked     bool
	BlockedHere bool `json:"blocked_here_only"`
	OptedOut    bool `json:"marketing_opt_out"`
}

func (r *testRouter) contact(conversation string) contactView {
	r.t.Helper()
	var conv struct{ Contact contactView }
	r.ask(http.DefaultClient, r.URL(), http.MethodGet, "/api/v1/conversations/"+conversation, &conv)
	return conv.Contact
}

// template sends a template and returns the status with its code.
func (r *testRouter) template(client *http.Client, conversation, name string) string {
	r.t.Helper()
	body := fmt.Sprintf(`{"type":"template","takeover":false,"template":{"name":%q,"language":{"code":"es_AR"}}}`, name)
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, "http://admin/api/v1/conversations/"+conversation+"/messages", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	var refused struct{ Code string }
	if err := json.NewDecoder(res.Body).Decode(&refused); err != nil {
		r.t.Fatal(err)
	}
	return strings.TrimSpace(fmt.Sprint(res.StatusCode, " ", refused.Code))
}

// lastMessage returns a check that the last message is an answer with the text, and was
// sent.
func lastMessage(reason, text string) func([]message) bool {
	return func(all []message) bool {
		m := all[len(all)-1]
		return m.Direction == "outbound" && m.Reason == reason && m.Status != "queued" && m.Status != "sending" && strings.Contains(m.Text, text)
	}
}

// TestStopMeansMarketing: a person who stops marketing, at Meta or in words, gets no
// marketing template and everything else, until they resume it.
func TestStopMeansMarketing(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir)
	admin := overSocket(t, dir)
	const ana = "5491155550401"
	preference := func(value string) {
		r.change(config.DevAppSecret, config.DevPhoneNumberID, fmt.Sprintf(
			`"user_preferences":[{"wa_id":%q,"category":"marketing_messages","value":%q,"timestamp":%d}]`, ana, value, time.Now().Unix()))
	}
	preference("stop")
	r.write(ana, "wamid.1", "hola")
	id, _ := r.messages(ana, lastMessage("first_contact", "Con quién querés hablar"))
	want := func(when, promo string) {
		t.Helper()
		if got := r.template(admin, id, "promo"); got != promo {
			t.Errorf("%s: marketing got %q, want %q", when, got, promo)
		}
		if got := r.template(admin, id, "recordatorio"); got != "201" {
			t.Errorf("%s: utility got %q", when, got)
		}
	}
	want("Meta's stop", "409 opted_out")
	preference("resume")
	want("Meta's resume", "201")
	r.write(ana, "wamid.2", "Baja")
	r.messages(ana, lastMessage("opted_out", "no te vamos a mandar más promociones"))
	if !r.contact(id).OptedOut {
		t.Error("the flag is not set")
	}
	want("baja", "409 opted_out")
	r.write(ana, "wamid.3", "1")
	r.messages(ana, lastMessage("menu_choice", "Administración"))
	r.write(ana, "wamid.4", "ALTA")
	r.messages(ana, lastMessage("opted_in", "Vas a volver a recibir"))
	if r.contact(id).OptedOut {
		t.Error("the flag is still set")
	}
	want("alta", "201")
	var events struct {
		Items []struct {
			Type string
			Data struct {
				Conversation struct{ Contact contactView }
			}
		}
	}
	eventually(t, "both are told", func() bool {
		r.ask(admin, "http://admin", http.MethodGet, "/api/v1/events?limit=200", &events)
		var told []bool
		for _, e := range events.Items {
			if e.Type == "conversation.updated" {
				told = append(told, e.Data.Conversation.Contact.OptedOut)
			}
		}
		return slices.Equal(told, []bool{false, true, false}) // resume at Meta, stop and start in words
	})
}

// TestBlock: a blocked person gets nothing, and WhatsApp is asked once to block them.
func TestBlock(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir)
	admin := overSocket(t, dir)
	const ana = "5491155550402"
	r.write(ana, "wamid.1", "hola")
	id, _ := r.messages(ana, answered(1, ""))
	who := r.contact(id).ID
	press := func(verb string) (answer contactView) {
		t.Helper()
		r.ask(admin, "http://admin", http.MethodPost, "/api/v1/contacts/"+who+"/"+verb, &answer)
		return answer
	}
	if c := press("block"); !c.Blocked || c.BlockedHere {
		t.Errorf("got %+v", c)
	}
	var sent struct{ Counts struct{ Blocked int } }
	r.ask(http.DefaultClient, r.URL(), http.MethodGet, "/sandbox/sent", &sent)
	if sent.Counts.Blocked != 1 {
		t.Errorf("WhatsApp was asked %d times", sent.Counts.Blocked)
	}
	r.write(ana, "wamid.2", "1")
	r.messages(ana, func(all []message) bool {
		m := all[len(all)-1]
		return m.Direction == "inbound" && m.Reason == "blocked"
	})
	if got := r.template(admin, id, "recordatorio"); got != "409 blocked" {
		t.Errorf("a template got %q", got)
	}
	press("unblock")
	r.write(ana, "wamid.3", "1")
	r.messages(ana, lastMessage("menu_choice", "Administración"))
	var audit struct {
		Items []struct{ Action, Actor string }
	}
	r.ask(admin, "http://admin", http.MethodGet, "/api/v1/audit", &audit)
	var done []string
	for _, a := range slices.Backward(audit.Items) {
		done = append(done, a.Actor+" "+a.Action)
	}
	if !slices.Equal(done, []string{"cli block", "cli blocked", "cli unblock", "cli unblocked"}) {
		t.Errorf("audit: %q", done)
	}
}

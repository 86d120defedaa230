package api_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/psivisionhub/psi-router/internal/api"
	"github.com/psivisionhub/psi-router/internal/store"
)

// TestBlocking: a block holds here whatever WhatsApp answers, and the answer is stored.
func TestBlocking(t *testing.T) {
	t.Parallel()
	var asked []string
	var refusal error
	r := openWith(t, func(o *api.Options) {
		o.Block = func(_ context.Context, c store.Conversation, block bool) error {
			request := "unblock "
			if block {
				request = "block "
			}
			asked = append(asked, request+c.Line+" "+c.Contact.Address.Phone)
			return refusal
		}
	})
	r.say(t, 1, "wsp4", "hola")
	id := r.first(t)
	contact := read[api.Conversation](t, r, "GET /conversations/"+id, "").Contact
	at := "POST /contacts/" + contact.ID

	refusal = errors.New("more than 24 h")
	if c := read[api.Contact](t, r, at+"/block", `{"reason":"amenazas"}`); !c.Blocked || !c.HereOnly {
		t.Errorf("WhatsApp refused: got %+v", c)
	}
	if got := ask(t, r, "agent", "POST /conversations/"+id+"/messages", hola); got.status != http.StatusConflict || !strings.Contains(got.body, `"blocked"`) {
		t.Errorf("%d: %s", got.status, got.body)
	}
	audit := read[api.AuditPage](t, r, "GET /audit", "").Items
	if len(audit) < 2 || audit[0].Action != "blocked" || !strings.Contains(audit[0].Detail, "more than 24 h") || audit[1].Action != "block" || !strings.Contains(audit[1].Detail, "amenazas") {
		t.Errorf("audit: got %+v", audit)
	}
	refusal = nil
	if c := read[api.Contact](t, r, at+"/block", ""); !c.Blocked || c.HereOnly {
		t.Errorf("WhatsApp did it: got %+v", c)
	}
	if c := read[api.Contact](t, r, at+"/unblock", ""); c.Blocked || c.HereOnly {
		t.Errorf("unblocked: got %+v", c)
	}
	if len(asked) != 3 || !strings.HasPrefix(asked[0], "block wsp4 549") || !strings.HasPrefix(asked[2], "unblock wsp4") {
		t.Errorf("WhatsApp was asked %q", asked)
	}
	// A replay under an idempotency key does not ask WhatsApp.
	first := askOnce(t, r, "agent", "k", at+"/block", "")
	before := len(asked)
	if got := askOnce(t, r, "agent", "k", at+"/block", ""); got.header.Get("Idempotent-Replayed") != "true" || len(asked) != before || got.body != first.body {
		t.Errorf("a repeat: got %d %v, asked %d times: %s, want %s", got.status, got.header, len(asked)-before, got.body, first.body)
	}
}

// TestBlockingOnSomeLines: the answer of every line is stored, whichever was asked first.
func TestBlockingOnSomeLines(t *testing.T) {
	t.Parallel()
	r := openWith(t, func(o *api.Options) {
		o.Keys = append(o.Keys, api.Key{Name: "desk", Secrets: []string{"desk"}, Role: api.Agent, Lines: []string{"otra"}})
		o.Block = func(_ context.Context, c store.Conversation, _ bool) error {
			if c.Line == "wsp4" {
				return nil
			}
			return errors.New("cannot, on " + c.Line)
		}
	})
	r.say(t, 1, "wsp4", "hola")
	who := read[api.Conversation](t, r, "GET /conversations/"+r.first(t), "").Contact.ID
	if got := ask(t, r, "desk", "POST /contacts/"+who+"/block", ""); got.status != http.StatusNotFound {
		t.Errorf("a key that sees none of the conversations: %d %s", got.status, got.body)
	}
	r.say(t, 1, "ventas", "hola")
	r.say(t, 1, "otra", "hola")
	if c := read[api.Contact](t, r, "POST /contacts/"+who+"/block", ""); !c.Blocked || !c.HereOnly {
		t.Errorf("got %+v", c)
	}
	audit := read[api.AuditPage](t, r, "GET /audit", "").Items
	if want := "otra: cannot, on otra; ventas: cannot, on ventas"; !strings.HasSuffix(audit[0].Detail, want) {
		t.Errorf("audit: got %q, want %q", audit[0].Detail, want)
	}
	if got := ask(t, r, "desk", "POST /contacts/"+who+"/unblock", ""); got.status != http.StatusOK {
		t.Errorf("a key that sees one: %d %s", got.status, got.body)
	}
}

// TestOptedOut: only a template that WhatsApp counts as marketing is refused.
func TestOptedOut(t *testing.T) {
	t.Parallel()
	r := openWith(t, func(o *api.Options) {
		o.Marketing = func(_ context.Context, line, template, language string) bool {
			return line == "wsp4" && template == "promo" && language == "es_AR"
		}
	})
	r.say(t, 1, "wsp4", "hola")
	id := r.first(t)
	said := []string{"hola"}
	say := func(text string) {
		said = append(said, text)
		r.say(t, 1, "wsp4", said...) // the earlier ones again: they change nothing
	}
	send := func(template string) answer {
		return ask(t, r, "agent", "POST /conversations/"+id+"/messages", strings.Replace(reminder, "recordatorio", template, 1))
	}
	if got := send("promo"); got.status != http.StatusCreated {
		t.Errorf("before: %d %s", got.status, got.body)
	}
	say("baja")
	if c := read[api.Conversation](t, r, "GET /conversations/"+id, ""); !c.Contact.NoPromos || !c.Contact.OptedOut {
		t.Errorf("got %+v", c.Contact)
	}
	if got := send("promo"); got.status != http.StatusConflict || !strings.Contains(got.body, `"opted_out"`) {
		t.Errorf("marketing: %d %s", got.status, got.body)
	}
	if got := send("recordatorio"); got.status != http.StatusCreated {
		t.Errorf("utility: %d %s", got.status, got.body)
	}
	say("alta")
	if got := send("promo"); got.status != http.StatusCreated {
		t.Errorf("after alta: %d %s", got.status, got.body)
	}
}

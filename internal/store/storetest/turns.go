package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

func turns(t *testing.T, e Engine) {
	t.Run("first contact", func(t *testing.T) {
		d := open(t, e)
		a := says(person(1), "wamid.1", "hola", d.now)
		r := d.handle(a)
		if r.Reason != router.FirstContact || r.Replies != 1 || r.State != router.StateMenu || r.Duplicate {
			t.Fatalf("got %+v", r)
		}
		if want := (store.Wake{Line: "wsp4", Conversation: r.Conversation}); r.Wake == nil || *r.Wake != want {
			t.Fatalf("got send %v, want %v", r.Wake, want)
		}
		c := d.conversation(r.Conversation)
		if c.Contact.Name != "Persona 1" || c.Contact.Phone != person(1).Phone || c.Contact.UserID != person(1).UserID {
			t.Errorf("got contact %+v", c.Contact)
		}
		if c.Line != "wsp4" || c.Menu != "principal" || !c.LastInbound.Equal(a.SentAt) || c.CreatedAt.IsZero() {
			t.Errorf("got %+v", c)
		}
		list := d.messages(r.Conversation)
		if len(list) != 2 {
			t.Fatalf("got %d messages, want the person's and the menu", len(list))
		}
		in, out := list[0], list[1]
		want := store.Message{
			ID: r.MessageID, Conversation: r.Conversation, Line: "wsp4", Direction: "inbound", Author: store.AuthorContact,
			Type: "text", Text: "hola", ProviderID: "wamid.1", Status: store.Received, Reason: router.FirstContact,
			Raw: a.Raw, SentAt: a.SentAt, ReceivedAt: a.ReceivedAt, CreatedAt: d.now,
		}
		if diff := cmp.Diff(in, want); diff != "" {
			t.Errorf("message (-got +want):\n%s", diff)
		}
		if out.Author != store.AuthorRouter || out.Direction != "outbound" || out.Status != store.Queued ||
			out.Body.Reply == nil || out.Body.Reply.Menu != "principal" || out.Text != out.Body.Reply.Text || out.Epoch != c.Epoch {
			t.Errorf("got reply %+v", out)
		}
		if diff := cmp.Diff(d.eventTypes(r.Conversation), []string{store.EventOpened, store.EventReceived}); diff != "" {
			t.Errorf("events (-got +want):\n%s", diff)
		}
	})

	t.Run("hand-off with ticket", func(t *testing.T) {
		d := open(t, e)
		d.say(person(1), "a", "hola")
		d.say(person(1), "b", "1")
		r := d.say(person(1), "c", "11")
		if r.State != router.StateHandedOff {
			t.Fatalf("got %+v", r)
		}
		c := d.conversation(r.Conversation)
		if c.Area != "admin" || c.Tag != "pagos" || c.Ticket != "PSI-2026-000001" || c.TimeoutAt.IsZero() {
			t.Errorf("got %+v", c)
		}
		list := d.messages(r.Conversation)
		if last := list[len(list)-1]; !strings.Contains(last.Text, "PSI-2026-000001") || strings.Contains(last.Text, "{ticket}") {
			t.Errorf("got confirmation %q", last.Text)
		}
		tr := d.trace("psi-2026-000001")
		want := []store.HandoffRow{{Conversation: c.ID, Ticket: c.Ticket, Area: "admin", Tag: "pagos", By: "router", At: d.now}}
		if diff := cmp.Diff(tr.Handoffs, want); diff != "" {
			t.Errorf("hand-offs (-got +want):\n%s", diff)
		}
		if r := d.say(person(1), "d", "menu"); r.Replies != 0 || r.Reason != router.HandedOffSilent {
			t.Errorf("got %+v", r)
		}
		// One sequence for all, and one for each year.
		r2 := d.say(person(2), "e", "11")
		if got := d.conversation(r2.Conversation).Ticket; got != "PSI-2026-000002" {
			t.Errorf("got %s", got)
		}
		d.now = time.Date(2027, 1, 1, 2, 0, 0, 0, time.UTC) // still 2026 in Buenos Aires
		r3 := d.say(person(3), "f", "11")
		d.now = d.now.Add(2 * time.Hour)
		r4 := d.say(person(4), "g", "11")
		if got := []string{d.conversation(r3.Conversation).Ticket, d.conversation(r4.Conversation).Ticket}; !cmp.Equal(got, []string{"PSI-2026-000003", "PSI-2027-000001"}) {
			t.Errorf("got %v", got)
		}
	})

	t.Run("duplicates change nothing and repeat wake-ups", func(t *testing.T) {
		d := open(t, e)
		photo := says(person(1), "p", "mirá", d.now)
		photo.Content.Type, photo.Content.Media = "image", &inbound.Media{ID: "m1", MIME: "image/jpeg", Inline: "QUJD"}
		first := d.turn(says(person(1), "a", "hola", d.now), photo, says(person(1), "a", "hola", d.now))
		if !first[2].Duplicate || first[2].MessageID != first[0].MessageID || first[2].Reason != router.Duplicate {
			t.Fatalf("within a batch: got %+v", first[2])
		}
		before := d.messages(first[0].Conversation)
		again := d.turn(photo, says(person(1), "a", "hola", d.now))
		if !again[0].Duplicate || !again[1].Duplicate || again[1].Wake == nil {
			t.Fatalf("got %+v", again)
		}
		if again[0].Media == nil || again[0].Media.MessageID != first[1].MessageID || again[0].Media.Media.Inline != "QUJD" {
			t.Errorf("got media %+v", again[0].Media)
		}
		if diff := cmp.Diff(d.messages(first[0].Conversation), before); diff != "" {
			t.Errorf("messages changed (-got +want):\n%s", diff)
		}
		d.deliver(first[0].Conversation)
		if err := d.SaveMedia(t.Context(), first[1].MessageID, store.Media{Media: inbound.Media{ID: "m1", MIME: "image/jpeg", Size: 3}, State: store.MediaReady, Path: "ab/cd"}); err != nil {
			t.Fatal(err)
		}
		done := d.turn(photo, says(person(1), "a", "hola", d.now))
		if done[0].Media != nil || done[1].Wake != nil {
			t.Errorf("nothing is left to do: got %+v", done)
		}
		if m := d.message(first[0].Conversation, "p"); m.Media == nil || m.Media.State != store.MediaReady || m.Media.Path != "ab/cd" {
			t.Errorf("got media %+v", m.Media)
		}
		if err := d.SaveMedia(t.Context(), "nobody", store.Media{}); !isNotFound(err) {
			t.Errorf("got %v, want not found", err)
		}
	})

	t.Run("a key is kind, line and id", func(t *testing.T) {
		d := open(t, e)
		r := d.say(person(1), "same", "hola")
		other := says(person(2), "same", "hola", d.now)
		other.LineRef, other.Line = "otro", "ventas"
		if got := d.handle(other); got.Duplicate || got.Conversation == r.Conversation {
			t.Errorf("another line: got %+v", got)
		}
		if got := d.handle(echoed(person(1), "same", "otra cosa", d.now)); got.Duplicate {
			t.Errorf("an echo: got %+v", got)
		}
		nameless := says(person(3), "", "uno", d.now)
		second := says(person(3), "", "dos", d.now)
		got := d.turn(nameless, second, nameless)
		if got[0].Duplicate || got[1].Duplicate || !got[2].Duplicate {
			t.Errorf("without ids: got %+v", got)
		}
	})

	t.Run("batch order is conversation order", func(t *testing.T) {
		d := open(t, e)
		got := d.turn(
			says(person(1), "1", "hola", d.now), says(person(2), "2", "hola", d.now),
			says(person(1), "3", "1", d.now), says(person(2), "4", "2", d.now), says(person(1), "5", "11", d.now),
		)
		var reasons []router.Reason
		for _, r := range got {
			reasons = append(reasons, r.Reason)
		}
		want := []router.Reason{router.FirstContact, router.FirstContact, router.MenuChoice, router.HandedOff, router.HandedOff}
		if diff := cmp.Diff(reasons, want); diff != "" {
			t.Errorf("reasons (-got +want):\n%s", diff)
		}
		var order []string
		for _, m := range d.messages(got[0].Conversation) {
			order = append(order, m.Direction+" "+m.ProviderID)
		}
		if diff := cmp.Diff(order, []string{"inbound 1", "outbound ", "inbound 3", "outbound ", "inbound 5", "outbound "}); diff != "" {
			t.Errorf("order (-got +want):\n%s", diff)
		}
	})

	t.Run("stale and late are stored and change nothing", func(t *testing.T) {
		d := open(t, e)
		r := d.say(person(1), "a", "hola")
		before := d.conversation(r.Conversation)
		old := says(person(1), "b", "1", d.now)
		old.SentAt = d.now.Add(-11 * time.Minute)
		late := says(person(1), "c", "1", d.now)
		late.Late = true
		got := d.turn(old, late)
		if got[0].Reason != router.Stale || got[1].Reason != router.Late || got[0].Replies+got[1].Replies != 0 {
			t.Fatalf("got %+v", got)
		}
		after := d.conversation(r.Conversation)
		if after.Menu != before.Menu || after.State != before.State || after.Epoch != before.Epoch {
			t.Errorf("got %+v, want %+v", after, before)
		}
		if n := len(d.messages(r.Conversation)); n != 4 {
			t.Errorf("got %d messages, want all", n)
		}
		// Without a time of the provider nothing is stale.
		unknown := says(person(1), "d", "1", d.now)
		unknown.SentAt = time.Time{}
		if got := d.handle(unknown); got.Reason != router.MenuChoice {
			t.Errorf("got %s", got.Reason)
		}
		// A late first contact is kept too.
		lone := says(person(9), "e", "hola", d.now)
		lone.Late = true
		if got := d.handle(lone); got.Reason != router.Late || got.Conversation == "" || got.MessageID == "" {
			t.Errorf("got %+v", got)
		}
	})

	t.Run("the age of a message is counted by WhatsApp's clock", func(t *testing.T) {
		for name, tc := range map[string]struct {
			old, ahead time.Duration
			want       router.Reason
		}{
			"new, and the clocks agree":   {0, 0, router.FirstContact},
			"old, and the clocks agree":   {11 * time.Minute, 0, router.Stale},
			"new, and our clock is ahead": {15 * time.Minute, 15 * time.Minute, router.FirstContact},
			"old, and our clock is behind": {
				-45 * time.Minute, -time.Hour, router.Stale,
			},
		} {
			t.Run(name, func(t *testing.T) {
				d := open(t, e)
				a := says(person(1), "a", "hola", d.now)
				a.SentAt, a.Ahead = d.now.Add(-tc.old), tc.ahead
				if got := d.handle(a); got.Reason != tc.want {
					t.Errorf("got %s, want %s", got.Reason, tc.want)
				}
			})
		}
	})

	t.Run("lines without a window", func(t *testing.T) {
		d := open(t, e)
		for _, line := range []string{"wsp4", "ventas"} {
			write := func(id, text string) store.Result {
				a := says(person(1), line+id, text, d.now)
				a.Line, a.LineRef = line, line
				return d.handle(a)
			}
			write("a", "hola")
			write("b", "1")
			d.tick(25 * time.Hour)
			want := router.WindowExpired
			if line == "ventas" {
				want = router.InvalidInput
			}
			if got := write("c", "qué tal"); got.Reason != want {
				t.Errorf("%s: got %s, want %s", line, got.Reason, want)
			}
		}
	})

	t.Run("names", func(t *testing.T) {
		d := open(t, e)
		p := person(1)
		p.Name = ""
		r := d.say(p, "a", "hola")
		p.Name, p.Username = "Ana", "ana1"
		d.say(p, "b", "1")
		p.Name, p.Username = "Otra", "ana2"
		d.say(p, "c", "1")
		if c := d.conversation(r.Conversation).Contact; c.Name != "Ana" || c.Username != "ana2" {
			t.Errorf("got %+v, want the first name and the last username", c)
		}
	})

	t.Run("reject", func(t *testing.T) {
		d := open(t, e)
		a := says(person(1), "a", "hola", d.now)
		for range 2 {
			if err := d.Reject(t.Context(), d.now, a, "step: panic: boom"); err != nil {
				t.Fatal(err)
			}
		}
		tr := d.trace("a")
		if len(tr.Messages) != 1 || tr.Messages[0].Reason != router.Invalid || tr.Messages[0].ErrorDetail != "step: panic: boom" {
			t.Fatalf("got %+v", tr.Messages)
		}
		if got := d.handle(a); !got.Duplicate {
			t.Errorf("redriven: got %+v", got)
		}
		if got := d.say(person(1), "b", "hola"); got.Reason != router.FirstContact {
			t.Errorf("the next message: got %s", got.Reason)
		}
		bare := inbound.Arrival{Kind: inbound.Message, ID: "z", Line: "wsp4", LineRef: lineRef, Person: person(1), ReceivedAt: d.now}
		if err := d.Reject(t.Context(), d.now, bare, "no content"); err != nil {
			t.Fatal(err)
		}
		if tr := d.trace("z"); len(tr.Records) != 1 || tr.Records[0].Reason != router.Invalid || tr.Records[0].Detail != "no content" {
			t.Errorf("got %+v", tr.Records)
		}
	})

	t.Run("odd texts come back as they went", func(t *testing.T) {
		d := open(t, e)
		for i, text := range []string{"", "con \x00 nulo", "ñandú 🙈 \u2028", `comillas " y \ barra`, strings.Repeat("largo ", 20000)} {
			a := says(person(1), string(rune('a'+i)), text, d.now)
			a.Raw = []byte("{\"x\":\"\\u0000\xff\"}")
			r := d.handle(a)
			m := d.message(r.Conversation, a.ID)
			if m.Text != text || string(m.Raw) != string(a.Raw) {
				t.Errorf("got %q and %q", m.Text, m.Raw)
			}
		}
	})
}

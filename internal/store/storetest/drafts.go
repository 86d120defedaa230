package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

// text is a message that an agent types.
func text(s string) *store.Draft {
	body, _ := json.Marshal(map[string]any{"type": "text", "text": map[string]string{"body": s}})
	return &store.Draft{Type: "text", Text: s, Body: body}
}

// template is a message that may always be sent.
func template(name string) *store.Draft {
	body, _ := json.Marshal(map[string]any{"type": "template", "template": map[string]any{"name": name, "language": map[string]string{"code": "es_AR"}}})
	return &store.Draft{Type: "template", Text: name, Body: body}
}

// once is a key whose answer names the message.
func once(key, hash string) *store.Idempotency {
	return &store.Idempotency{Key: key, Hash: hash, Answer: func(c store.Conversation, m *store.Message) []byte {
		answer := map[string]string{"conversation": c.ID, "state": string(c.State)}
		if m != nil {
			answer["message"] = m.ID
		}
		out, _ := json.Marshal(answer)
		return out
	}}
}

func saying(id string, what *store.Draft) store.Command {
	return store.Command{Conversation: id, Command: router.Command{Kind: router.CommandAgentSent}, Draft: what, Actor: "crm"}
}

func writing(line string, recipient inbound.Person, what *store.Draft) store.Command {
	cmd := saying("", what)
	cmd.To = &store.Recipient{Line: line, Person: recipient}
	return cmd
}

func (d *driver) do(cmd store.Command) store.CommandResult {
	d.Helper()
	d.tick(time.Second)
	done, err := d.Command(d.Context(), d.now, cmd)
	if err != nil {
		d.Fatalf("%s: %v", cmd.Kind, err)
	}
	return done
}

// refused wants a command to fail, and to change nothing in a conversation.
func (d *driver) refused(cmd store.Command, want error, id string) {
	d.Helper()
	d.pump() // due timers are not the command's doing
	before, said, told, done := d.conversation(id), len(d.messages(id)), len(d.events()), len(d.audit())
	if _, err := d.Command(d.Context(), d.now, cmd); !errors.Is(err, want) {
		d.Errorf("got %v, want %v", err, want)
	}
	if diff := cmp.Diff(d.conversation(id), before); diff != "" || len(d.messages(id)) != said || len(d.events()) != told || len(d.audit()) != done {
		d.Errorf("a refused command changed something: %s", diff)
	}
}

// audit returns all audit rows, newest first.
func (d *driver) audit() (all []store.AuditEntry) {
	d.Helper()
	before := ""
	for {
		list, err := d.Audit(d.Context(), before, d.page)
		if err != nil {
			d.Fatalf("audit: %v", err)
		}
		all = append(all, list...)
		if len(list) < d.page {
			return all
		}
		before = list[len(list)-1].Cursor
	}
}

func drafts(t *testing.T, e Engine) {
	t.Run("an agent's message", func(t *testing.T) {
		d := open(t, e)
		id := d.say(person(1), "a", "hola").Conversation
		done := d.do(saying(id, text("Hola, soy Ana")))
		m := done.Message
		if done.State != router.StateHandedOff || done.Area != "admin" || done.Epoch == 0 {
			t.Errorf("a message in the menu hands off: got %+v", done.Conversation)
		}
		if diff := cmp.Diff(d.conversation(id), done.Conversation); diff != "" {
			t.Errorf("row and answer differ (-got +want):\n%s", diff)
		}
		if m == nil || m.Author != store.AuthorAgent || m.Status != store.Queued || m.Text != "Hola, soy Ana" || m.Reason != router.ByAgent || m.Line != "wsp4" {
			t.Fatalf("got %+v", m)
		}
		if diff := cmp.Diff(d.message(id, m.ID), *m); diff != "" {
			t.Errorf("row and answer differ (-got +want):\n%s", diff)
		}
		// The waiting menu is superseded, the agent's message is not.
		d.command(id, router.CommandClose, "")
		d.tick(2 * time.Hour)
		c := d.claimOne("t", id)
		if c.Post.ID != m.ID || c.Post.Author != store.AuthorAgent || c.Post.Body.Reply != nil || string(c.Post.Body.Cloud) == "" || c.Post.To.Phone != person(1).Phone {
			t.Errorf("got %+v", c)
		}
		d.record(c, store.Sent, "wamid.agent")
		d.statuses(report(person(1), "wamid.agent", "", "delivered", d.now))
		if m := d.message(id, m.ID); m.Status != store.Delivered {
			t.Errorf("got %s", m.Status)
		}
		want := []string{
			store.EventOpened, store.EventReceived, store.EventHandedOff, store.EventClosed, store.EventFailed, store.EventSent, store.EventStatus,
		}
		if diff := cmp.Diff(d.eventTypes(id), want); diff != "" {
			t.Errorf("events (-got +want):\n%s", diff)
		}
		all := d.audit()
		if len(all) != 2 || all[1].Action != "agent_sent" || all[1].Actor != "crm" || all[1].Conversation != id || all[1].Line != "wsp4" || all[1].Detail != "type=text message="+m.ID {
			t.Errorf("audit: got %+v", all)
		}
	})

	t.Run("states", func(t *testing.T) {
		for _, tc := range []struct {
			first router.CommandKind
			want  router.State
		}{
			{router.CommandClose, router.StateHandedOff}, {router.CommandDisconnect, router.StateDisconnected}, {router.CommandHandoff, router.StateHandedOff},
		} {
			d := open(t, e)
			id := d.say(person(1), "a", "hola").Conversation
			before := d.command(id, tc.first, "ventas")
			done := d.do(saying(id, text("acá estoy")))
			area := before.Area
			if tc.first == router.CommandClose {
				area = "admin" // the flow's: no team has had it
			}
			if done.State != tc.want || tc.want == router.StateHandedOff && done.Area != area || done.Ticket != before.Ticket {
				t.Errorf("%s: got %+v", tc.first, done.Conversation)
			}
			if r := d.say(person(1), "b", "menu"); r.Replies != 0 {
				t.Errorf("%s: the bot answered: %+v", tc.first, r)
			}
		}
		d := open(t, e)
		id := d.say(person(1), "a", "hola").Conversation
		d.command(id, router.CommandClose, "")
		only := text("¿seguís ahí?")
		only.OnlyOpen = true
		d.refused(saying(id, only), store.ErrClosed, id)
	})

	t.Run("order", func(t *testing.T) {
		d := open(t, e)
		id := d.say(person(1), "a", "2").Conversation
		d.deliver(id)
		var want []string
		for i := range 5 {
			want = append(want, d.do(saying(id, text(fmt.Sprint("línea ", i)))).Message.ID)
		}
		var got []string
		for i := range want {
			c := d.claimOne(fmt.Sprint("t", i), id)
			got = append(got, c.Post.ID)
			d.record(c, store.Sent, "wamid.line."+c.Post.ID)
		}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("sent (-got +want):\n%s", diff)
		}
	})

	t.Run("window", func(t *testing.T) {
		d := open(t, e)
		id := d.say(person(1), "a", "2").Conversation
		d.deliver(id)
		waiting := d.do(saying(id, text("a tiempo"))).Message
		d.tick(24 * time.Hour)
		d.refused(saying(id, text("tarde")), store.ErrWindowClosed, id)
		sent := d.do(saying(id, template("recordatorio")))
		c := d.claimOne("t", id)
		if c.Post.ID != sent.Message.ID {
			t.Errorf("got %+v", c)
		}
		if m := d.message(id, waiting.ID); m.Status != store.Failed || m.Reason != router.WindowClosed {
			t.Errorf("a message that waited too long: got %s %s", m.Status, m.Reason)
		}
		a := says(person(2), "b", "hola", d.now)
		a.Line, a.LineRef = "ventas", "ventas"
		free := d.handle(a).Conversation
		d.tick(48 * time.Hour)
		d.do(saying(free, text("sin ventana")))
	})

	t.Run("quotes", func(t *testing.T) {
		d := open(t, e)
		r := d.say(person(1), "a", "2")
		other := d.say(person(2), "b", "2")
		d.deliver(r.Conversation)
		reply := text("a eso")
		reply.Quotes = r.MessageID
		done := d.do(saying(r.Conversation, reply))
		if done.Message.QuotedID != "a" {
			t.Errorf("got %+v", done.Message)
		}
		if c := d.claimOne("t", r.Conversation); c.Post.QuotedID != "a" {
			t.Errorf("got %+v", c.Post)
		}
		for _, id := range []string{"nothing", other.MessageID, d.do(saying(r.Conversation, text("sin id"))).Message.ID} {
			bad := text("x")
			bad.Quotes = id
			d.refused(saying(r.Conversation, bad), store.ErrNoQuote, r.Conversation)
		}
	})

	t.Run("a file by its link", func(t *testing.T) {
		d := open(t, e)
		id := d.say(person(1), "a", "2").Conversation
		draft := &store.Draft{
			Type: "document", Text: "el programa", Body: json.RawMessage(`{"type":"document","document":{"link":"https://example.com/a.pdf"}}`),
			Media: &store.Media{Media: inbound.Media{URL: "https://example.com/a.pdf", Name: "a.pdf"}, State: store.MediaReady},
		}
		m := d.do(saying(id, draft)).Message
		if diff := cmp.Diff(d.message(id, m.ID), *m); diff != "" || m.Media.URL == "" {
			t.Errorf("(-got +want):\n%s", diff)
		}
	})

	t.Run("to a person", func(t *testing.T) {
		d := open(t, e)
		p := person(1)
		for _, written := range []string{"+54 9 11 0000-0001", "5491100000001", "11 0000 0001"} {
			recipient := inbound.Person{Phone: written, National: true}
			if _, err := d.Command(t.Context(), d.now, writing("wsp4", recipient, text("hola"))); !errors.Is(err, store.ErrWindowClosed) {
				t.Errorf("%s: who never wrote gets templates only: got %v", written, err)
			}
			if got := d.events(); len(got) != 0 {
				t.Fatalf("left %+v", got)
			}
		}
		first := d.do(writing("wsp4", inbound.Person{Phone: "+54 9 11 0000-0001", National: true}, template("hola")))
		if first.State != router.StateHandedOff || first.Contact.Phone != p.Phone || first.CreatedAt.IsZero() {
			t.Errorf("got %+v", first.Conversation)
		}
		if diff := cmp.Diff(d.conversation(first.ID), first.Conversation); diff != "" {
			t.Errorf("row and answer differ (-got +want):\n%s", diff)
		}
		if c := d.claimOne("t", first.ID); c.Post.To.Phone != p.Phone {
			t.Errorf("posted to %+v", c.Post.To)
		}
		if r := d.say(p, "a", "¿quién sos?"); r.Conversation != first.ID || r.Replies != 0 {
			t.Errorf("the answer came elsewhere: %+v", r)
		}
		for i, recipient := range []inbound.Person{
			{Phone: "5491100000001", National: true}, {Phone: "11 0000-0001", National: true}, {UserID: p.UserID},
		} {
			done := d.do(writing("wsp4", recipient, text("hola")))
			if done.ID != first.ID {
				t.Errorf("%d: another conversation: %+v", i, done.Conversation)
			}
			if done.Contact.Phone != p.Phone || done.Contact.UserID != p.UserID {
				t.Errorf("%d: the contact changed: %+v", i, done.Contact)
			}
		}
		// Abroad, as WhatsApp names it: not taken for a national number.
		abroad := inbound.Person{Phone: "5215512345678"}
		id := d.say(abroad, "mx", "2").Conversation
		if done := d.do(writing("wsp4", inbound.Person{Phone: "5215512345678", National: true}, text("hola"))); done.ID != id {
			t.Errorf("got %+v", done.Conversation)
		}
		if other := d.do(writing("ventas", inbound.Person{UserID: p.UserID}, text("hola"))); other.ID == first.ID || other.Contact.ID != first.Contact.ID {
			t.Errorf("on another line: got %+v", other.Conversation)
		}
		list, err := d.Conversations(t.Context(), store.Filter{Line: "ventas"})
		if err != nil || len(list) != 1 {
			t.Errorf("on the list: %d, %v", len(list), err)
		}
	})

	t.Run("once", func(t *testing.T) {
		d := open(t, e)
		id := d.say(person(1), "a", "2").Conversation
		cmd := saying(id, text("una vez"))
		cmd.Idempotency = once("k", "h")
		first := d.do(cmd)
		want := string(cmd.Idempotency.Answer(first.Conversation, first.Message))
		for range 2 {
			if again := d.do(cmd); string(again.Replayed) != want || again.Message != nil {
				t.Errorf("got %q, want %q", again.Replayed, want)
			}
			d.reopen()
		}
		other := saying(id, text("otra cosa"))
		other.Idempotency = once("k", "h2")
		d.refused(other, store.ErrKeyReused, id)
		theirs := other
		theirs.Actor = "n8n"
		if done := d.do(theirs); done.Message == nil {
			t.Errorf("the same key of somebody else: got %+v", done)
		}
		// A refused command may be tried again.
		later := saying(id, text("cerrada"))
		later.Draft.OnlyOpen, later.Idempotency = true, once("k2", "h")
		d.command(id, router.CommandClose, "")
		d.refused(later, store.ErrClosed, id)
		d.command(id, router.CommandReopen, "")
		if done := d.do(later); done.Message == nil {
			t.Errorf("got %+v", done)
		}
		// A command without effect is remembered too.
		cl := store.Command{Conversation: id, Command: router.Command{Kind: router.CommandReopen}, Actor: "crm", Idempotency: once("k3", "h")}
		if done := d.do(cl); done.Replayed != nil {
			t.Errorf("got %s", done.Replayed)
		}
		if done := d.do(cl); done.Replayed == nil {
			t.Error("not remembered")
		}
		d.tick(store.IdempotencyTTL)
		if got := d.command(id, router.CommandAgentSent, ""); got.ID == "" {
			t.Error("no conversation")
		}
		tpl := saying(id, template("mañana"))
		tpl.Idempotency = once("k", "h9")
		if done := d.do(tpl); done.Message == nil {
			t.Errorf("a day later the key is free: got %+v", done)
		}
		d.pump()
		if done := d.do(tpl); done.Replayed == nil {
			t.Error("the pump forgets too early")
		}
		d.tick(store.IdempotencyTTL)
		d.pump()
		if done := d.do(tpl); done.Message == nil {
			t.Errorf("got %+v", done)
		}
	})

	t.Run("a hundred at once", func(t *testing.T) {
		d := open(t, e)
		id := d.say(person(1), "a", "2").Conversation
		for what, cmd := range map[string]store.Command{
			"conversation": saying(id, text("una vez")), "person": writing("wsp4", inbound.Person{Phone: "5491133334444", National: true}, template("hola")),
		} {
			cmd.Idempotency = once(what, "h")
			now, answers := d.now, make(chan string, 100)
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() {
					for {
						done, err := d.Command(t.Context(), now, cmd)
						if errors.Is(err, store.ErrBusy) {
							continue
						}
						if err != nil {
							t.Errorf("%s: %v", what, err)
						}
						if done.Replayed == nil {
							done.Replayed = cmd.Idempotency.Answer(done.Conversation, done.Message)
						}
						answers <- string(done.Replayed)
						return
					}
				})
			}
			all.Wait()
			close(answers)
			seen := map[string]int{}
			for a := range answers {
				seen[a]++
			}
			if len(seen) != 1 {
				t.Errorf("%s: %d different answers", what, len(seen))
			}
		}
		said := 0
		list, err := d.Conversations(t.Context(), store.Filter{Line: "wsp4"})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			for _, m := range d.messages(c.ID) {
				if m.Author == store.AuthorAgent {
					said++
				}
			}
		}
		if said != 2 || len(d.audit()) != 2 {
			t.Errorf("%d messages and %d audit rows; want one of each", said, len(d.audit()))
		}
	})

	t.Run("who may", func(t *testing.T) {
		d := open(t, e)
		id := d.say(person(1), "a", "hola").Conversation
		by := func(area string, cmd store.Command) store.Command {
			cmd.CanSee = func(c store.Conversation) bool { return c.Area == area }
			return cmd
		}
		say := func(area string) *store.Draft {
			what := template("no")
			what.Area = area
			return what
		}
		stranger := func(what *store.Draft) store.Command { return writing("wsp4", person(9), what) }
		// Access to a conversation without a team is the new team's: here the flow's, or
		// the named one.
		d.refused(by("ventas", saying(id, say(""))), store.ErrNotFound, id)
		d.refused(by("ventas", saying(id, say("admin"))), store.ErrNotFound, id)
		d.refused(by("ventas", stranger(say(""))), store.ErrNotFound, id)
		d.refused(by("ventas", stranger(notice("no"))), store.ErrNotFound, id)
		d.refused(by("ventas", saying(id, notice("no"))), store.ErrNotFound, id)
		d.refused(by("ventas", store.Command{Conversation: id, Command: router.Command{Kind: router.CommandClose}}), store.ErrNotFound, id)
		if tr := d.trace(person(9).Phone); len(tr.Conversations) != 0 {
			t.Errorf("left %+v", tr)
		}
		if done := d.do(by("ventas", stranger(say("ventas")))); done.Area != "ventas" {
			t.Errorf("got %+v", done)
		}
		if done := d.do(by("ventas", saying(id, say("ventas")))); done.Area != "ventas" {
			t.Errorf("got %+v", done)
		}
		// A conversation with a team is that team's, whatever is named.
		d.refused(by("admin", saying(id, say("admin"))), store.ErrNotFound, id)
		// Then the last team gets it.
		d.command(id, router.CommandClose, "")
		d.refused(by("admin", saying(id, say(""))), store.ErrNotFound, id)
		if done := d.do(by("ventas", saying(id, say("")))); done.Area != "ventas" {
			t.Errorf("got %+v", done)
		}
		d.command(id, router.CommandClose, "")
		d.command(id, router.CommandDisconnect, "")
		d.refused(by("ventas", saying(id, say("ventas"))), store.ErrNotFound, id) // it still has no team
	})

	t.Run("audit", func(t *testing.T) {
		d := open(t, e)
		id := d.say(person(1), "a", "hola").Conversation
		for i := range 10 {
			if err := d.AddAudit(t.Context(), store.AuditRow{Actor: "boss", Action: "queue_pause", Detail: fmt.Sprint(i), At: d.now}); err != nil {
				t.Fatal(err)
			}
		}
		d.command(id, router.CommandHandoff, "admin")
		all := d.audit()
		if len(all) != 11 || all[0].Area != "admin" || all[0].Action != "handoff" || all[10].Detail != "0" || all[10].Conversation != "" || !all[10].At.Equal(noon().Add(time.Second)) {
			t.Errorf("got %+v", all)
		}
	})
}

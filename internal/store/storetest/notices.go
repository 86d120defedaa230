package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

// notice is a program's message that does not take over the conversation.
func notice(name string) *store.Draft {
	d := template(name)
	d.Notice = true
	return d
}

// untriedNotices lists the conversations of untried notices.
func (d *driver) untriedNotices(limit int) (ids []string) {
	d.Helper()
	wakes, err := d.UntriedNotices(d.Context(), limit)
	if err != nil {
		d.Fatalf("notices: %v", err)
	}
	for _, w := range wakes {
		ids = append(ids, w.Conversation)
	}
	return ids
}

func notices(t *testing.T, e Engine) {
	t.Run("nothing of the conversation changes", func(t *testing.T) {
		for _, first := range []router.CommandKind{"", router.CommandHandoff, router.CommandClose, router.CommandDisconnect} {
			d := open(t, e)
			id := d.say(person(1), "a", "hola").Conversation
			d.deliver(id)
			if first != "" {
				d.command(id, first, "ventas")
				d.deliver(id)
			}
			before, told := d.conversation(id), d.eventTypes(id)
			m := d.do(saying(id, notice("recordatorio"))).Message
			if m.Author != store.AuthorProgram || m.Reason != router.ByAPI || m.Status != store.Queued {
				t.Errorf("%q: got %+v", first, m)
			}
			if diff := cmp.Diff(d.conversation(id), before); diff != "" {
				t.Errorf("%q: the conversation changed (-got +want):\n%s", first, diff)
			}
			if diff := cmp.Diff(d.eventTypes(id), told); diff != "" {
				t.Errorf("%q: events (-got +want):\n%s", first, diff)
			}
			c := d.claimOne("t", id)
			if !c.Post.Notice || c.Post.ID != m.ID {
				t.Errorf("%q: got %+v", first, c)
			}
			d.record(c, store.Sent, "wamid.notice")
			want := append(told, store.EventSent)
			if diff := cmp.Diff(d.eventTypes(id), want); diff != "" {
				t.Errorf("%q: events (-got +want):\n%s", first, diff)
			}
			before.Seq++
			if diff := cmp.Diff(d.conversation(id), before); diff != "" {
				t.Errorf("%q: the conversation changed (-got +want):\n%s", first, diff)
			}
		}
	})

	t.Run("a new contact is in the menu, and opens when they write", func(t *testing.T) {
		d := open(t, e)
		done := d.do(writing("wsp4", person(1), notice("recordatorio")))
		id := done.ID
		if done.State != router.StateMenu || done.Area != "" || !done.LastMessageAt.IsZero() {
			t.Errorf("got %+v", done.Conversation)
		}
		d.deliver(id)
		d.reopen()
		r := d.say(person(1), "a", "hola")
		if r.Conversation != id || r.Reason != router.FirstContact {
			t.Errorf("got %+v", r)
		}
		d.deliver(id)
		d.do(writing("wsp4", person(1), notice("recordatorio")))
		d.say(person(1), "b", "1")
		want := []string{store.EventSent, store.EventOpened, store.EventReceived, store.EventSent, store.EventReceived}
		if diff := cmp.Diff(d.eventTypes(id), want); diff != "" {
			t.Errorf("events (-got +want):\n%s", diff)
		}
	})

	t.Run("it opens when one of ours takes it over, too", func(t *testing.T) {
		d := open(t, e)
		id := d.do(writing("wsp4", person(1), notice("recordatorio"))).ID
		d.deliver(id)
		d.do(saying(id, template("consulta")))
		want := []string{store.EventSent, store.EventOpened, store.EventHandedOff}
		if diff := cmp.Diff(d.eventTypes(id), want); diff != "" {
			t.Errorf("events (-got +want):\n%s", diff)
		}
	})

	t.Run("only the pump wakes them", func(t *testing.T) {
		d := open(t, e)
		var ids []string
		for i := range 5 {
			ids = append(ids, d.do(writing("wsp4", person(i), notice("recordatorio"))).ID)
		}
		other := d.do(writing("ventas", person(9), notice("recordatorio"))).ID
		if diff := cmp.Diff(d.untriedNotices(3), append([]string{other}, ids[:3]...)); diff != "" {
			t.Errorf("the oldest of each line (-got +want):\n%s", diff)
		}
		d.tick(10 * time.Minute)
		if p := d.pump(); len(p.Wakes) > 0 {
			t.Errorf("woken: %+v", p.Wakes)
		}
		if g, err := d.Gauges(d.Context(), d.now); err != nil || g.OldestUnanswered != 0 || g.PendingSends != 6 {
			t.Errorf("nobody waits for a notice: got %+v, %v", g, err)
		}
		d.record(d.claimOne("t1", ids[0]), store.Sent, "wamid.1")
		failed := d.claimOne("t2", ids[1])
		if more := d.record(failed, store.Queued, ""); more {
			t.Error("a failed notice counts as more to send")
		}
		if diff := cmp.Diff(d.untriedNotices(9), append([]string{other}, ids[2:]...)); diff != "" {
			t.Errorf("a tried notice is still listed (-got +want):\n%s", diff)
		}
		// A notice that failed once comes again with the sweep of pending rows.
		d.tick(2 * time.Minute)
		if p := d.pump(); !slices.Equal(p.Wakes, []store.Wake{{Line: "wsp4", Conversation: ids[1]}}) {
			t.Errorf("woken: %+v", p.Wakes)
		}
	})

	t.Run("the oldest of each conversation", func(t *testing.T) {
		d := open(t, e)
		var ids, oldest []string
		for i := range 3 {
			for n := range 3 {
				done := d.do(writing("wsp4", person(i), notice("recordatorio")))
				d.tick(time.Second)
				if n == 0 {
					ids, oldest = append(ids, done.ID), append(oldest, done.Message.ID)
				}
			}
		}
		check := func(limit int, want ...string) {
			t.Helper()
			list, err := d.UntriedNotices(d.Context(), limit)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i, n := range list {
				if n.Conversation != ids[i] || n.Line != "wsp4" {
					t.Errorf("got %+v", n)
				}
				got = append(got, n.MessageID)
			}
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		}
		check(20, oldest...)
		check(2, oldest[:2]...)
		d.record(d.claimOne("t1", ids[0]), store.Sent, "wamid.1")
		ids = append(ids[1:], ids[0]) // its second one is older than all but that one
		if list, err := d.UntriedNotices(d.Context(), 20); err != nil || len(list) != 3 || list[0].MessageID == oldest[0] {
			t.Errorf("the next one of a conversation is another: got %+v, %v", list, err)
		}
	})

	t.Run("answers pass the notices that failed", func(t *testing.T) {
		d := open(t, e)
		id := d.do(writing("wsp4", person(1), notice("primero"))).ID
		d.do(writing("wsp4", person(1), notice("segundo")))
		first := d.claimOne("t1", id)
		d.record(first, store.Queued, "")
		d.say(person(1), "a", "hola")
		var order []string
		for i := range 3 {
			c := d.claimOne("t2"+string(rune('a'+i)), id)
			kind := "answer"
			if c.Post.Notice {
				kind = c.Post.ID
			}
			order = append(order, kind)
			d.record(c, store.Sent, "wamid."+c.Post.ID)
		}
		// The second one is untried, so it keeps its place.
		if order[1] != "answer" || order[2] != first.Post.ID {
			t.Errorf("got %v, want the second notice, the answer and %s", order, first.Post.ID)
		}
	})

	t.Run("a claim looks again", func(t *testing.T) {
		d := open(t, e)
		what := notice("recordatorio")
		what.TTL = time.Hour
		late := d.do(writing("wsp4", person(1), what))
		d.tick(time.Hour)
		if claims := d.claim("t", late.ID); len(claims) > 0 {
			t.Errorf("it left after its time: %+v", claims)
		}
		if m := d.message(late.ID, late.Message.ID); m.Status != store.Failed || m.Reason != router.Expired {
			t.Errorf("got %s, %s", m.Status, m.Reason)
		}
		marketing := notice("promo")
		marketing.Marketing = true
		promo := d.do(writing("wsp4", person(2), marketing))
		d.turn(optOut(person(2), "stop", d.now))
		if claims := d.claim("t", promo.ID); len(claims) > 0 {
			t.Errorf("marketing left after the stop: %+v", claims)
		}
		if m := d.message(promo.ID, promo.Message.ID); m.Status != store.Failed || m.Reason != router.OptedOut {
			t.Errorf("got %s, %s", m.Status, m.Reason)
		}
		if _, err := d.Command(d.Context(), d.now, writing("wsp4", person(2), marketing)); !errors.Is(err, store.ErrOptedOut) {
			t.Errorf("got %v", err)
		}
		d.do(writing("wsp4", person(2), notice("recordatorio")))
	})

	t.Run("a button that only answers", func(t *testing.T) {
		d := open(t, e)
		id := d.say(person(1), "a", "2").Conversation
		d.command(id, router.CommandHandoff, "ventas")
		d.deliver(id)
		d.do(saying(id, text("Te atiende Ana")))
		d.deliver(id)
		before := len(d.eventTypes(id))
		r := d.handle(buttonTap(person(1), "b", "turnos/confirmar", d.now))
		if r.Reason != router.TemplateButton || r.Replies != 1 || r.State != router.StateHandedOff {
			t.Errorf("got %+v", r)
		}
		if c := d.conversation(id); !c.WaitingSince.IsZero() || c.Area != "ventas" || c.Ticket == "" {
			t.Errorf("the team owes nothing for it: got %+v", c)
		}
		if got := d.deliver(id); !slices.Equal(got, []string{"¡Gracias!"}) {
			t.Errorf("said %q", got)
		}
		want := []string{store.EventReceived, store.EventTagged, store.EventSent}
		if diff := cmp.Diff(d.eventTypes(id)[before:], want); diff != "" {
			t.Errorf("events (-got +want):\n%s", diff)
		}
		// A button that chooses an option is for the team.
		if r := d.handle(buttonTap(person(1), "c", "admin/11", d.now)); r.Reason != router.HandedOffSilent || r.Replies != 0 {
			t.Errorf("got %+v", r)
		}
		if c := d.conversation(id); c.WaitingSince.IsZero() {
			t.Error("the team owes an answer")
		}
		if all := d.audit(); all[0].Action != "note" || all[0].Detail != "button=admin/11" || all[0].Conversation != id {
			t.Errorf("audit: got %+v", all[0])
		}
	})

	t.Run("a button, when the time of the team is over", func(t *testing.T) {
		over := func(t *testing.T) (d *driver, id string, told int) {
			d = open(t, e)
			d.say(person(1), "a", "hola")
			id = d.say(person(1), "b", "2").Conversation
			d.deliver(id)
			told = len(d.eventTypes(id))
			d.tick(25 * time.Hour)
			return d, id, told
		}
		d, id, before := over(t)
		if r := d.handle(buttonTap(person(1), "c", "turnos/confirmar", d.now)); r.Reason != router.TemplateButton || r.State != router.StateClosed {
			t.Errorf("only answers: got %+v", r)
		}
		d.pump()
		if got := d.deliver(id); !slices.Equal(got, []string{"¡Gracias!"}) || d.conversation(id).State != router.StateClosed {
			t.Errorf("said %q, and is %s", got, d.conversation(id).State)
		}
		want := []string{store.EventReceived, store.EventClosed, store.EventTagged, store.EventSent}
		if diff := cmp.Diff(d.eventTypes(id)[before:], want); diff != "" {
			t.Errorf("events (-got +want):\n%s", diff)
		}

		d, id, _ = over(t)
		was := d.conversation(id)
		r := d.handle(buttonTap(person(1), "c", "admin/11", d.now))
		c := d.conversation(id)
		if r.Reason != router.HandedOff || c.Area != "admin" || c.Ticket == was.Ticket || c.Ticket == "" || c.WaitingSince.Before(d.now.Add(-time.Minute)) {
			t.Errorf("hands off: got %+v, %+v", r, c)
		}
		d, id, _ = over(t)
		if r := d.handle(buttonTap(person(1), "c", "principal/1", d.now)); r.Reason != router.ReplyChoice || d.conversation(id).Menu != "admin" {
			t.Errorf("shows a menu: got %+v", r)
		}
	})

	t.Run("a takeover is somebody's", func(t *testing.T) {
		d := open(t, e)
		id := d.say(person(1), "a", "hola").Conversation
		what := text("Hola, soy Ana")
		what.Area = "ventas"
		if done := d.do(saying(id, what)); done.Area != "ventas" || done.LastArea != "ventas" {
			t.Errorf("the named area: got %+v", done.Conversation)
		}
		d.command(id, router.CommandClose, "")
		if done := d.do(saying(id, text("¿Seguís ahí?"))); done.Area != "ventas" {
			t.Errorf("the area that had it last: got %+v", done.Conversation)
		}
		d.handle(echoed(person(2), "b", "Te escribo del celular", d.now))
		if c := d.conversation(d.say(person(2), "c", "ok").Conversation); c.State != router.StateHandedOff || c.Area != "admin" {
			t.Errorf("the flow's: got %+v", c)
		}
	})
}

// optOut is Meta's report that a person opted out of marketing.
func optOut(p inbound.Person, id string, at time.Time) inbound.Arrival {
	a := says(p, id, "", at)
	a.Kind, a.Content, a.Choice = inbound.Preference, nil, &inbound.Choice{Stop: true}
	return a
}

// buttonTap is a tap on a template's button.
func buttonTap(p inbound.Person, id, payload string, at time.Time) inbound.Arrival {
	a := says(p, id, "Confirmo", at)
	a.Content.Type, a.Content.ReplyID = "button", payload
	return a
}

package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
)

// spooledText is a text that came at the time and then waited in a spool.
func spooledText(p inbound.Person, id, text string, at time.Time) inbound.Arrival {
	a := says(p, id, text, at)
	a.Spooled = true
	return a
}

// spooled: a spooled message is handled like any other, unless a later message of its
// conversation was handled before it.
func spooled(t *testing.T, e Engine) {
	t.Run("handled in order, however late", func(t *testing.T) {
		d := open(t, e)
		came := d.now
		d.tick(time.Hour)
		for i, want := range []router.Reason{router.FirstContact, router.MenuChoice, router.HandedOff} {
			// Two in one second; the answers to earlier ones are newer than all.
			a := spooledText(person(1), string(rune('a'+i)), []string{"hola", "1", "11"}[i], came.Add(time.Duration(i)*600*time.Millisecond))
			got := d.handle(a)
			if got.Reason != want || got.Replies == 0 {
				t.Fatalf("%s: got %+v, want %s", a.Content.Text, got, want)
			}
			if i == 1 {
				d.deliver(got.Conversation)
				d.reopen()
			}
		}
	})

	t.Run("an overtaken one is kept and changes nothing", func(t *testing.T) {
		for name, gap := range map[string]time.Duration{
			"by minutes": 5 * time.Minute, "within a second": 200 * time.Millisecond, "by the least": time.Microsecond,
		} {
			t.Run(name, func(t *testing.T) {
				d := open(t, e)
				d.say(person(1), "a", "hola")
				came := d.now.Add(time.Minute).Truncate(time.Second)
				d.now = came.Add(gap)
				r := d.handle(says(person(1), "c", "1", came.Add(gap)))
				d.deliver(r.Conversation)
				d.reopen()
				before := d.conversation(r.Conversation)
				late := spooledText(person(1), "b", "11", came)
				if got := d.handle(late); got.Reason != router.Late || got.Replies != 0 || got.Conversation != r.Conversation {
					t.Fatalf("got %+v", got)
				}
				after := d.conversation(r.Conversation)
				if diff := cmp.Diff(after.Conversation, before.Conversation); diff != "" {
					t.Errorf("the conversation changed (-got +want):\n%s", diff)
				}
				if m := d.message(r.Conversation, "b"); m.Reason != router.Late || !m.ReceivedAt.Equal(came) {
					t.Errorf("got %+v", m)
				}
				if got := d.handle(late); !got.Duplicate {
					t.Errorf("again: got %+v", got)
				}
				// The next spooled one is newer than what was handled.
				if got := d.handle(spooledText(person(1), "d", "11", came.Add(gap+time.Second))); got.Reason != router.HandedOff {
					t.Errorf("the next one: got %+v", got)
				}
			})
		}
	})

	t.Run("within a batch", func(t *testing.T) {
		d := open(t, e)
		got := d.turn(
			says(person(1), "b", "hola", d.now.Add(time.Millisecond)), spooledText(person(1), "a", "hola", d.now),
			spooledText(person(2), "c", "hola", d.now), spooledText(person(2), "d", "1", d.now.Add(time.Millisecond)),
		)
		var reasons []router.Reason
		for _, r := range got {
			reasons = append(reasons, r.Reason)
		}
		want := []router.Reason{router.FirstContact, router.Late, router.FirstContact, router.MenuChoice}
		if diff := cmp.Diff(reasons, want); diff != "" {
			t.Errorf("reasons (-got +want):\n%s", diff)
		}
	})

	t.Run("others overtake nobody", func(t *testing.T) {
		d := open(t, e)
		d.say(person(1), "a", "hola")
		came := d.now
		d.tick(time.Minute)
		d.say(person(2), "b", "hola")
		elsewhere := says(person(1), "c", "hola", d.now)
		elsewhere.Line, elsewhere.LineRef = "ventas", "otro"
		d.handle(elsewhere)
		redriven := says(person(1), "d", "1", d.now)
		redriven.Late = true
		d.handle(redriven)
		if got := d.handle(spooledText(person(1), "e", "1", came)); got.Reason != router.MenuChoice || got.Replies == 0 {
			t.Errorf("got %+v", got)
		}
	})

	t.Run("echoes", func(t *testing.T) {
		d := open(t, e)
		r := d.say(person(1), "a", "hola")
		came := d.now
		d.tick(time.Minute)
		d.say(person(1), "b", "1")
		e := echoed(person(1), "e", "te leo", came)
		e.Spooled = true
		if got := d.handle(e); got.Reason != router.Late || d.conversation(r.Conversation).State != router.StateMenu {
			t.Errorf("overtaken: got %+v", got)
		}
		came = d.now
		d.tick(time.Minute)
		d.handle(echoed(person(1), "f", "acá estoy", d.now))
		if got := d.handle(spooledText(person(1), "c", "volver", came)); got.Reason != router.Late {
			t.Errorf("overtaken by an echo: got %+v", got)
		}
		d.command(r.Conversation, router.CommandReset, "")
		last := echoed(person(1), "g", "hola, soy Ana", d.now)
		last.Spooled = true
		if got := d.handle(last); got.Reason != router.EchoSent || d.conversation(r.Conversation).State != router.StateHandedOff {
			t.Errorf("in order: got %+v", got)
		}
	})

	t.Run("annotations and preferences count whenever they come", func(t *testing.T) {
		d := open(t, e)
		r := d.say(person(1), "a", "hola")
		came := d.now
		d.tick(time.Minute)
		d.say(person(1), "b", "1")
		love := annotation(person(1), "r", "reaction", "a", "❤️", came)
		love.Spooled = true
		if got := d.handle(love); got.Reason != router.Reaction || len(d.message(r.Conversation, "a").Reactions) != 1 {
			t.Errorf("got %+v", got)
		}
		stop := says(person(1), "s", "", came)
		stop.Kind, stop.Content, stop.Choice, stop.Spooled = inbound.Preference, nil, &inbound.Choice{Category: "marketing", Stop: true}, true
		if got := d.handle(stop); got.Reason != router.OptedOut || !d.conversation(r.Conversation).Contact.OptedOut {
			t.Errorf("got %+v", got)
		}
	})
}

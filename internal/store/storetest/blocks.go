package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

func blocks(t *testing.T, e Engine) {
	tell := func(d *driver, id string, kind router.CommandKind, note string) store.Conversation {
		d.Helper()
		return d.do(store.Command{Conversation: id, Command: router.Command{Kind: kind, Note: note}, Actor: "ana"}).Conversation
	}
	t.Run("a block holds here at once", func(t *testing.T) {
		d := open(t, e)
		id := d.say(person(1), "a", "hola").Conversation
		menu := d.messages(id)[1]
		c := tell(d, id, router.CommandBlock, "amenazas")
		if !c.Contact.Blocked || !c.Contact.BlockedHere || c.State != router.StateMenu || c.Epoch != 0 {
			t.Errorf("got %+v", c)
		}
		if claims := d.claim("t", id); len(claims) > 0 {
			t.Errorf("a waiting message left: %+v", claims)
		}
		if m := d.message(id, menu.ID); m.Status != store.Failed || m.Reason != router.Blocked {
			t.Errorf("got %s, %s", m.Status, m.Reason)
		}
		if r := d.say(person(1), "b", "hola"); r.Reason != router.Blocked || r.Replies != 0 {
			t.Errorf("got %+v", r)
		}
		for _, what := range []*store.Draft{text("hola"), template("recordatorio"), notice("recordatorio")} {
			if _, err := d.Command(d.Context(), d.now, saying(id, what)); !errors.Is(err, store.ErrBlocked) {
				t.Errorf("got %v", err)
			}
		}
		// By another name, and on another line, it is the same person.
		if _, err := d.Command(d.Context(), d.now, writing("ventas", person(1), text("hola"))); !errors.Is(err, store.ErrBlocked) {
			t.Errorf("got %v", err)
		}
		if c := tell(d, id, router.CommandUnblock, ""); c.Contact.Blocked || c.Contact.BlockedHere {
			t.Errorf("got %+v", c.Contact)
		}
		if r := d.say(person(1), "c", "hola"); r.Replies != 1 {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("the result from WhatsApp", func(t *testing.T) {
		d := open(t, e)
		id := d.say(person(1), "a", "hola").Conversation
		tell(d, id, router.CommandBlock, "")
		if c := tell(d, id, router.CommandBlocked, "wsp4: more than 24 h"); !c.Contact.Blocked || !c.Contact.BlockedHere {
			t.Errorf("refused: got %+v", c.Contact)
		}
		if c := tell(d, id, router.CommandBlocked, ""); !c.Contact.Blocked || c.Contact.BlockedHere {
			t.Errorf("done: got %+v", c.Contact)
		}
		if c := tell(d, id, router.CommandBlock, ""); c.Contact.BlockedHere {
			t.Errorf("blocked again: got %+v", c.Contact)
		}
		if c := tell(d, id, router.CommandUnblocked, "too late"); !c.Contact.Blocked || c.Contact.BlockedHere {
			t.Errorf("a result after the block unblocks nobody: got %+v", c.Contact)
		}
		tell(d, id, router.CommandUnblock, "")
		if c := tell(d, id, router.CommandBlocked, "too late"); c.Contact.Blocked || c.Contact.BlockedHere {
			t.Errorf("a result after the unblock blocks nobody: got %+v", c.Contact)
		}
		var actions []string
		for _, row := range d.audit() {
			actions = append(actions, row.Action+" "+row.Detail)
		}
		want := []string{"blocked note=too late", "unblock ", "unblocked note=too late", "blocked note=WhatsApp did it too", "blocked note=blocked here only: wsp4: more than 24 h", "block "}
		if len(actions) != len(want) {
			t.Fatalf("audit: got %q", actions)
		}
		for i := range want {
			if actions[i] != want[i] {
				t.Errorf("audit: got %q, want %q", actions[i], want[i])
			}
		}
	})
	t.Run("blocked again later", func(t *testing.T) {
		d := open(t, e)
		id := d.say(person(1), "a", "hola").Conversation
		tell(d, id, router.CommandBlock, "")
		tell(d, id, router.CommandBlocked, "")
		d.tick(48 * time.Hour)
		tell(d, id, router.CommandBlock, "")
		if c := tell(d, id, router.CommandBlocked, "wsp4: more than 24 h"); !c.Contact.Blocked || c.Contact.BlockedHere {
			t.Errorf("WhatsApp blocks them since the first time: got %+v", c.Contact)
		}
		if row := d.audit()[0]; row.Detail != "note=wsp4: more than 24 h" {
			t.Errorf("audit: got %q", row.Detail)
		}
	})
	t.Run("each line gets an event", func(t *testing.T) {
		d := open(t, e)
		other := says(person(1), "o", "hola", d.now)
		other.Line = "ventas"
		ids := []string{d.handle(other).Conversation, d.say(person(1), "a", "hola").Conversation}
		for _, change := range []func(){
			func() { d.say(person(1), "b", "baja") },
			func() { tell(d, ids[1], router.CommandBlock, "") },
		} {
			before := d.eventTypes(ids[0])
			change()
			if diff := cmp.Diff(d.eventTypes(ids[0]), append(before, store.EventUpdated)); diff != "" {
				t.Errorf("events of the other line (-got +want):\n%s", diff)
			}
		}
		if c := d.conversation(ids[0]).Contact; !c.OptedOut || !c.Blocked {
			t.Errorf("got %+v", c)
		}
	})
	t.Run("two who turn out to be one", func(t *testing.T) {
		d := open(t, e)
		number, user := person(1), person(1)
		number.UserID, user.Phone = "", ""
		id := d.say(number, "a", "hola").Conversation
		tell(d, id, router.CommandBlock, "")
		tell(d, id, router.CommandBlocked, "")
		d.turn(says(user, "b", "hola", d.now), says(person(1), "c", "hola", d.now))
		list, err := d.Conversations(d.Context(), store.Filter{})
		if err != nil || len(list) != 1 || !list[0].Contact.Blocked || !list[0].Contact.BlockedHere {
			t.Errorf("WhatsApp blocks one of the two: got %+v, %v", list, err)
		}
	})
	t.Run("opt-out by the person", func(t *testing.T) {
		d := open(t, e)
		id := d.say(person(1), "a", "hola").Conversation
		before := len(d.eventTypes(id))
		if r := d.say(person(1), "b", "BAJA"); r.Reason != router.OptedOut || r.Replies != 1 || !d.conversation(id).Contact.OptedOut {
			t.Errorf("got %+v", r)
		}
		if told := d.eventTypes(id)[before:]; len(told) != 2 || told[1] != store.EventUpdated {
			t.Errorf("events: got %v", told)
		}
		if r := d.say(person(1), "c", "1"); r.Reason != router.MenuChoice {
			t.Errorf("service is silenced: got %+v", r)
		}
		promo := template("promo")
		promo.Marketing = true
		if _, err := d.Command(d.Context(), d.now, saying(id, promo)); !errors.Is(err, store.ErrOptedOut) {
			t.Errorf("got %v", err)
		}
		if r := d.say(person(1), "d", "alta"); r.Reason != router.OptedIn || d.conversation(id).Contact.OptedOut {
			t.Errorf("got %+v", r)
		}
		d.do(saying(id, promo))
		if r := d.say(person(1), "e", "baja"); r.Reason != router.HandedOffSilent || d.conversation(id).Contact.OptedOut {
			t.Errorf("with a team it is a message like any other: got %+v", r)
		}
	})
}

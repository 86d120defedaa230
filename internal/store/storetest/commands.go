package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

func commands(t *testing.T, e Engine) {
	t.Run("a day", func(t *testing.T) {
		d := open(t, e)
		p := person(1)
		id := d.say(p, "a", "hola").Conversation
		c := d.command(id, router.CommandHandoff, "admin")
		if c.State != router.StateHandedOff || c.Area != "admin" || c.Ticket != "PSI-2026-000001" || c.Epoch == 0 {
			t.Fatalf("got %+v", c)
		}
		if diff := cmp.Diff(c, d.conversation(id)); diff != "" {
			t.Errorf("answer and row differ (-got +want):\n%s", diff)
		}
		if again := d.command(id, router.CommandHandoff, "admin"); !cmp.Equal(again, c) {
			t.Errorf("a repeat has effects (-got +want):\n%s", cmp.Diff(again, c))
		}
		moved := d.command(id, router.CommandHandoff, "ventas")
		if moved.Ticket != c.Ticket || moved.Area != "ventas" {
			t.Errorf("a transfer keeps the ticket: got %+v", moved)
		}
		closed := d.command(id, router.CommandClose, "")
		if closed.State != router.StateClosed || closed.Ticket != "" || closed.Area != "" {
			t.Errorf("got %+v", closed)
		}
		if r := d.say(p, "b", "cualquier cosa"); r.Reason != router.ClosedReopened || r.Replies == 0 {
			t.Errorf("got %+v", r)
		}
		if second := d.command(id, router.CommandHandoff, "admin"); second.Ticket != "PSI-2026-000002" {
			t.Errorf("got ticket %s", second.Ticket)
		}
		off := d.command(id, router.CommandDisconnect, "")
		if r := d.say(p, "c", "menu"); off.State != router.StateDisconnected || r.Reason != router.DisconnectedSilent {
			t.Errorf("got %+v", r)
		}
		if on := d.command(id, router.CommandReconnect, ""); on.State != router.StateMenu {
			t.Errorf("got %s", on.State)
		}
		want := []string{
			store.EventOpened, store.EventReceived, store.EventHandedOff, store.EventHandedOff, store.EventClosed,
			store.EventReceived, store.EventOpened, store.EventHandedOff, store.EventUpdated, store.EventReceived, store.EventUpdated,
		}
		if diff := cmp.Diff(d.eventTypes(id), want); diff != "" {
			t.Errorf("events (-got +want):\n%s", diff)
		}
		var done []string
		for _, a := range d.trace(id).Audit {
			done = append(done, a.Actor+" "+a.Action)
		}
		if diff := cmp.Diff(done, []string{"crm handoff", "crm handoff", "crm close", "crm handoff", "crm disconnect", "crm reconnect"}); diff != "" {
			t.Errorf("audit (-got +want):\n%s", diff)
		}
	})

	t.Run("refused", func(t *testing.T) {
		d := open(t, e)
		id := d.say(person(1), "a", "hola").Conversation
		before := d.conversation(id)
		for _, tc := range []struct {
			id, area string
			want     error
		}{{"nobody", "admin", store.ErrNotFound}, {id, "nowhere", store.ErrConflict}} {
			_, err := d.Command(t.Context(), d.now, store.Command{
				Conversation: tc.id, Command: router.Command{Kind: router.CommandHandoff, Area: tc.area}, Actor: "crm",
			})
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		}
		if diff := cmp.Diff(d.conversation(id), before); diff != "" {
			t.Errorf("changed (-got +want):\n%s", diff)
		}
	})

	t.Run("an agent writes", func(t *testing.T) {
		d := open(t, e)
		id := d.say(person(1), "a", "hola").Conversation
		c := d.command(id, router.CommandAgentSent, "")
		if c.State != router.StateHandedOff || c.LastHuman.IsZero() {
			t.Fatalf("got %+v", c)
		}
		d.tick(time.Hour)
		if later := d.command(id, router.CommandAgentSent, ""); !later.LastHuman.After(c.LastHuman) || !later.TimeoutAt.After(c.TimeoutAt) {
			t.Errorf("got %+v", later)
		}
		if n := len(d.trace(id).Audit); n != 1 {
			t.Errorf("got %d audit rows, want only the change", n)
		}
	})
}

func pumps(t *testing.T, e Engine) {
	t.Run("hand-off timeout", func(t *testing.T) {
		d := open(t, e)
		id := d.say(person(1), "a", "11").Conversation
		d.say(person(2), "b", "11")
		d.tick(23 * time.Hour)
		d.say(person(1), "c", "¿hay alguien?") // sets the end back
		d.tick(2 * time.Hour)
		if got := d.pump(); got.Timers != 1 {
			t.Fatalf("fired %d timers, want the one of the silent person", got.Timers)
		}
		if c := d.conversation(id); c.State != router.StateHandedOff {
			t.Errorf("got %s", c.State)
		}
		d.tick(23 * time.Hour)
		if got := d.pump(); got.Timers != 1 {
			t.Fatalf("fired %d timers", got.Timers)
		}
		c := d.conversation(id)
		if c.State != router.StateClosed || c.Ticket != "" {
			t.Errorf("got %+v", c)
		}
		audit := d.trace(id).Audit
		if len(audit) != 1 || audit[0].Actor != "timer" || audit[0].Action != "timeout" {
			t.Errorf("got %+v", audit)
		}
		d.tick(48 * time.Hour)
		if got := d.pump(); got.Timers != 0 {
			t.Errorf("fired again: %+v", got)
		}
	})

	t.Run("a closed hand-off has no timer", func(t *testing.T) {
		d := open(t, e)
		id := d.say(person(1), "a", "11").Conversation
		d.command(id, router.CommandClose, "")
		d.tick(48 * time.Hour)
		if got := d.pump(); got.Timers != 0 {
			t.Errorf("got %+v", got)
		}
		d.say(person(1), "b", "11")
		d.say(person(1), "c", "11")
		d.tick(48 * time.Hour)
		if got := d.pump(); got.Timers != 1 {
			t.Errorf("the next one: got %+v", got)
		}
	})

	t.Run("lost wake-ups of sends", func(t *testing.T) {
		d := open(t, e)
		id := d.say(person(1), "a", "hola").Conversation
		if got := d.pump(); len(got.Wakes) != 0 {
			t.Errorf("too early: %+v", got.Wakes)
		}
		d.tick(61 * time.Second)
		if got := d.pump(); !cmp.Equal(got.Wakes, []store.Wake{{Line: "wsp4", Conversation: id}}) {
			t.Errorf("got %+v", got.Wakes)
		}
		d.tick(2 * time.Minute)
		c := d.claimOne("lost", id)
		if got := d.pump(); len(got.Wakes) != 1 {
			t.Errorf("a row that is sending may be stalled too: %+v", got.Wakes)
		}
		d.record(c, store.Sent, "out")
		d.tick(2 * time.Minute)
		if got := d.pump(); len(got.Wakes) != 0 {
			t.Errorf("got %+v", got.Wakes)
		}
	})

	t.Run("lost jobs of files", func(t *testing.T) {
		d := open(t, e)
		var want []store.MediaRef
		for i := range 3 {
			photo := says(person(i), fmt.Sprint("p", i), `"state":"pending"`, d.now)
			photo.Content.Type, photo.Content.Media = "image", &inbound.Media{ID: fmt.Sprint("m", i), MIME: "image/jpeg", Name: "a\x00\"state\":\"pending\""}
			want = append(want, store.MediaRef{MessageID: d.turn(photo)[0].MessageID, Line: "wsp4", Media: *photo.Content.Media})
		}
		d.say(person(4), "none", "hola")
		if got := d.pump(); len(got.Media) != 0 {
			t.Errorf("too early: %+v", got.Media)
		}
		if err := d.SaveMedia(t.Context(), want[1].MessageID, store.Media{Media: want[1].Media, State: store.MediaReady, Path: "a"}); err != nil {
			t.Fatal(err)
		}
		d.tick(61 * time.Second)
		if diff := cmp.Diff(d.pump().Media, []store.MediaRef{want[0], want[2]}); diff != "" {
			t.Error(diff)
		}
		for _, i := range []int{0, 2} {
			if err := d.SaveMedia(t.Context(), want[i].MessageID, store.Media{Media: want[i].Media, State: store.MediaFailed}); err != nil {
				t.Fatal(err)
			}
		}
		d.tick(2 * time.Minute)
		if got := d.pump(); len(got.Media) != 0 {
			t.Errorf("got %+v", got.Media)
		}
	})

	t.Run("one sweep finds many stalled sends", func(t *testing.T) {
		d := open(t, e)
		const n, size = 1203, 401
		for i := 0; i < n; i += size {
			batch := make([]inbound.Arrival, size)
			for j := range batch {
				batch[j] = says(person(i+j), fmt.Sprint("m", i+j), "hola", d.now)
			}
			d.turn(batch...)
		}
		d.tick(2 * time.Minute)
		seen := map[string]int{}
		for _, w := range d.pump().Wakes {
			seen[w.Conversation]++
		}
		if len(seen) != n {
			t.Errorf("woke %d conversations, want %d", len(seen), n)
		}
	})

	t.Run("events are numbered without gaps", func(t *testing.T) {
		d := open(t, e)
		for i := range 20 {
			d.say(person(i%4), string(rune('a'+i)), "hola")
			if i%3 == 0 {
				d.pump()
			}
		}
		seq := map[string]int64{}
		for i, ev := range d.events() {
			if ev.Pos != int64(i+1) {
				t.Fatalf("event %d has pos %d", i, ev.Pos)
			}
			if seq[ev.Conversation]++; ev.Seq != seq[ev.Conversation] {
				t.Errorf("event %d of %s has seq %d", i, ev.Conversation, ev.Seq)
			}
		}
		if got := d.pump(); got.Numbered != 0 {
			t.Errorf("numbered again: %+v", got)
		}
		g, err := d.Gauges(t.Context(), d.now)
		if err != nil || g.EventsUnnumbered != 0 {
			t.Errorf("got %+v, %v", g, err)
		}
	})
}

package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

// waitingSince: since when a person waits for a team.
func waitingSince(t *testing.T, e Engine) {
	d := open(t, e)
	id := d.say(person(1), "a", "hola").Conversation
	oldest := func() time.Time {
		t.Helper()
		g, err := d.Gauges(t.Context(), d.now)
		if err != nil {
			t.Fatal(err)
		}
		return g.OldestHandedOff
	}
	asks := func(id, text string) time.Time {
		at := d.now
		d.say(person(1), id, text)
		return at
	}
	var zero, first time.Time
	for i, step := range []struct {
		what string
		do   func() (since time.Time)
	}{
		{"the router answers in the menu", func() time.Time { return zero }},
		{"handed off by a choice", func() time.Time { first = asks("b", "11"); return first }},
		{"more of the same", func() time.Time { d.say(person(1), "c", "¿hay alguien?"); return first }},
		{"transferred", func() time.Time {
			d.command(id, router.CommandHandoff, "ventas")
			return first
		}},
		{"an agent writes", func() time.Time { d.command(id, router.CommandAgentSent, ""); return zero }},
		{"thanks", func() time.Time { d.say(person(1), "d", "muchas gracias"); return zero }},
		{"a reaction", func() time.Time { d.handle(annotation(person(1), "e", "reaction", "a", "👍", d.now)); return zero }},
		{"one more question", func() time.Time { return asks("f", "¿y el horario?") }},
		{"the phone answers", func() time.Time { d.handle(echoed(person(1), "g", "de 9 a 18", d.now)); return zero }},
		{"one more", func() time.Time { return asks("h", "¿y los sábados?") }},
		{"disconnected", func() time.Time { d.command(id, router.CommandDisconnect, ""); return zero }},
		{"they write to nobody", func() time.Time { d.say(person(1), "i", "hola?"); return zero }},
		{"handed off by a program", func() time.Time { d.command(id, router.CommandHandoff, "admin"); return d.now }},
		{"closed", func() time.Time { d.command(id, router.CommandClose, ""); return zero }},
	} {
		want := step.do()
		if got := d.conversation(id).WaitingSince; !got.Equal(want) {
			t.Errorf("%d, %s: waits since %v, want %v", i, step.what, got, want)
		}
		if got := oldest(); !got.Equal(want) {
			t.Errorf("%d, %s: the oldest waits since %v, want %v", i, step.what, got, want)
		}
		d.tick(time.Minute)
	}
}

// pauses: a pause by an operator is stored once, until the queue is resumed.
func pauses(t *testing.T, e Engine) {
	d := open(t, e)
	set := func(queue string, paused bool) {
		t.Helper()
		if err := d.SetPaused(t.Context(), queue, paused); err != nil {
			t.Fatal(err)
		}
	}
	set("send:wsp4", true)
	set("inbound", true)
	set("send:wsp4", true)
	set("media", false)
	set("inbound", false)
	got, err := d.Paused(t.Context())
	if err != nil || !slices.Equal(got, []string{"send:wsp4"}) {
		t.Errorf("got %q, %v", got, err)
	}
}

// leadership: one process at a time has a duty, and the duty's state outlives it.
func leadership(t *testing.T, e Engine) {
	d := open(t, e)
	serve := func(process, report, state string) store.Leadership {
		t.Helper()
		r := store.Term{Duty: "alerts", Process: process, Lease: time.Minute}
		if report != "" {
			r.Report = []byte(report)
		}
		if state != "" {
			r.State = []byte(state)
		}
		got, err := d.Lead(t.Context(), d.now, r)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	want := func(got store.Leadership, mine, fresh bool, state string, reports ...string) {
		t.Helper()
		w := store.Leadership{Leader: mine, Acquired: fresh, Reports: map[string][]byte{}}
		if state != "" {
			w.State = []byte(state)
		}
		for i := 0; i < len(reports); i += 2 {
			w.Reports[reports[i]] = []byte(reports[i+1])
		}
		if diff := cmp.Diff(w, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	want(serve("a", "a1", "lost: never held before"), true, true, "", "a", "a1")
	want(serve("a", "a2", "one"), true, false, "one", "a", "a2")
	d.tick(30 * time.Second)
	want(serve("b", "b1", "not mine"), false, false, "one", "a", "a2", "b", "b1")
	want(serve("a", "", ""), true, false, "one", "a", "a2", "b", "b1")
	d.tick(59 * time.Second)
	want(serve("b", "b2", ""), false, false, "one", "b", "b2") // a's report has expired, its duty has not
	d.reopen()
	d.tick(2 * time.Second)
	want(serve("b", "b3", "too late for a's"), true, true, "one", "b", "b3")
	want(serve("a", "a3", "mine once"), false, false, "one", "a", "a3", "b", "b3")
	want(serve("b", "b3", "two"), true, false, "two", "a", "a3", "b", "b3")
	d.tick(2 * store.ReportRetention)
	want(serve("b", "", ""), true, false, "two")
}

package storetest

import (
	"testing"

	"github.com/psivisionhub/psi-router/internal/inbound"
)

// formerName: an arrival that was handled under a name that was given up later stays
// handled, even if another person has that name now.
func formerName(e Engine) func(*testing.T) {
	return func(t *testing.T) {
		d := open(t, e)
		old := says(person(1), "a", "hola", d.now)
		first := d.handle(old)
		moved := report(person(1), "moved", "", "", d.now)
		moved.Kind, moved.Report, moved.Change = inbound.Identity, nil, &inbound.Change{From: person(1), To: person(2)}
		d.handle(moved)
		copied := old // by a forwarder that knows only the number
		copied.Person = inbound.Person{Phone: person(2).Phone}
		for _, a := range []inbound.Arrival{old, copied} {
			if got := d.handle(a); !got.Duplicate || got.MessageID != first.MessageID {
				t.Errorf("got %+v", got)
			}
		}
		d.say(inbound.Person{Phone: person(1).Phone}, "b", "soy otro")
		if got := d.handle(old); !got.Duplicate || got.MessageID != first.MessageID {
			t.Errorf("got %+v", got)
		}
	}
}

// formerRows: an arrival that an earlier version handled, and stored without line and
// person, is not handled again; on another line nobody handled it.
func formerRows(e Engine) func(*testing.T) {
	return func(t *testing.T) {
		d := open(t, e)
		change := func(from, to int) inbound.Arrival {
			a := report(person(from), "moved", "", "", d.now)
			a.Kind, a.Report, a.Change = inbound.Identity, nil, &inbound.Change{From: person(from), To: person(to)}
			return a
		}
		batch := []inbound.Arrival{
			says(person(1), "a", "hola", d.now), echoed(person(1), "e", "soy Laura", d.now),
			annotation(person(1), "r", "reaction", "a", "👍", d.now), change(1, 2),
		}
		d.turn(batch...)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		d.Store = nil
		e.Age(t, d.name)
		d.reopen()
		for i, r := range d.turn(batch...) {
			if !r.Duplicate {
				t.Errorf("%s again: got %+v", batch[i].ID, r)
			}
		}
		for i := range batch {
			batch[i].Line = "alumnos"
		}
		for i, r := range d.turn(batch...) {
			if r.Duplicate {
				t.Errorf("%s on another line: got %+v", batch[i].ID, r)
			}
		}
	}
}

package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

// identities: one person is one contact, and two people are two.
func identities(t *testing.T, e Engine) {
	t.Run("merged, and the team that had them last", func(t *testing.T) {
		byPhone, byID := inbound.Person{Phone: person(1).Phone}, inbound.Person{UserID: person(1).UserID}
		for _, tc := range []struct {
			phone, user string // the teams; the user's is the later one
			want        string
		}{{"ventas", "", "ventas"}, {"", "ventas", "ventas"}, {"admin", "ventas", "ventas"}} {
			d := open(t, e)
			for i, side := range []struct {
				who  inbound.Person
				area string
			}{{byPhone, tc.phone}, {byID, tc.user}} {
				id := d.handle(says(side.who, fmt.Sprint("a", i), "hola", d.now)).Conversation
				if side.area != "" {
					for _, kind := range []router.CommandKind{router.CommandHandoff, router.CommandClose, router.CommandReopen} {
						d.command(id, kind, side.area)
					}
				}
				d.deliver(id)
				d.tick(time.Minute)
			}
			id := d.handle(says(person(1), "c", "hola", d.now)).Conversation
			if done := d.do(saying(id, text("hola, soy Ana"))); done.Area != tc.want {
				t.Errorf("%+v: got %s", tc, done.Area)
			}
		}
	})

	phone := inbound.Person{Phone: "5491100000001"}
	user := inbound.Person{UserID: "AR.1"}
	both := inbound.Person{Phone: "5491100000001", UserID: "AR.1"}
	lid := inbound.Person{ExternalID: "77@lid"}
	for _, tc := range []struct {
		name    string
		persons []inbound.Person
		same    bool
	}{
		{"two ways to write a phone", []inbound.Person{{Phone: "541100000001"}, phone}, true},
		{"phone, then with user id", []inbound.Person{phone, both}, true},
		{"user id, then with phone", []inbound.Person{user, both}, true},
		{"with both, then hidden", []inbound.Person{both, user}, true},
		{"with both, then an old provider", []inbound.Person{both, phone}, true},
		{"another number of the same user", []inbound.Person{both, {Phone: "5491100000002", UserID: "AR.1"}}, true},
		{"parent id of another portfolio", []inbound.Person{{UserID: "AR.1", ParentUserID: "AR.ENT.1"}, {UserID: "AR.2", ParentUserID: "AR.ENT.1"}}, true},
		{"hidden id, then with phone", []inbound.Person{lid, {Phone: "5491100000001", ExternalID: "77@lid"}}, true},
		{"a recycled number", []inbound.Person{both, {Phone: "5491100000001", UserID: "AR.2"}}, false},
		{"two people", []inbound.Person{both, {Phone: "5491100000002", UserID: "AR.2"}}, false},
		{"case matters in user ids", []inbound.Person{{UserID: "AR.a"}, {UserID: "AR.A"}}, false},
		{"a phone without digits", []inbound.Person{{Phone: "abc"}, {Phone: "abd"}}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, together := range []bool{false, true} {
				d := open(t, e)
				var got []store.Result
				if together {
					got = d.turn(says(tc.persons[0], "a", "hola", d.now), says(tc.persons[1], "b", "hola", d.now))
				} else {
					got = []store.Result{d.say(tc.persons[0], "a", "hola"), d.say(tc.persons[1], "b", "hola")}
				}
				if same := got[0].Conversation == got[1].Conversation; same != tc.same {
					t.Errorf("together %v: same contact: got %v, want %v", together, same, tc.same)
				}
			}
		})
	}

	t.Run("two contacts turn out to be one", func(t *testing.T) {
		d := open(t, e)
		old := d.say(phone, "a", "hola")
		hidden := d.say(user, "b", "11")
		if old.Conversation == hidden.Conversation {
			t.Fatal("nobody knows yet that they are the same")
		}
		got := d.say(both, "c", "hola")
		if got.Conversation != hidden.Conversation || got.Reason != router.HandedOffSilent {
			t.Fatalf("got %+v, want the stricter conversation %s", got, hidden.Conversation)
		}
		var order []string
		for _, m := range d.messages(old.Conversation) { // the old id still leads there
			if m.Direction == "inbound" {
				order = append(order, m.ProviderID)
			}
		}
		if diff := cmp.Diff(order, []string{"a", "b", "c"}); diff != "" {
			t.Errorf("messages (-got +want):\n%s", diff)
		}
		// The other conversation's queued reply is taken back; the confirmation is not.
		if said := d.deliver(hidden.Conversation); len(said) != 1 {
			t.Errorf("said %q", said)
		}
		if got := d.claim("t", old.Conversation); len(got) != 0 {
			t.Errorf("claimed by the old id: %+v", got)
		}
		list, err := d.Conversations(t.Context(), store.Filter{})
		if err != nil || len(list) != 1 {
			t.Errorf("got %d conversations, %v", len(list), err)
		}
	})

	t.Run("the stricter state survives", func(t *testing.T) {
		states := []router.State{router.StateMenu, router.StateClosed, router.StateHandedOff, router.StateDisconnected}
		reach := func(d *driver, p inbound.Person, id string, s router.State) string {
			c := d.say(p, id, "hola").Conversation
			switch s {
			case router.StateClosed:
				d.command(c, router.CommandClose, "")
			case router.StateHandedOff:
				d.command(c, router.CommandHandoff, "ventas")
			case router.StateDisconnected:
				d.command(c, router.CommandDisconnect, "")
			}
			return c
		}
		d := open(t, e)
		for i, x := range states {
			for j, y := range states {
				n := 100*i + 10*j
				from, to := person(n), person(n+1)
				cx, cy := reach(d, from, fmt.Sprint("a", n), x), reach(d, to, fmt.Sprint("b", n), y)
				d.handle(inbound.Arrival{
					Kind: inbound.Identity, ID: fmt.Sprint("change", n), Line: "wsp4", LineRef: lineRef, Person: from, ReceivedAt: d.now,
					Change: &inbound.Change{From: from, To: to},
				})
				want, id := y, cy
				if i > j {
					want, id = x, cx
				}
				got := d.conversation(cx)
				if got.State != want || (i != j && got.ID != id) || d.conversation(cy).ID != got.ID {
					t.Errorf("%s and %s: got %s", x, y, got.State)
				}
				if got.Contact.Phone != to.Phone || got.Contact.UserID != to.UserID {
					t.Errorf("got %+v, want the new names", got.Contact)
				}
			}
		}
	})

	t.Run("a change of number", func(t *testing.T) {
		d := open(t, e)
		a, b := person(1), person(2)
		r := d.say(a, "a", "11")
		change := inbound.Arrival{
			Kind: inbound.Identity, ID: "change", Line: "wsp4", LineRef: lineRef, Person: a, ReceivedAt: d.now,
			Change: &inbound.Change{From: inbound.Person{Phone: a.Phone, UserID: a.UserID}, To: inbound.Person{Phone: b.Phone, UserID: b.UserID}},
		}
		if got := d.handle(change); got.Reason != router.System || got.Conversation != r.Conversation {
			t.Errorf("got %+v", got)
		}
		if got := d.handle(change); !got.Duplicate {
			t.Errorf("got %+v", got)
		}
		// A message that is said now goes to the new number.
		if c := d.claimOne("t", r.Conversation); c.Post.To != (outbound.Address{Phone: b.Phone, UserID: b.UserID}) {
			t.Errorf("got address %+v", c.Post.To)
		}
		if got := d.say(b, "b", "sigo acá"); got.Conversation != r.Conversation || got.Reason != router.HandedOffSilent {
			t.Errorf("got %+v", got)
		}
		// A message from before the change, delivered after it, does not revert it.
		if got := d.say(a, "c", "viejo"); got.Conversation != r.Conversation {
			t.Errorf("got %+v", got)
		}
		if c := d.conversation(r.Conversation).Contact; c.Phone != b.Phone || c.UserID != b.UserID {
			t.Errorf("got %+v", c)
		}
		// The old number is another person's one day.
		if got := d.say(inbound.Person{Phone: a.Phone}, "d", "hola"); got.Conversation == r.Conversation {
			t.Error("the old number still leads to the person who left it")
		}
	})

	t.Run("a recycled number is not written to for its old owner", func(t *testing.T) {
		d := open(t, e)
		old := d.say(both, "a", "hola")
		d.say(inbound.Person{Phone: both.Phone, UserID: "AR.2"}, "b", "hola")
		if c := d.claimOne("t", old.Conversation); c.Post.To != (outbound.Address{UserID: both.UserID}) {
			t.Errorf("got %+v", c.Post.To)
		}
		if c := d.conversation(old.Conversation).Contact; c.Phone != "" || c.UserID != both.UserID {
			t.Errorf("got %+v", c)
		}
		if tr := d.trace(both.Phone); len(tr.Conversations) != 1 || tr.Conversations[0].ID == old.Conversation {
			t.Errorf("the phone leads to %d conversations", len(tr.Conversations))
		}
	})

	t.Run("a new user id without the old phone", func(t *testing.T) {
		d := open(t, e)
		r := d.say(both, "a", "hola")
		d.handle(inbound.Arrival{
			Kind: inbound.Identity, ID: "x", Line: "wsp4", LineRef: lineRef, ReceivedAt: d.now,
			Change: &inbound.Change{From: inbound.Person{UserID: both.UserID}, To: inbound.Person{UserID: "AR.9", Phone: "5491100000009"}},
		})
		for _, p := range []inbound.Person{{UserID: "AR.9"}, {Phone: "5491100000009"}, {UserID: both.UserID}} {
			if got := d.say(p, p.Ref(), "hola"); got.Conversation != r.Conversation {
				t.Errorf("%+v: got another conversation", p)
			}
		}
		if got := d.say(inbound.Person{Phone: both.Phone}, "z", "hola"); got.Conversation == r.Conversation {
			t.Error("the phone that was left still leads here")
		}
	})

	t.Run("a merge of contacts with several lines", func(t *testing.T) {
		d := open(t, e)
		on := func(p inbound.Person, line, id string) store.Result {
			a := says(p, id, "hola", d.now)
			a.Line, a.LineRef = line, line
			return d.handle(a)
		}
		a, b := person(1), person(2)
		on(a, "wsp4", "1")
		only := on(a, "ventas", "2")
		on(b, "wsp4", "3")
		other := on(b, "alumnos", "4")
		d.handle(inbound.Arrival{
			Kind: inbound.Identity, ID: "x", Line: "wsp4", LineRef: lineRef, Person: a, ReceivedAt: d.now,
			Change: &inbound.Change{From: a, To: b},
		})
		list, err := d.Conversations(t.Context(), store.Filter{Phone: b.Phone})
		if err != nil {
			t.Fatal(err)
		}
		lines := map[string]string{}
		for _, c := range list {
			lines[c.Line] = c.ID
		}
		if len(list) != 3 || lines["ventas"] != only.Conversation || lines["alumnos"] != other.Conversation {
			t.Errorf("got %v", lines)
		}
	})

	t.Run("chains of changes in one batch", func(t *testing.T) {
		d := open(t, e)
		const n = 6
		for i := range n {
			d.say(person(i), fmt.Sprint("m", i), "hola")
		}
		var batch []inbound.Arrival
		for i := range n - 1 {
			batch = append(batch, inbound.Arrival{
				Kind: inbound.Identity, ID: fmt.Sprint("x", i), Line: "wsp4", LineRef: lineRef, Person: person(i), ReceivedAt: d.now,
				Change: &inbound.Change{From: person(i), To: person(i + 1)},
			}, says(person(i+1), fmt.Sprint("n", i), "hola", d.now))
		}
		d.turn(batch...)
		list, err := d.Conversations(t.Context(), store.Filter{})
		if err != nil || len(list) != 1 {
			t.Fatalf("got %d conversations, %v", len(list), err)
		}
		in := 0
		for _, m := range d.messages(list[0].ID) {
			if m.Direction == "inbound" {
				in++
			}
		}
		if in != 2*n-1 {
			t.Errorf("got %d messages, want all %d", in, 2*n-1)
		}
	})

	t.Run("the address is what came last on the line", func(t *testing.T) {
		d := open(t, e)
		r := d.say(inbound.Person{Phone: "541100000001"}, "a", "hola")
		d.say(both, "b", "hola")
		if c := d.claimOne("t", r.Conversation); c.Post.To != (outbound.Address{Phone: both.Phone, UserID: both.UserID}) {
			t.Errorf("got %+v", c.Post.To)
		}
	})
}

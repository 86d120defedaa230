package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/store"
)

// waIDs: the phone by which WhatsApp knows a recipient is one of their names.
func waIDs(t *testing.T, e Engine) {
	const old, new = "22955550001", "2290155550001" // Benin: no table knows its new 01
	for _, tc := range []struct {
		name   string
		to     inbound.Person
		other  *inbound.Person // who wrote by the other number before
		waID   string
		writes inbound.Person // later
		same   bool           // as the recipient
		audit  []string
	}{
		{"nobody's", inbound.Person{Phone: old}, nil, new, inbound.Person{Phone: new}, true, []string{"alias"}},
		{"somebody's", inbound.Person{Phone: old}, &inbound.Person{Phone: new}, new, inbound.Person{Phone: new}, true, []string{"merge"}},
		{"somebody's with a user id", inbound.Person{Phone: old}, &inbound.Person{Phone: new, UserID: "BJ.1"}, new, inbound.Person{Phone: new, UserID: "BJ.1"}, true, []string{"merge"}},
		{"of another user id", inbound.Person{Phone: old, UserID: "BJ.1"}, &inbound.Person{Phone: new, UserID: "BJ.2"}, new, inbound.Person{Phone: new, UserID: "BJ.2"}, false, nil},
		{"of who has no phone", inbound.Person{UserID: "BJ.1"}, nil, new, inbound.Person{Phone: new}, true, []string{"alias"}},
		{"known", inbound.Person{Phone: old}, nil, old, inbound.Person{Phone: old}, true, nil},
		{"not said", inbound.Person{Phone: old}, nil, "", inbound.Person{Phone: new}, false, nil},
		{"no number", inbound.Person{Phone: old}, nil, "2290155550001; DROP", inbound.Person{Phone: new}, false, nil},
		{"zero", inbound.Person{Phone: old}, nil, "0", inbound.Person{Phone: "0"}, false, nil},
		{"too long", inbound.Person{Phone: old}, nil, "2290155550001229", inbound.Person{Phone: "2290155550001229"}, false, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := open(t, e)
			if tc.other != nil {
				d.say(*tc.other, "o", "hola")
				d.tick(time.Minute)
			}
			to := d.say(tc.to, "a", "hola").Conversation
			c := d.claimOne("t", to)
			r := store.SendResult{
				MessageID: c.Post.ID, Conversation: to, Token: c.Token, Status: store.Sent, ProviderID: "out",
				To: c.Post.To, WaID: tc.waID,
			}
			for range 2 { // a repeat changes nothing
				if got, err := d.RecordSends(t.Context(), d.now, []store.SendResult{r}); err != nil || got[0].Busy {
					t.Fatalf("got %+v, %v", got, err)
				}
			}
			var actions []string
			for _, a := range d.audit() {
				if a.Actor == "system" {
					actions = append(actions, a.Action)
				}
			}
			if !slices.Equal(actions, tc.audit) {
				t.Errorf("audit: got %v, want %v", actions, tc.audit)
			}
			m := d.message(to, c.Post.ID)
			if m.Status != store.Sent || m.ProviderID != "out" {
				t.Errorf("the message: got %+v", m)
			}
			got := d.say(tc.writes, "b", "hola")
			if same := d.conversation(got.Conversation).ID == d.conversation(to).ID; same != tc.same {
				t.Errorf("the same: got %v, want %v", same, tc.same)
			}
		})
	}

	t.Run("after the number was given up", func(t *testing.T) {
		d := open(t, e)
		to := d.say(person(1), "a", "hola").Conversation
		c := d.claimOne("t", to)
		moved := report(person(1), "moved", "", "", d.now)
		moved.Kind, moved.Report, moved.Change = inbound.Identity, nil, &inbound.Change{From: person(1), To: person(2)}
		d.handle(moved)
		r := store.SendResult{
			MessageID: c.Post.ID, Conversation: to, Token: c.Token, Status: store.Sent, ProviderID: "out",
			To: c.Post.To, WaID: new,
		}
		if _, err := d.RecordSends(t.Context(), d.now, []store.SendResult{r}); err != nil {
			t.Fatal(err)
		}
		if got := d.say(inbound.Person{Phone: new}, "b", "hola"); got.Conversation == to {
			t.Error("the number led back to the person who gave it up")
		}
	})
}

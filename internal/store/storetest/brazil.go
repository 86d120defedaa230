package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/store"
)

// brazil: a mobile is one person with and without its 9, also in a store of the version
// that took them for two.
func brazil(t *testing.T, e Engine) {
	const nine, bare, landline = "5521987650001", "552187650001", "552133330001"

	t.Run("one person, written to as it came", func(t *testing.T) {
		d := open(t, e)
		first := d.say(inbound.Person{Phone: bare}, "a", "hola")
		if to := d.claimOne("t", first.Conversation).Post.To.Phone; to != bare {
			t.Errorf("written to as %s", to)
		}
		if again := d.say(inbound.Person{Phone: nine}, "b", "hola"); again.Conversation != first.Conversation {
			t.Errorf("got %+v, want %s", again, first.Conversation)
		}
		if other := d.say(inbound.Person{Phone: landline}, "c", "hola"); other.Conversation == first.Conversation {
			t.Error("a landline is somebody else's")
		}
	})

	old := func(id, phone, user string, wrote time.Time) FormerPerson {
		p := FormerPerson{ID: id, Phone: phone, UserID: user, Wrote: wrote, Aliases: []string{"phone:" + phone}}
		if user != "" {
			p.Aliases = append(p.Aliases, "user:"+user)
		}
		return p
	}
	early, late := noon().Add(-2*time.Hour), noon().Add(-time.Hour)
	for _, tc := range []struct {
		name   string
		people []FormerPerson
		found  string // the phone's conversation before anybody writes
		writes inbound.Person
		left   []string // the conversations that are left
	}{
		{"without the 9 alone", []FormerPerson{old("x", bare, "", late)}, "x", inbound.Person{Phone: nine}, []string{"x"}},
		{"without the 9, and still so", []FormerPerson{old("x", bare, "", late)}, "x", inbound.Person{Phone: bare}, []string{"x"}},
		{"both, the new form last", []FormerPerson{old("x", bare, "", early), old("y", nine, "", late)}, "y", inbound.Person{Phone: nine}, []string{"y"}},
		{"both, the old form last", []FormerPerson{old("x", bare, "", late), old("y", nine, "", early)}, "x", inbound.Person{Phone: nine}, []string{"x"}},
		{"both, one never wrote", []FormerPerson{old("x", bare, "", late), old("y", nine, "", time.Time{})}, "x", inbound.Person{Phone: bare}, []string{"x"}},
		{"both, one user id", []FormerPerson{old("x", bare, "BR.1", late), old("y", nine, "", early)}, "x", inbound.Person{Phone: bare, UserID: "BR.1"}, []string{"x"}},
		{"both, two user ids", []FormerPerson{old("x", bare, "BR.1", early), old("y", nine, "BR.2", late)}, "y", inbound.Person{Phone: nine, UserID: "BR.2"}, []string{"x", "y"}},
		{"a contact that had both", []FormerPerson{{ID: "x", Phone: nine, Wrote: late, Aliases: []string{"phone:" + bare, "phone:" + nine}}}, "x", inbound.Person{Phone: bare}, []string{"x"}},
		{"a landline", []FormerPerson{old("x", landline, "", late), old("y", nine, "", late)}, "y", inbound.Person{Phone: nine}, []string{"x", "y"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := former(t, e, tc.people)
			list, err := d.Conversations(t.Context(), store.Filter{Phone: bare})
			if err != nil || !slices.ContainsFunc(list, func(c store.Conversation) bool { return c.ID == tc.found }) {
				t.Errorf("%s leads to %+v, %v, want %s", bare, list, err, tc.found)
			}
			if got := d.say(tc.writes, "a", "hola"); got.Conversation != tc.found {
				t.Errorf("it wrote in %s, want %s", got.Conversation, tc.found)
			}
			d.say(tc.writes, "b", "hola")
			list, err = d.Conversations(t.Context(), store.Filter{})
			var left []string
			for _, c := range list {
				left = append(left, c.ID)
			}
			slices.Sort(left)
			if err != nil || !slices.Equal(left, tc.left) {
				t.Errorf("left: got %v, %v, want %v", left, err, tc.left)
			}
			for _, p := range tc.people {
				if _, err := d.Conversation(t.Context(), p.ID); err != nil {
					t.Errorf("conversation %s: %v", p.ID, err)
				}
			}
		})
	}
}

// former opens a database of the former version.
func former(t *testing.T, e Engine, people []FormerPerson) *driver {
	t.Helper()
	d := &driver{checker: t, engine: e, name: e.New(t), set: Settings(t), now: noon(), page: 7}
	e.Former(t, d.name, people)
	d.reopen()
	t.Cleanup(func() { d.Close() })
	return d
}

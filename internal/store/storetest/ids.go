package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

// scene is a conversation that strangers aim at.
type scene struct {
	*driver
	n    int            // people and ids are of this scene only
	ana  inbound.Person // the person
	id   string         // of the conversation
	hola string         // WhatsApp's id of her message
	menu store.Message  // the answer to it
	c    store.SendClaim
}

func (s *scene) wamid(name string) string { return fmt.Sprintf("%s-%d", name, s.n) }

// person number i of the scene.
func (s *scene) person(i int) inbound.Person { return person(1000 + 10*s.n + i) }

// answer returns the menu as it is now.
func (s *scene) answer() store.Message { return s.message(s.id, s.menu.ID) }

func (s *scene) is(m store.Message, status store.Status, code int) string {
	if m.Status != status || m.ErrorCode != code {
		return fmt.Sprintf("%s, code %d", m.Status, m.ErrorCode)
	}
	return ""
}

// stranger is a way in which an arrival with the same ids comes from elsewhere.
type stranger struct {
	name string
	from func(*scene, inbound.Arrival) inbound.Arrival
}

func strangers() []stranger {
	somebody := func(i int) func(*scene, inbound.Arrival) inbound.Arrival {
		return func(s *scene, a inbound.Arrival) inbound.Arrival {
			a.Person = s.person(i)
			if a.Change != nil {
				a.Change = &inbound.Change{From: a.Person, To: s.person(7)}
			}
			return a
		}
	}
	on := func(line, ref, quarantine string) func(*scene, inbound.Arrival) inbound.Arrival {
		return func(_ *scene, a inbound.Arrival) inbound.Arrival {
			a.Line, a.LineRef, a.Quarantine = line, ref, quarantine
			return a
		}
	}
	return []stranger{
		{"another person", somebody(2)},
		{"a person nobody knows", somebody(3)},
		{"another line of the app", on("ventas", "200000000000003", "")},
		{"a line that its provider calls the same", on("alumnos", lineRef, "")},
		{"another app", on("", lineRef, "unknown_line")},
		{"no line", on("", "", "")},
		{"quarantine on the line", on("wsp4", lineRef, "group")},
	}
}

// arrival is a kind of arrival that names something by an id.
type arrival struct {
	name string
	// sent is the menu's status by then: queued, sending or sent.
	sent store.Status
	make func(*scene) inbound.Arrival
	// bad is the strangers' arrival, if it is worse than make's.
	bad func(*scene) inbound.Arrival
	// done does what follows, and returns what is wrong afterwards.
	done func(*scene) string
	// fine are strangers with a right to it.
	fine []string
}

func arrivals() []arrival {
	const out = "out"
	// WhatsApp's id of a message of ours is enough for an unknown name.
	unknown := []string{"a person nobody knows"}
	status := func(id, word string, ours bool) func(*scene) inbound.Arrival {
		return func(s *scene) inbound.Arrival {
			ref := ""
			if ours {
				ref = s.menu.ID
			}
			return report(s.ana, s.wamid(id), ref, word, s.now)
		}
	}
	says := func(change func(*scene, *inbound.Arrival)) func(*scene) inbound.Arrival {
		return func(s *scene) inbound.Arrival {
			a := says(s.ana, s.wamid("in"), "1", s.now)
			change(s, &a)
			return a
		}
	}
	about := func(kind, what string) func(*scene) inbound.Arrival {
		return func(s *scene) inbound.Arrival {
			return annotation(s.ana, s.wamid("mark"), kind, s.hola, what, s.now)
		}
	}
	tapped := func(kind string) func(*scene) inbound.Arrival {
		return says(func(s *scene, a *inbound.Arrival) {
			a.Content = &inbound.Content{Type: kind, Text: "Administración", ReplyID: "principal/1/0", QuotedID: s.menu.ProviderID}
		})
	}
	inMenu := func(s *scene) string {
		if m := s.message(s.id, s.wamid("in")); m.Status != store.Received || s.conversation(s.id).Menu != "admin" {
			return fmt.Sprintf("in the menu %q by %+v", s.conversation(s.id).Menu, m)
		}
		return ""
	}
	delivered := func(s *scene) string { return s.is(s.answer(), store.Delivered, 0) }
	spoken := func(s *scene) inbound.Arrival { return echoed(s.ana, s.wamid("phone"), "Soy Laura", s.now) }
	return []arrival{
		{name: "status by WhatsApp's id", sent: store.Sent, make: status(out, "delivered", false), done: delivered, fine: unknown},
		{
			name: "failure by WhatsApp's id", sent: store.Sent, make: status(out, "failed", false), fine: unknown,
			done: func(s *scene) string { return s.is(s.answer(), store.Failed, 131049) },
		},
		{name: "status by our id", sent: store.Sending, make: status("news", "delivered", true), done: delivered},
		{name: "failure by our id", sent: store.Sending, make: status("news", "failed", true), done: func(s *scene) string {
			return s.is(s.answer(), store.Failed, 131049)
		}},
		{
			name: "failure before the result", sent: store.Sending, make: status(out, "delivered", false), bad: status(out, "failed", false), fine: unknown,
			done: func(s *scene) string { s.record(s.c, store.Sent, s.wamid(out)); return delivered(s) },
		},
		{
			name: "the same status before the result", sent: store.Sending, make: status(out, "delivered", false), fine: unknown,
			done: func(s *scene) string { s.record(s.c, store.Sent, s.wamid(out)); return delivered(s) },
		},
		{name: "echo", sent: store.Sent, make: spoken, done: func(s *scene) string {
			if m := s.message(s.id, s.wamid("phone")); m.Author != store.AuthorPhone || s.conversation(s.id).State != router.StateHandedOff {
				return fmt.Sprintf("in state %s by %+v", s.conversation(s.id).State, m)
			}
			return ""
		}},
		{name: "echo of ours", sent: store.Sending, make: func(s *scene) inbound.Arrival {
			return echoed(s.ana, s.wamid(out), s.menu.Text, s.now)
		}, done: func(s *scene) string { return s.is(s.answer(), store.Sent, 0) }},
		{name: "echo of ours by its id", sent: store.Sent, fine: unknown, make: func(s *scene) inbound.Arrival {
			return echoed(s.ana, s.wamid(out), "whatever", s.now)
		}, done: func(s *scene) string {
			if got := s.conversation(s.id).State; got != router.StateMenu {
				return "taken over: " + string(got)
			}
			return s.is(s.answer(), store.Sent, 0)
		}},
		{name: "message", sent: store.Sent, make: says(func(*scene, *inbound.Arrival) {}), done: inMenu},
		{name: "quote", sent: store.Sent, make: says(func(s *scene, a *inbound.Arrival) { a.Content.QuotedID = s.menu.ProviderID }), done: inMenu},
		{name: "list reply", sent: store.Sent, make: tapped("interactive"), done: inMenu},
		{name: "button reply", sent: store.Sent, make: tapped("button"), done: inMenu},
		{name: "reaction", sent: store.Sent, make: about("reaction", "👍"), done: func(s *scene) string {
			if got := s.message(s.id, s.hola).Reactions; len(got) != 1 || got[0].Emoji != "👍" {
				return fmt.Sprintf("reactions %v", got)
			}
			return ""
		}},
		{name: "reaction to ours", sent: store.Sent, make: func(s *scene) inbound.Arrival {
			a := about("reaction", "👍")(s)
			a.Content.TargetID = s.menu.ProviderID
			return a
		}, done: func(s *scene) string {
			if got := s.answer().Reactions; len(got) != 1 {
				return fmt.Sprintf("reactions %v", got)
			}
			return ""
		}},
		{name: "edit", sent: store.Sent, make: about("edit", "hola!"), bad: about("edit", "te odio"), done: func(s *scene) string {
			if got := s.message(s.id, s.hola); got.Text != "hola!" {
				return "text " + got.Text
			}
			return ""
		}},
		{name: "revoke", sent: store.Sent, make: about("revoke", ""), done: func(s *scene) string {
			if got := s.message(s.id, s.hola); got.RevokedAt.IsZero() {
				return "it is still there"
			}
			return ""
		}},
		{name: "revoke by our phone", sent: store.Sent, make: func(s *scene) inbound.Arrival {
			s.handle(spoken(s))
			a := about("revoke", "")(s)
			a.Kind, a.Content.TargetID = inbound.Echo, s.wamid("phone")
			return a
		}, done: func(s *scene) string {
			if got := s.message(s.id, s.wamid("phone")); got.RevokedAt.IsZero() {
				return "it is still there"
			}
			return ""
		}},
		{name: "identity change", sent: store.Sent, make: func(s *scene) inbound.Arrival {
			a := report(s.ana, s.wamid("change"), "", "", s.now)
			a.Kind, a.Report, a.Change = inbound.Identity, nil, &inbound.Change{From: s.ana, To: s.person(8)}
			return a
		}, done: func(s *scene) string {
			if got := s.conversation(s.id).Contact; got.Phone != s.person(8).Phone {
				return "reached at " + got.Phone
			}
			return ""
		}},
	}
}

// pasts are what may have happened to the person since the messages were written.
var pasts = [...]struct {
	name string
	then func(*scene)
}{
	{"as ever", func(*scene) {}},
	{"after a merge", func(s *scene) {
		// A hidden contact turns out to be her, and has the newer conversation.
		both := s.person(5)
		s.say(inbound.Person{UserID: both.UserID}, s.wamid("hidden"), "hola")
		both.Phone = s.ana.Phone
		s.ana = both
		s.say(s.ana, s.wamid("both"), "0")
	}},
	{"after a change of number", func(s *scene) {
		now := s.person(4)
		a := report(s.ana, s.wamid("moved"), "", "", s.now)
		a.Kind, a.Report, a.Change = inbound.Identity, nil, &inbound.Change{From: s.ana, To: now}
		s.handle(a)
		s.ana = now
	}},
}

// ids: an id from outside is valid only on its line and in its conversation. Anyone else
// who uses it changes nothing, and takes nothing from those with a right to it.
func ids(t *testing.T, e Engine) {
	for _, kind := range arrivals() {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			d := open(t, e)
			for n, past := range pasts {
				s := &scene{driver: d, n: n}
				s.begin(kind.sent)
				past.then(s)
				right := kind.make(s)
				wrong := right
				if kind.bad != nil {
					wrong = kind.bad(s)
				}
				before := s.everything()
				for _, other := range strangers() {
					if slices.Contains(kind.fine, other.name) {
						continue
					}
					s.deliverArrival(other.from(s, wrong))
					now := s.everything()
					if diff := cmp.Diff(now, before); diff != "" {
						t.Errorf("%s, from %s: it changed something (-got +want):\n%s", past.name, other.name, diff)
					}
					before = now
				}
				s.deliverArrival(right)
				if wrong := kind.done(s); wrong != "" {
					t.Errorf("%s: the right one, after all strangers: %s", past.name, wrong)
				}
				after := s.everything()
				s.deliverArrival(right)
				if diff := cmp.Diff(s.everything(), after); diff != "" {
					t.Errorf("%s: the right one again changed something (-got +want):\n%s", past.name, diff)
				}
			}
		})
	}
	t.Run("never claimed", neverClaimed(e))
	t.Run("by its former name", formerName(e))
	t.Run("rows of earlier versions", formerRows(e))
	t.Run("without a line", noLine(e))
}

// begin lets Ana write, beside another person, and brings her answer to a status.
func (s *scene) begin(sent store.Status) {
	s.tick(time.Hour)
	s.say(s.person(2), s.wamid("other"), "hola")
	s.ana, s.hola = s.person(1), s.wamid("hola")
	s.ana.UserID = ""
	s.id = s.say(s.ana, s.hola, "hola").Conversation
	if sent != store.Queued {
		s.c = s.claimOne(s.wamid("t"), s.id)
	}
	if sent == store.Sent {
		s.record(s.c, store.Sent, s.wamid("out"))
	}
	s.menu = s.messages(s.id)[1]
}

// deliverArrival gives an arrival to the right method. It leaves the driver's clock alone.
func (s *scene) deliverArrival(a inbound.Arrival) {
	s.Helper()
	if a.Kind == inbound.Status {
		if err := s.Statuses(s.Context(), s.now, []inbound.Arrival{a}); err != nil {
			s.Fatalf("statuses: %v", err)
		}
		return
	}
	if _, err := s.Turn(s.Context(), s.now, []inbound.Arrival{a}); err != nil {
		s.Fatalf("turn: %v", err)
	}
}

func (s *scene) everything() []any { return []any{s.conversation(s.id), s.messages(s.id)} }

// neverClaimed: no report, true or not, keeps an unposted row from being posted.
func neverClaimed(e Engine) func(*testing.T) {
	return func(t *testing.T) {
		d := open(t, e)
		for i, word := range []string{"sent", "delivered", "read", "failed"} {
			s := &scene{driver: d, n: i}
			s.begin(store.Queued)
			before := s.everything()
			s.statuses(report(s.ana, s.wamid("out"), s.menu.ID, word, s.now))
			if diff := cmp.Diff(s.everything(), before); diff != "" {
				t.Errorf("%s changed something (-got +want):\n%s", word, diff)
			}
			c := s.claimOne("t", s.id)
			if c.Post.ID != s.menu.ID {
				t.Errorf("%s: claimed %+v", word, c)
			}
			// A row that ended before it was ever posted is not brought back either.
			s.record(c, store.Failed, "")
			late := s.say(s.ana, s.wamid("again"), "nada")
			s.tick(2 * time.Hour)
			if got := s.claim("t2", s.id); len(got) != 0 {
				t.Fatalf("got %+v", got)
			}
			expired := s.messages(s.id)[3]
			s.statuses(report(s.ana, s.wamid("out2"), expired.ID, word, s.now))
			if got := s.message(late.Conversation, expired.ID); got.Status != store.Failed || got.Reason != router.Expired {
				t.Errorf("%s: got %s, %s", word, got.Status, got.Reason)
			}
		}
	}
}

// noLine: an arrival without a line changes no name and opts nobody out.
func noLine(e Engine) func(*testing.T) {
	return func(t *testing.T) {
		d := open(t, e)
		id := d.say(person(1), "a", "hola").Conversation
		before := d.conversation(id)
		stop := report(person(1), "stop", "", "", d.now)
		stop.Kind, stop.Report, stop.Choice = inbound.Preference, nil, &inbound.Choice{Category: "marketing_messages", Stop: true}
		stop.Line, stop.LineRef = "", ""
		if got := d.handle(stop); got.Reason != router.UnknownLine || got.Conversation != "" {
			t.Errorf("got %+v", got)
		}
		if diff := cmp.Diff(d.conversation(id), before); diff != "" {
			t.Errorf("it changed something (-got +want):\n%s", diff)
		}
	}
}

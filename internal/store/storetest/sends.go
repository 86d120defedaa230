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

// sends: a row is posted by one claim, and its recorded result is true.
func sends(t *testing.T, e Engine) {
	t.Run("claim and record", func(t *testing.T) {
		d := open(t, e)
		p := person(1)
		r := d.say(p, "a", "hola")
		d.say(p, "b", "1")
		other := d.say(person(2), "c", "hola")
		claims := d.claim("t1", r.Conversation, "nobody", other.Conversation, r.Conversation)
		if len(claims) != 2 || claims[0].Post.Conversation != r.Conversation || claims[1].Post.Conversation != other.Conversation {
			t.Fatalf("got %+v", claims)
		}
		c := claims[0]
		row := d.messages(r.Conversation)[1]
		want := store.SendClaim{
			Post: store.PostRow{
				Post:         outbound.Post{ID: row.ID, Line: "wsp4", To: outbound.Address{Phone: p.Phone, UserID: p.UserID}, Body: row.Body},
				Conversation: r.Conversation, Author: store.AuthorRouter, CreatedAt: row.CreatedAt,
			},
			Token: "t1", MarkReadID: "a", Attempt: 1,
		}
		if diff := cmp.Diff(c, want); diff != "" {
			t.Errorf("claim (-got +want):\n%s", diff)
		}
		if got := d.message(r.Conversation, row.ID).Status; got != store.Sending {
			t.Errorf("got %s", got)
		}
		// A repeat of the claim returns the same.
		if again := d.claim("t1", r.Conversation); !cmp.Equal(again, []store.SendClaim{c}) {
			t.Errorf("got %+v", again)
		}
		if more := d.record(c, store.Sent, "out1"); !more {
			t.Error("there is another row")
		}
		m := d.message(r.Conversation, "out1")
		if m.ID != row.ID || m.Status != store.Sent || m.SentAt.IsZero() || m.Reason != router.FirstContact {
			t.Errorf("got %+v", m)
		}
		c2 := d.claimOne("t2", r.Conversation)
		if c2.MarkReadID != "b" || c2.Post.ID == c.Post.ID {
			t.Errorf("got %+v", c2)
		}
		if more := d.record(c2, store.Sent, "out2"); more {
			t.Error("there is no other row")
		}
		if got := d.claim("t3", r.Conversation); len(got) != 0 {
			t.Errorf("got %+v", got)
		}
	})

	t.Run("to whom", func(t *testing.T) {
		for _, tc := range []struct {
			name string
			who  inbound.Person
			want string
		}{
			{"as WhatsApp gives it", inbound.Person{Phone: "5215512345678"}, "5215512345678"},
			{"by hand, without the 9", inbound.Person{Phone: "541155550001", National: true}, "541155550001"},
			{"by hand, without its country: it would be somebody's abroad", inbound.Person{Phone: "1155550001", National: true}, "5491155550001"},
		} {
			d := open(t, e)
			r := d.say(tc.who, "a", "hola")
			c := d.claimOne("t1", r.Conversation)
			if got := c.Post.To.Phone; got != tc.want {
				t.Errorf("%s: posted to %q, want %q", tc.name, got, tc.want)
			}
			if got := d.conversation(r.Conversation).Contact.Phone; got != tc.want {
				t.Errorf("%s: the contact's phone is %q, want %q", tc.name, got, tc.want)
			}
		}
	})

	t.Run("try again", func(t *testing.T) {
		d := open(t, e)
		r := d.say(person(1), "a", "hola")
		c := d.claimOne("t1", r.Conversation)
		if more := d.record(c, store.Queued, ""); !more {
			t.Error("it is still to be sent")
		}
		if c := d.claimOne("t2", r.Conversation); c.Attempt != 2 {
			t.Errorf("got attempt %d", c.Attempt)
		}
	})

	t.Run("not begun", func(t *testing.T) {
		d := open(t, e)
		r := d.say(person(1), "a", "hola")
		back := func(c store.SendClaim) {
			t.Helper()
			if _, err := d.RecordSends(t.Context(), d.now, []store.SendResult{{
				MessageID: c.Post.ID, Conversation: r.Conversation, Token: c.Token, Status: store.Queued, NotAttempted: true, Detail: "too late",
			}}); err != nil {
				t.Fatal(err)
			}
		}
		back(d.claimOne("t1", r.Conversation))
		if m := d.messages(r.Conversation)[1]; m.Status != store.Queued || m.ErrorDetail != "" {
			t.Errorf("got %s, %q", m.Status, m.ErrorDetail)
		}
		c := d.claimOne("t2", r.Conversation)
		if c.Attempt != 1 {
			t.Errorf("it was attempt %d", c.Attempt)
		}
		// A sender that lost the claim gives nothing back.
		stale := c
		stale.Token = "t1"
		back(stale)
		if again := d.claim("t2", r.Conversation); !cmp.Equal(again, []store.SendClaim{c}) {
			t.Errorf("got %+v", again)
		}
		// Nor does it undo a successor's decision: later rows may have been posted.
		d.claim("t3", r.Conversation)
		back(c)
		if m := d.messages(r.Conversation)[1]; m.Status != store.Uncertain {
			t.Errorf("got %s", m.Status)
		}
		// A row that was given back leaves only if it still may.
		d.say(person(1), "b", "1")
		c = d.claimOne("t4", r.Conversation)
		back(c)
		d.command(r.Conversation, router.CommandHandoff, "admin")
		d.claim("t5", r.Conversation) // the confirmation of the hand-off
		if m := d.message(r.Conversation, c.Post.ID); m.Status != store.Failed || m.Reason != router.Superseded {
			t.Errorf("got %s %s after the hand-off", m.Status, m.Reason)
		}
	})

	t.Run("the reason of a wait ends with the post", func(t *testing.T) {
		d := open(t, e)
		r := d.say(person(1), "a", "hola")
		for n, how := range []store.Status{store.Queued, store.Sent} {
			c := d.claimOne(fmt.Sprint("t", n), r.Conversation)
			res := store.SendResult{MessageID: c.Post.ID, Conversation: r.Conversation, Token: c.Token, Status: how, ProviderID: "out"}
			if how == store.Queued {
				res.ProviderID, res.Code, res.Detail = "", 131056, "too many messages to this person"
			}
			if _, err := d.RecordSends(t.Context(), d.now, []store.SendResult{res}); err != nil {
				t.Fatal(err)
			}
		}
		if m := d.message(r.Conversation, "out"); m.Status != store.Sent || m.ErrorCode != 0 || m.ErrorDetail != "" {
			t.Errorf("got %s, error %d %q", m.Status, m.ErrorCode, m.ErrorDetail)
		}
	})

	t.Run("the reason of a wait until it was too late", func(t *testing.T) {
		d := open(t, e)
		r := d.say(person(1), "a", "hola")
		c := d.claimOne("t1", r.Conversation)
		if _, err := d.RecordSends(t.Context(), d.now, []store.SendResult{{
			MessageID: c.Post.ID, Conversation: r.Conversation, Token: c.Token, Status: store.Queued, Code: 190, Detail: "token expired",
		}}); err != nil {
			t.Fatal(err)
		}
		d.tick(2 * time.Hour)
		d.claim("t2", r.Conversation)
		if m := d.messages(r.Conversation)[1]; m.Reason != router.Expired || m.ErrorCode != 190 || m.ErrorDetail != "token expired" {
			t.Errorf("got %s, error %d %q", m.Reason, m.ErrorCode, m.ErrorDetail)
		}
	})

	t.Run("refused", func(t *testing.T) {
		d := open(t, e)
		r := d.say(person(1), "a", "hola")
		c := d.claimOne("t1", r.Conversation)
		more, err := d.RecordSends(t.Context(), d.now, []store.SendResult{{
			MessageID: c.Post.ID, Conversation: r.Conversation, Token: "t1", Status: store.Failed, Reason: router.Refused, Code: 131026, Detail: "undeliverable",
		}})
		if err != nil || more[0].More {
			t.Fatalf("got %v, %v", more, err)
		}
		m := d.message(r.Conversation, c.Post.ID)
		if m.Status != store.Failed || m.Reason != router.Refused || m.ErrorCode != 131026 || m.ErrorDetail != "undeliverable" {
			t.Errorf("got %+v", m)
		}
		told := d.eventTypes(r.Conversation)
		if told[len(told)-1] != store.EventFailed {
			t.Errorf("got %v", told)
		}
	})

	t.Run("a lost sender is uncertain, never repeated", func(t *testing.T) {
		d := open(t, e)
		r := d.say(person(1), "a", "hola")
		d.say(person(1), "b", "1")
		lost := d.claimOne("t1", r.Conversation)
		next := d.claimOne("t2", r.Conversation)
		if next.Post.ID == lost.Post.ID {
			t.Fatal("posted twice")
		}
		m := d.message(r.Conversation, lost.Post.ID)
		if m.Status != store.Uncertain || m.Reason != router.UncertainFor {
			t.Errorf("got %s %s", m.Status, m.Reason)
		}
		d.record(next, store.Sent, "out2")
		// The lost sender comes back: its result is still true.
		d.record(lost, store.Failed, "")
		if m := d.message(r.Conversation, lost.Post.ID); m.Status != store.Uncertain {
			t.Errorf("got %s", m.Status)
		}
		d.record(lost, store.Sent, "out1")
		if m := d.message(r.Conversation, "out1"); m.ID != lost.Post.ID || m.Status != store.Sent {
			t.Errorf("got %+v", m)
		}
	})

	t.Run("a result under another token is ignored", func(t *testing.T) {
		d := open(t, e)
		r := d.say(person(1), "a", "hola")
		c := d.claimOne("t1", r.Conversation)
		stale := c
		stale.Token = "t0"
		d.record(stale, store.Failed, "")
		d.record(stale, store.Queued, "")
		if m := d.message(r.Conversation, c.Post.ID); m.Status != store.Sending {
			t.Errorf("got %s", m.Status)
		}
	})

	t.Run("superseded", func(t *testing.T) {
		for _, tc := range []struct {
			kind router.CommandKind
			said int
		}{
			{router.CommandHandoff, 1}, {router.CommandClose, 0}, {router.CommandDisconnect, 0}, {router.CommandReset, 0},
		} {
			d := open(t, e)
			r := d.say(person(1), "a", "hola")
			d.command(r.Conversation, tc.kind, "ventas")
			if said := d.deliver(r.Conversation); len(said) != tc.said {
				t.Errorf("%s: said %q", tc.kind, said)
			}
			m := d.messages(r.Conversation)[1]
			if m.Status != store.Failed || m.Reason != router.Superseded {
				t.Errorf("%s: got %s %s", tc.kind, m.Status, m.Reason)
			}
		}
	})

	t.Run("expired", func(t *testing.T) {
		d := open(t, e)
		r := d.say(person(1), "a", "hola")
		d.tick(2 * time.Hour)
		d.say(person(1), "b", "hola")
		c := d.claimOne("t", r.Conversation)
		if c.MarkReadID != "b" {
			t.Errorf("got %+v", c)
		}
		if m := d.messages(r.Conversation)[1]; m.Status != store.Failed || m.Reason != router.Expired {
			t.Errorf("got %s %s", m.Status, m.Reason)
		}
	})

	t.Run("window", func(t *testing.T) {
		d := open(t, e)
		d.set.ReplyTTL = -1
		d.reopen()
		for _, line := range []string{"wsp4", "ventas"} {
			a := says(person(1), line, "hola", d.now)
			a.Line, a.LineRef = line, line
			r := d.handle(a)
			at := d.now
			d.tick(24 * time.Hour)
			claims := d.claim("t", r.Conversation)
			d.now = at
			if line == "ventas" {
				if len(claims) != 1 {
					t.Errorf("%s: got %+v", line, claims)
				}
				continue
			}
			if m := d.messages(r.Conversation)[1]; len(claims) != 0 || m.Status != store.Failed || m.Reason != router.WindowClosed {
				t.Errorf("%s: got %s %s", line, m.Status, m.Reason)
			}
		}
	})
}

package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/store"
)

// reports: a status never goes down, in whatever order reports come.
func reports(t *testing.T, e Engine) {
	for _, tc := range []struct {
		name   string
		before []string // by our id, before the post's answer
		after  []string // by the provider's id
		want   store.Status
		code   int
	}{
		{name: "nothing", want: store.Sent},
		{name: "in order", after: []string{"sent", "delivered", "read", "played"}, want: store.Played},
		{name: "backwards", after: []string{"read", "delivered", "sent"}, want: store.Read},
		{name: "failed", after: []string{"failed"}, want: store.Failed, code: 131049},
		{name: "failed, then sent", after: []string{"failed", "sent"}, want: store.Failed, code: 131049},
		{name: "failed, then delivered", after: []string{"failed", "delivered"}, want: store.Delivered, code: 131049},
		{name: "delivered, then failed", after: []string{"delivered", "failed"}, want: store.Delivered, code: 131049},
		{name: "unknown words", after: []string{"deleted", "warning", ""}, want: store.Sent},
		{name: "before the send returned", before: []string{"delivered"}, want: store.Delivered},
		{name: "failed before the send returned", before: []string{"failed"}, want: store.Failed, code: 131049},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			d := open(t, e)
			r := d.say(person(1), "a", "hola")
			c := d.claimOne("t1", r.Conversation)
			for _, s := range tc.before {
				d.statuses(report(person(1), "out", c.Post.ID, s, d.now))
				if m := d.message(r.Conversation, c.Post.ID); m.ProviderID != "out" {
					t.Errorf("got provider id %q", m.ProviderID)
				}
			}
			d.record(c, store.Sent, "out")
			for _, s := range tc.after {
				for range 2 {
					d.statuses(report(person(1), "out", "", s, d.now))
				}
			}
			m := d.message(r.Conversation, "out")
			if m.Status != tc.want || m.ErrorCode != tc.code {
				t.Errorf("got %s, code %d; want %s, %d", m.Status, m.ErrorCode, tc.want, tc.code)
			}
			if more := d.claim("t2", r.Conversation); len(more) != 0 {
				t.Errorf("claimed again: %+v", more)
			}
		})
	}

	t.Run("events", func(t *testing.T) {
		d := open(t, e)
		r := d.say(person(1), "a", "hola")
		c := d.claimOne("t1", r.Conversation)
		d.record(c, store.Sent, "out")
		d.statuses(report(person(1), "out", "", "delivered", d.now), report(person(1), "out", "", "delivered", d.now), report(person(1), "out", "", "sent", d.now))
		want := []string{store.EventOpened, store.EventReceived, store.EventSent, store.EventStatus}
		if diff := cmp.Diff(d.eventTypes(r.Conversation), want); diff != "" {
			t.Errorf("events (-got +want):\n%s", diff)
		}
	})

	t.Run("parked for an hour", func(t *testing.T) {
		for _, wait := range []time.Duration{time.Minute, 2 * time.Hour} {
			d := open(t, e)
			d.set.ReplyTTL = -1
			d.reopen()
			r := d.say(person(1), "a", "hola")
			c := d.claimOne("t1", r.Conversation)
			d.statuses(report(person(1), "out", "", "delivered", d.now), report(person(1), "out", "", "read", d.now))
			d.tick(wait)
			d.pump()
			d.record(c, store.Sent, "out")
			want := store.Read
			if wait > time.Hour {
				want = store.Sent
			}
			if got := d.message(r.Conversation, "out").Status; got != want {
				t.Errorf("after %s: got %s, want %s", wait, got, want)
			}
		}
	})

	t.Run("lifts uncertain", func(t *testing.T) {
		d := open(t, e)
		r := d.say(person(1), "a", "hola")
		c := d.claimOne("t1", r.Conversation)
		d.claim("t2", r.Conversation)
		d.statuses(report(person(1), "out", c.Post.ID, "sent", d.now))
		m := d.message(r.Conversation, c.Post.ID)
		if m.Status != store.Sent || m.ProviderID != "out" || m.ErrorDetail != "" {
			t.Errorf("got %s %s, error %q", m.Status, m.ProviderID, m.ErrorDetail)
		}
	})

	t.Run("of a row that waits for its second try", func(t *testing.T) {
		d := open(t, e)
		r := d.say(person(1), "a", "hola")
		c := d.claimOne("t1", r.Conversation)
		d.record(c, store.Queued, "")
		d.statuses(report(person(1), "out", c.Post.ID, "delivered", d.now))
		if again := d.claim("t2", r.Conversation); len(again) != 0 {
			t.Errorf("posted again though it arrived: %+v", again)
		}
	})

	t.Run("inbound messages have no reports", func(t *testing.T) {
		d := open(t, e)
		r := d.say(person(1), "a", "hola")
		d.statuses(report(person(1), "a", r.MessageID, "read", d.now), inbound.Arrival{Kind: inbound.Status, ID: "x"})
		if m := d.message(r.Conversation, "a"); m.Status != store.Received {
			t.Errorf("got %s", m.Status)
		}
	})
}

package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

// echoes: messages of our own side from another device.
func echoes(t *testing.T, e Engine) {
	t.Run("a human takes over", func(t *testing.T) {
		d := open(t, e)
		p := person(1)
		d.say(p, "a", "hola")
		r := d.handle(echoed(p, "e1", "Hola, soy Laura", d.now))
		if r.Reason != router.EchoSent || r.State != router.StateHandedOff || r.Replies != 0 {
			t.Fatalf("got %+v", r)
		}
		m := d.message(r.Conversation, "e1")
		if m.Direction != "outbound" || m.Author != store.AuthorPhone || m.Status != store.Sent || m.Text != "Hola, soy Laura" {
			t.Errorf("got %+v", m)
		}
		if got := d.say(p, "b", "1"); got.Reason != router.HandedOffSilent {
			t.Errorf("got %+v", got)
		}
		if got := d.handle(echoed(p, "e1", "Hola, soy Laura", d.now)); !got.Duplicate {
			t.Errorf("got %+v", got)
		}
		// The waiting menu is not sent any more.
		if got := d.claim("t", r.Conversation); len(got) != 0 {
			t.Errorf("claimed %+v", got)
		}
		if tr := d.trace(r.Conversation); len(tr.Audit) != 1 || tr.Audit[0].Actor != "phone" {
			t.Errorf("got audit %+v", tr.Audit)
		}
	})

	t.Run("to somebody new", func(t *testing.T) {
		d := open(t, e)
		r := d.handle(echoed(person(1), "e1", "Hola", d.now))
		if r.State != router.StateHandedOff || r.Conversation == "" {
			t.Fatalf("got %+v", r)
		}
		want := []string{store.EventOpened, store.EventSent, store.EventHandedOff}
		if diff := cmp.Diff(d.eventTypes(r.Conversation), want); diff != "" {
			t.Errorf("events (-got +want):\n%s", diff)
		}
	})

	t.Run("a gesture is no takeover", func(t *testing.T) {
		for _, kind := range []string{"pin", "keep_in_chat", "poll_update", "protocol", "notice", "system", "unsupported", "unknown"} {
			d := open(t, e)
			p := person(1)
			id := d.say(p, "a", "hola").Conversation
			gesture := echoed(p, "e1", "", d.now)
			gesture.Content.Type = kind
			r := d.handle(gesture)
			if r.Reason != router.System || r.State != router.StateMenu {
				t.Errorf("%s: got %+v", kind, r)
			}
			if m := d.message(id, "e1"); m.Type != kind || m.Author != store.AuthorPhone {
				t.Errorf("%s is not kept: %+v", kind, m)
			}
			if got := d.say(p, "b", "1"); got.Reason != router.MenuChoice {
				t.Errorf("%s: then the bot replies %+v", kind, got)
			}
		}
	})

	t.Run("old ones change nothing", func(t *testing.T) {
		d := open(t, e)
		p := person(1)
		d.say(p, "a", "hola")
		late := echoed(p, "e1", "Hola", d.now)
		late.Late = true
		old := echoed(p, "e2", "Hola", d.now)
		old.SentAt = d.now.Add(-time.Hour)
		got := d.turn(late, old)
		if got[0].Reason != router.Late || got[1].Reason != router.Stale || got[1].State != router.StateMenu {
			t.Errorf("got %+v", got)
		}
	})

	t.Run("of our own message", func(t *testing.T) {
		d := open(t, e)
		p := person(1)
		r := d.say(p, "a", "hola")
		c := d.claimOne("t1", r.Conversation)
		// Before the answer to the post: known by its content.
		got := d.handle(echoed(p, "out1", c.Post.Body.Reply.Text+"\n\n1. Administración", d.now))
		if !got.Duplicate || got.State != router.StateMenu || got.MessageID != c.Post.ID {
			t.Fatalf("got %+v", got)
		}
		if m := d.message(r.Conversation, c.Post.ID); m.Status != store.Sent || m.ProviderID != "out1" {
			t.Errorf("got %s %s", m.Status, m.ProviderID)
		}
		d.record(c, store.Sent, "out1")
		// After it: by its id.
		if got := d.handle(echoed(p, "out1", "lo que sea", d.now)); !got.Duplicate || got.State != router.StateMenu {
			t.Errorf("got %+v", got)
		}
		if n := len(d.messages(r.Conversation)); n != 2 {
			t.Errorf("got %d messages", n)
		}
	})

	t.Run("of our own file", func(t *testing.T) {
		for _, tc := range []struct {
			name, kind, caption string // of our message
			came, said          string // of the echo
			after               store.Status
			wait                time.Duration
			ours                bool
		}{
			{"no word", "image", "", "image", "", "", 0, true},
			{"a sound", "audio", "", "audio", "", "", 0, true},
			{"a document", "document", "", "document", "", "", 0, true},
			{"a caption", "video", "El aula", "video", "El aula", "", 0, true},
			{"another kind", "image", "", "audio", "", "", 0, false},
			{"another caption", "image", "El aula", "image", "Otra", "", 0, false},
			{"a caption that we did not send", "image", "", "image", "Soy Laura", "", 0, false},
			{"a caption that we sent is not there", "image", "El aula", "image", "", "", 0, false},
			{"it may have left", "image", "", "image", "", store.Uncertain, time.Minute, true},
			{"it may have left, long ago", "image", "", "image", "", store.Uncertain, 2 * time.Hour, false},
		} {
			t.Run(tc.name, func(t *testing.T) {
				t.Parallel()
				d := open(t, e)
				on := func(a inbound.Arrival) inbound.Arrival {
					a.Line, a.LineRef, a.Provider = "ventas", "ventas", "evolution"
					return a
				}
				id := d.handle(on(says(person(1), "a", "hola", d.now))).Conversation
				d.deliver(id)
				before := len(d.messages(id))
				d.do(saying(id, &store.Draft{
					Type: tc.kind, Text: tc.caption, Notice: true, Body: []byte(`{}`),
					Media: &store.Media{Media: inbound.Media{URL: "https://example.com/a"}, State: store.MediaReady},
				}))
				c := d.claimOne("t1", id)
				if tc.after != "" {
					d.record(c, tc.after, "")
				}
				d.tick(tc.wait)
				echo := on(echoed(person(1), "out1", tc.said, d.now))
				echo.Content.Type, echo.Content.Media = tc.came, &inbound.Media{ID: "out1"}
				got := d.handle(echo)
				if tc.after == "" {
					d.record(c, store.Sent, "out1")
				}
				want := 1
				if !tc.ours {
					want = 2
				}
				if n := len(d.messages(id)) - before; n != want || got.Duplicate != tc.ours || (d.conversation(id).State == router.StateMenu) != tc.ours {
					t.Errorf("%d messages, %s, %+v", n, d.conversation(id).State, got)
				}
			})
		}
	})

	t.Run("reports before the echo", func(t *testing.T) {
		d := open(t, e)
		p := person(1)
		d.statuses(report(person(1), "e1", "", "delivered", d.now))
		r := d.handle(echoed(p, "e1", "Hola", d.now))
		if m := d.message(r.Conversation, "e1"); m.Status != store.Delivered {
			t.Errorf("got %s", m.Status)
		}
	})
}

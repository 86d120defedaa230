package storetest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

// annotations: reactions, edits and revokes change their target and are no messages.
func annotations(t *testing.T, e Engine) {
	t.Run("reactions", func(t *testing.T) {
		d := open(t, e)
		p := person(1)
		r := d.say(p, "a", "hola")
		d.deliver(r.Conversation)
		menu := d.messages(r.Conversation)[1]
		react := func(id, emoji string) store.Result {
			return d.handle(annotation(p, id, "reaction", menu.ProviderID, emoji, d.now))
		}
		check := func(want ...store.Reaction) {
			t.Helper()
			list := d.messages(r.Conversation)
			if len(list) != 2 {
				t.Fatalf("got %d messages: a reaction is not one", len(list))
			}
			if diff := cmp.Diff(list[1].Reactions, want); diff != "" {
				t.Errorf("reactions (-got +want):\n%s", diff)
			}
		}
		heart, thumb := store.Reaction{Author: store.AuthorContact, Emoji: "❤️"}, store.Reaction{Author: store.AuthorContact, Emoji: "👍"}
		ours := store.Reaction{Author: store.AuthorPhone, Emoji: "🙏"}

		if got := react("r1", "❤️"); got.Reason != router.Reaction || got.Replies != 0 || got.MessageID != menu.ID || got.Conversation != r.Conversation {
			t.Errorf("got %+v", got)
		}
		check(heart)
		react("r2", "❤️") // the same again is no toggle
		check(heart)
		react("r3", "👍")
		check(thumb)
		if got := react("r1", "❤️"); !got.Duplicate {
			t.Errorf("got %+v", got)
		}
		check(thumb)
		echo := echoed(p, "r4", "", d.now)
		echo.Content = annotation(p, "r4", "reaction", menu.ProviderID, "🙏", d.now).Content
		d.handle(echo)
		check(thumb, ours)
		react("r5", "")
		check(ours)
		late := annotation(p, "r6", "reaction", menu.ProviderID, "😡", d.now)
		late.Late = true
		if got := d.handle(late); got.Reason != router.Late {
			t.Errorf("got %+v", got)
		}
		check(ours)
		if got := d.handle(annotation(p, "r7", "reaction", "wamid.nobody", "👍", d.now)); got.Reason != router.Reaction || got.MessageID != "" {
			t.Errorf("without a target: got %+v", got)
		}
		if tr := d.trace("r7"); len(tr.Records) != 1 {
			t.Errorf("got %+v", tr)
		}
		if c := d.conversation(r.Conversation); c.Menu != "principal" {
			t.Errorf("got menu %q", c.Menu)
		}
	})

	t.Run("a reaction names the message in another writing", func(t *testing.T) {
		d := open(t, e)
		p := person(1)
		// The same stanza, once with the person's number and once with the business's.
		stored := "wamid.HBgNNTQ5MTEwMDAwMDAwMRUCABIYFDNFQjBBQkNERUYwMTIzNDU2Nzg5AA=="
		named := "wamid.HBgMNTQxMTAwMDAwMDAyFQIAERgUM0VCMEFCQ0RFRjAxMjM0NTY3ODkA"
		r := d.say(p, stored, "hola")
		if got := d.handle(annotation(p, "r", "reaction", named, "👍", d.now)); got.MessageID != r.MessageID {
			t.Fatalf("got %+v", got)
		}
		if m := d.message(r.Conversation, stored); len(m.Reactions) != 1 {
			t.Errorf("got %+v", m.Reactions)
		}
	})

	t.Run("a reaction in the batch of its message", func(t *testing.T) {
		d := open(t, e)
		got := d.turn(says(person(1), "a", "hola", d.now), annotation(person(1), "r", "reaction", "a", "👍", d.now))
		if got[1].MessageID != got[0].MessageID {
			t.Fatalf("got %+v", got)
		}
		if m := d.message(got[0].Conversation, "a"); len(m.Reactions) != 1 {
			t.Errorf("got %+v", m.Reactions)
		}
	})

	t.Run("edits and revokes", func(t *testing.T) {
		d := open(t, e)
		p := person(1)
		r := d.say(p, "a", "hola")
		if got := d.handle(annotation(p, "e1", "edit", "a", "hola!", d.now)); got.Reason != router.Edited || got.Replies != 0 {
			t.Fatalf("got %+v", got)
		}
		m := d.message(r.Conversation, "a")
		if m.Text != "hola!" || m.EditedAt.IsZero() || m.Reason != router.FirstContact {
			t.Errorf("got %+v", m)
		}
		if got := d.handle(annotation(p, "v1", "revoke", "a", "", d.now)); got.Reason != router.Revoked {
			t.Fatalf("got %+v", got)
		}
		m = d.message(r.Conversation, "a")
		if m.RevokedAt.IsZero() || m.Text != "hola!" {
			t.Errorf("got %+v: a revoked text is kept", m)
		}
		d.deliver(r.Conversation)
		menu := d.messages(r.Conversation)[1]
		d.handle(annotation(p, "e2", "edit", menu.ProviderID, "mentira", d.now))
		if m := d.message(r.Conversation, menu.ID); m.Text != menu.Text {
			t.Errorf("a person edited our message: %q", m.Text)
		}
	})
}

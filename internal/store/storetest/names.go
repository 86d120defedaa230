package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/store"
)

// names are those that no provider gives today and somebody may send.
func names(t *testing.T, e Engine) {
	t.Run("names of any length", func(t *testing.T) {
		d := open(t, e)
		long := func(begins string) string { return begins + noise(6000) }
		ana := inbound.Person{UserID: long("AR."), Phone: long("549"), ExternalID: long("x"), Name: long("Ana ")}
		hello := says(ana, long("wamid."), "hola", d.now)
		hello.Content.QuotedID = long("quoted")
		first := d.turn(hello)[0]
		if again := d.turn(hello)[0]; first.Conversation == "" || !again.Duplicate {
			t.Errorf("got %+v, then %+v", first, again)
		}
		next := d.turn(says(inbound.Person{UserID: ana.UserID}, "b", "1", d.now))[0]
		if next.Conversation != first.Conversation {
			t.Errorf("the same user id leads to %s and to %s", first.Conversation, next.Conversation)
		}
		mark := about(ana, "m", "reaction", hello.ID, "👍", d.now)
		d.turn(mark)
		if m := d.messages(first.Conversation)[0]; len(m.Reactions) != 1 {
			t.Errorf("the reaction found nothing: %+v", m)
		}
		unknown := says(ana, long("other"), "hola", d.now)
		unknown.Line, unknown.LineRef, unknown.Quarantine = "", long("ref"), "unknown_line"
		d.turn(unknown)
		if err := d.Reject(t.Context(), d.now, says(ana, long("bad"), "hola", d.now), "why"); err != nil {
			t.Fatal(err)
		}

		c := d.claimOne("t", first.Conversation)
		out := long("wamid.out")
		status := reports(out, "", "delivered", d.now)
		parked := reports(long("nobody"), "", long("odd"), d.now)
		if err := d.Statuses(t.Context(), d.now, []inbound.Arrival{status, parked}); err != nil {
			t.Fatal(err)
		}
		d.record(c, store.Sent, out)
		d.tick(time.Second)
		d.pump()
		tr, err := d.Trace(t.Context(), out)
		if err != nil || len(tr.Messages) == 0 {
			t.Fatalf("got %+v, %v", tr, err)
		}
	})

	t.Run("JSON comes back as it was", func(t *testing.T) {
		d := open(t, e)
		const odd = "a\uE07Fb\uE07F\uE07F00"
		photo := says(person(1), "p", odd, d.now)
		photo.Content.Type, photo.Content.Media = "document", &inbound.Media{ID: "m1", Name: odd}
		r := d.turn(photo)[0]
		d.turn(about(person(1), "r", "reaction", "p", odd, d.now))
		m := d.message(r.Conversation, "p")
		if m.Text != odd || m.Media == nil || m.Media.Name != odd || len(m.Reactions) != 1 || m.Reactions[0].Emoji != odd {
			t.Errorf("got %q, %+v, %+v", m.Text, m.Media, m.Reactions)
		}
		want := store.Media{Media: inbound.Media{ID: "m1", Name: odd}, State: store.MediaFailed, Error: odd}
		if err := d.SaveMedia(t.Context(), r.MessageID, want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(d.message(r.Conversation, "p").Media, &want); diff != "" {
			t.Error(diff)
		}
		d.pump()
		events, err := d.Events(t.Context(), 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		for _, ev := range events {
			all.Write(ev.Data)
		}
		if strings.Count(all.String(), odd) < 2 || strings.Contains(all.String(), "a\uE07F\uE07Fb") {
			t.Errorf("got %s", &all)
		}
	})
}

// noise is text that does not get smaller when it is packed.
func noise(n int) string {
	var b strings.Builder
	x := uint32(1)
	for b.Len() < n {
		x = x*1664525 + 1013904223
		b.WriteByte("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[x>>26])
	}
	return b.String()
}

package storetest

import (
	"encoding/json"
	"fmt"
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
		mark := annotation(ana, "m", "reaction", hello.ID, "👍", d.now)
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
		status := report(ana, out, "", "delivered", d.now)
		parked := report(ana, long("nobody"), "", long("odd"), d.now)
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

	t.Run("copies end somewhere", func(t *testing.T) {
		d := open(t, e)
		ana := inbound.Person{Phone: "5491100000001", Name: strings.Repeat("ñ", store.MaxCopiedName+1)}
		whole := strings.Repeat("👋", 64<<10) // WhatsApp's limit
		r := d.turn(says(ana, "a", whole, d.now))[0]
		d.turn(says(ana, "b", whole[:4*store.MaxCopiedText], d.now))
		if got := d.message(r.Conversation, "a").Text; got != whole {
			t.Errorf("the message has %d bytes of %d", len(got), len(whole))
		}
		if got := d.conversation(r.Conversation).Contact.Name; got != ana.Name {
			t.Errorf("the person's name: got %q", got)
		}
		cut := map[string]bool{}
		for _, ev := range d.events() {
			var data struct {
				Conversation struct {
					Contact struct {
						Name      string
						Truncated bool
					}
				}
				Message struct {
					ProviderID string `json:"provider_id"`
					Text       string
					Truncated  bool
				}
			}
			if err := json.Unmarshal(ev.Data, &data); err != nil {
				t.Fatal(err)
			}
			if c := data.Conversation.Contact; c.Name != strings.Repeat("ñ", store.MaxCopiedName) || !c.Truncated {
				t.Errorf("%s: got the name %q, %v", ev.Type, c.Name, c.Truncated)
			}
			if m := data.Message; m.ProviderID != "" {
				cut[m.ProviderID] = m.Truncated
				if m.Text != whole[:4*store.MaxCopiedText] {
					t.Errorf("%s has %d bytes", ev.Type, len(m.Text))
				}
			}
		}
		if diff := cmp.Diff(map[string]bool{"a": true, "b": false}, cut); diff != "" {
			t.Errorf("truncated (-want +got)\n%s", diff)
		}
	})

	t.Run("a page of events is bounded in bytes", func(t *testing.T) {
		d := open(t, e)
		long := strings.Repeat("\x01", store.MaxCopiedText) // six bytes each in JSON
		var batch []inbound.Arrival
		for i := range 50 {
			batch = append(batch, says(person(1), fmt.Sprint("m", i), long, d.now))
		}
		d.turn(batch...)
		d.pump()
		seen, pages, most := int64(0), 0, 0
		for {
			list, err := d.Events(t.Context(), seen, 1000)
			if err != nil {
				t.Fatal(err)
			}
			if len(list) == 0 {
				break
			}
			size := 0
			for _, ev := range list {
				if ev.Pos != seen+1 {
					t.Fatalf("%d follows %d", ev.Pos, seen)
				}
				seen, size, most = ev.Pos, size+len(ev.Data), max(most, len(ev.Data))
			}
			if pages++; size >= store.MaxEventPageBytes+most {
				t.Errorf("a page of %d bytes", size)
			}
		}
		if pages < 2 || seen < 50 {
			t.Errorf("%d events in %d pages", seen, pages)
		}
	})

	t.Run("JSON comes back as it was", func(t *testing.T) {
		d := open(t, e)
		const odd = "a\uE07Fb\uE07F\uE07F00"
		photo := says(person(1), "p", odd, d.now)
		photo.Content.Type, photo.Content.Media = "document", &inbound.Media{ID: "m1", Name: odd}
		r := d.turn(photo)[0]
		d.turn(annotation(person(1), "r", "reaction", "p", odd, d.now))
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

// noise is text that does not get smaller by compression.
func noise(n int) string {
	var b strings.Builder
	x := uint32(1)
	for b.Len() < n {
		x = x*1664525 + 1013904223
		b.WriteByte("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[x>>26])
	}
	return b.String()
}

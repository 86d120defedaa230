package unit

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/store"
)

// TestNamesInAnyStory: whatever names people use and WhatsApp reports, a user id leads to
// its first contact, no contact with another one is merged into it, and a repeat changes
// nothing.
func TestNamesInAnyStory(t *testing.T) {
	t.Parallel()
	phones := []string{"551187650001", "5511987650001", "22955550001", "2290155550001", "5491100000001", "541100000001"}
	rapid.Check(t, func(t *rapid.T) {
		set := (&Settings{Country: "AR"}).WithDefaults()
		u := New(set, time.Unix(1_800_000_000, 0))
		owner := map[string]*ContactRow{}
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			p := inbound.Person{
				Phone:  rapid.SampledFrom(append(phones, "")).Draw(t, "phone"),
				UserID: rapid.SampledFrom([]string{"", "U.1", "U.2", "U.3"}).Draw(t, "user"),
			}
			if p.IsZero() {
				continue
			}
			c := u.resolveContact(p)
			conversation, opened := u.conversation(c, "wsp4")
			if opened {
				conversation.Contact.Address = outbound.Address{Phone: p.Phone, UserID: p.UserID}
			}
			r := store.SendResult{To: conversation.Contact.Address, WaID: rapid.SampledFrom(phones).Draw(t, "wa_id")}
			m := &MessageRow{ConversationRow: conversation}
			u.learnWaID(m, r)
			changed, audit := len(u.Events), len(u.Audit)
			if u.learnWaID(m, r); len(u.Events) != changed || len(u.Audit) != audit {
				t.Fatalf("learned twice: %d events, %d rows", len(u.Events)-changed, len(u.Audit)-audit)
			}
			if p.UserID != "" && owner[p.UserID] == nil {
				owner[p.UserID] = c
			}
			seen := map[*ContactRow]string{}
			for id, first := range owner {
				now := first.Survivor()
				if other := seen[now]; other != "" {
					t.Fatal(fmt.Sprint(id, " and ", other, " became one"))
				}
				seen[now] = id
				if u.contactByAlias[aliasUser+id].Survivor() != now {
					t.Fatalf("%s leads to somebody else", id)
				}
			}
			for alias, contact := range u.contactByAlias {
				if contact != nil && contact.Merged {
					t.Fatalf("%s leads to who was joined", alias)
				}
			}
		}
	})
}

package pgstore

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/store"
)

// TestWaIDWhileTheyWrite: a phone writes for the first time while another person's WaID
// teaches us that phone. Every name has a contact, and both become one, at once or with the
// next message.
func TestWaIDWhileTheyWrite(t *testing.T) {
	t.Parallel()
	url := pgtest.Shared(t).URL(pgtest.Shared(t).Borrow(t))
	s := process(t, url)
	for i := range 30 {
		to := inbound.Person{Phone: fmt.Sprint(22955550100 + i)}
		as := inbound.Person{Phone: fmt.Sprint(2290155550100 + i)}
		first := turn(t, s, says(to, fmt.Sprint("a", i), "hola"))[0].Conversation
		claims, err := s.ClaimSends(t.Context(), noon(), "t", []string{first})
		if err != nil || len(claims) != 1 {
			t.Fatalf("got %+v, %v", claims, err)
		}
		r := store.SendResult{
			MessageID: claims[0].Post.ID, Conversation: first, Token: "t", Status: store.Sent, ProviderID: fmt.Sprint("out", i),
			To: claims[0].Post.To, WaID: as.Phone,
		}
		record := func() {
			if got, err := s.RecordSends(t.Context(), noon(), []store.SendResult{r}); err != nil || got[0].Busy {
				t.Errorf("got %+v, %v", got, err)
			}
		}
		write := func(id string) store.Result {
			for {
				got, err := s.Turn(t.Context(), noon(), []inbound.Arrival{says(as, id, "hola")})
				if err != nil {
					t.Error(err)
					return store.Result{}
				}
				if !got[0].Busy {
					return got[0]
				}
			}
		}
		var both sync.WaitGroup
		both.Go(record)
		both.Go(func() { write(fmt.Sprint("b", i)) })
		both.Wait()
		record() // as the next message would
		last := write(fmt.Sprint("c", i))
		one, err := s.Conversation(t.Context(), first)
		if err != nil || one.ID != last.Conversation {
			t.Errorf("%d: got %s, %v, want %s", i, one.ID, err, last.Conversation)
		}
	}
	var nameless int
	const query = `SELECT count(*) FROM psi_router.contacts c WHERE NOT EXISTS (SELECT FROM psi_router.aliases a WHERE a.contact = c.n)`
	if err := s.pool.QueryRow(t.Context(), query).Scan(&nameless); err != nil || nameless > 0 {
		t.Errorf("%d contacts without a name, %v", nameless, err)
	}
}

// TestWaIDIsNotWaitedFor: a post's result is recorded even while another transaction has
// locked the contact with the learned phone.
func TestWaIDIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, hold string }{
		{"a contact", `SELECT FROM psi_router.contacts WHERE phone = '2290155550001' FOR UPDATE`},
		{"a name that is being given", `INSERT INTO psi_router.aliases (alias, contact) VALUES ('phone:2290155550009', 77)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Shared(t).URL(pgtest.Shared(t).Borrow(t))
			s := process(t, url)
			s.lockPatience = 100 * time.Millisecond
			got := turn(t, s, says(inbound.Person{Phone: "22955550001"}, "a", "hola"), says(inbound.Person{Phone: "2290155550001"}, "b", "hola"))
			claims, err := s.ClaimSends(t.Context(), noon(), "t", []string{got[0].Conversation})
			if err != nil || len(claims) != 1 {
				t.Fatalf("got %+v, %v", claims, err)
			}
			release := stranger(t, url, tt.hold)
			waID := "2290155550001"
			if tt.name != "a contact" {
				waID = "2290155550009"
			}
			recorded, err := s.RecordSends(t.Context(), noon(), []store.SendResult{{
				MessageID: claims[0].Post.ID, Conversation: got[0].Conversation, Token: "t", Status: store.Sent, ProviderID: "out",
				To: claims[0].Post.To, WaID: waID,
			}})
			if err != nil || recorded[0].Busy {
				t.Errorf("got %+v, %v", recorded, err)
			}
			release()
		})
	}
}

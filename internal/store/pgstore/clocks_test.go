package pgstore

import (
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/storetest"
)

// TestClocksOfTwoMachines: a process whose clock is minutes off takes no duty from another
// one, and fires no timer early or late: times that several processes compare are the
// server's.
func TestClocksOfTwoMachines(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"ahead": 10 * time.Minute, "behind": -10 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := pgtest.Shared(t)
			url := server.URL(server.Borrow(t))
			clock := func(off time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(off) } }
			on := func(now func() time.Time) *Store {
				o := options(url, storetest.Settings(t))
				o.now = now
				s, err := Open(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { s.Close() })
				if err := s.Verify(t.Context()); err != nil {
					t.Fatal(err)
				}
				return s
			}
			right, wrong := clock(0), clock(off)
			here, there := on(right), on(wrong)

			serve := func(s *Store, now time.Time, process string) store.Leadership {
				t.Helper()
				got, err := s.Lead(t.Context(), now, store.Term{Duty: "alerts", Process: process, Lease: time.Minute})
				if err != nil {
					t.Fatal(err)
				}
				return got
			}
			for range 3 {
				if !serve(here, right(), "here").Leader || serve(there, wrong(), "there").Leader {
					t.Error("the duty is taken from who has it")
				}
			}

			a := says(somebody(1), "a", "11")
			a.SentAt, a.ReceivedAt = right(), right()
			id := turnAt(t, there, wrong(), a)
			fired := func(s *Store, now time.Time) bool {
				t.Helper()
				if _, err := s.Pump(t.Context(), now); err != nil {
					t.Fatal(err)
				}
				c, err := here.Conversation(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				return c.State == router.StateClosed
			}
			almost, ended := storetest.Rules(t).HandoffTimeout-time.Minute, storetest.Rules(t).HandoffTimeout+time.Minute
			for who, s := range map[string]*Store{"here": here, "there": there} {
				now := map[string]func() time.Time{"here": right, "there": wrong}[who]
				if fired(s, now().Add(almost)) {
					t.Errorf("the timer fires early %s", who)
				}
			}
			if !fired(here, right().Add(ended)) {
				t.Error("the timer does not fire")
			}
		})
	}
}

// turnAt is turn at a time of the caller's clock.
func turnAt(t *testing.T, s *Store, now time.Time, a inbound.Arrival) (conversation string) {
	t.Helper()
	got, err := s.Turn(t.Context(), now, []inbound.Arrival{a})
	if err != nil {
		t.Fatal(err)
	}
	return got[0].Conversation
}

package delivery_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/delivery"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/store"
)

// TestSlowStoreCostsNoRate: rows are claimed and recorded while others are posted.
// Each message takes 1.3 s here; posting them 8 at a time, start to end, would
// take 65 s.
func TestSlowStoreCostsNoRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{Posts: 8})
		r.sender.took = func(string) time.Duration { return 100 * time.Millisecond }
		r.store.slow = 600 * time.Millisecond
		for c := range 400 {
			r.say(fmt.Sprint(c), fmt.Sprintf("%da", c))
		}
		pass(25 * second)
		r.stop()
		if r.sender.most != 8 || r.sender.total() != 400 {
			t.Errorf("%d posts, at most %d at once", r.sender.total(), r.sender.most)
		}
		if s := r.stats(); s.Depth != 0 || s.Dead != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestSendsGather: a message on an idle line leaves at once; messages within moments of
// each other share their transactions.
func TestSendsGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{})
		synctest.Wait()
		r.sender.took = func(string) time.Duration { return 5 * time.Millisecond }
		for c := range 200 {
			r.say(fmt.Sprint(c), fmt.Sprintf("%da", c))
			time.Sleep(5 * time.Millisecond)
		}
		pass(second)
		r.stop()
		if at := r.sender.at["0a"]; len(at) != 1 || at[0] != 0 {
			t.Errorf("the first was posted after %v", at)
		}
		if r.sender.total() != 200 || r.store.claims > 30 || len(r.store.groups) > 30 {
			t.Errorf("%d posts, %d claims, groups %v", r.sender.total(), r.store.claims, r.store.groups)
		}
	})
}

// TestNothingOutlivesRun: a claimer in a pause ends with Run, though no request comes.
func TestNothingOutlivesRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{})
		r.say("1", "a")
		synctest.Wait()
		r.stop() // anything left in the bubble now is a deadlock
		if got := r.store.find("a").status; got != store.Sent {
			t.Errorf("got %s", got)
		}
	})
}

// TestHeldLinePostsNothingMore: a row that waits for a slot while the line is held goes
// back unclaimed, and is sent once the line answers.
func TestHeldLinePostsNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{Posts: 1})
		r.sender.took = func(string) time.Duration { return 100 * time.Millisecond }
		r.sender.script = func(_ string, n int) error {
			if n == 1 && r.sender.total() == 1 {
				return &outbound.Failure{Class: outbound.Throttle, Code: 130429, Wait: 10 * second}
			}
			return nil
		}
		for _, c := range []string{"1", "2", "3", "4"} {
			r.say(c, c+"a")
		}
		pass(5 * second)
		if r.sender.total() != 1 {
			t.Errorf("%d posts over a held line", r.sender.total()-1)
		}
		r.store.set(func() {
			if r.store.claims != 1 {
				t.Errorf("%d claims over a held line", r.store.claims-1)
			}
		})
		pass(30 * second)
		r.stop()
		if diff := cmp.Diff(r.store.states(), []string{"1a sent", "2a sent", "3a sent", "4a sent"}); diff != "" {
			t.Error(diff)
		}
	})
}

// TestStuckClaimKeepsNobodyWaiting: rows that come while a claim waits for a locked contact
// are claimed beside it.
func TestStuckClaimKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{})
		r.store.stuck = "0"
		r.say("0", "0a")
		pass(second / 2)
		for c := 1; c <= 20; c++ {
			r.say(fmt.Sprint(c), fmt.Sprintf("%da", c))
		}
		pass(2 * second) // it counts as stuck 1.5 s after it began
		if r.sender.total() != 20 {
			t.Errorf("%d of 20 posted beside a stuck claim", r.sender.total())
		}
		r.say("21", "21a")
		pass(second / 10)
		if r.sender.count("21a") != 1 {
			t.Error("who came later waits for the stuck claim")
		}
		pass(10 * second)
		r.stop()
		if r.sender.total() != 22 || r.store.claims > 8 {
			t.Errorf("%d posts of 22, %d claims", r.sender.total(), r.store.claims)
		}
	})
}

// TestRefusedClaimStandsAlone: a row that cannot be claimed delays no other.
func TestRefusedClaimStandsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{})
		r.store.refused = "5"
		var want []string
		for c := range 20 {
			r.say(fmt.Sprint(c), fmt.Sprintf("%da", c))
			if c != 5 {
				want = append(want, fmt.Sprintf("%da sent", c))
			} else {
				want = append(want, "5a queued")
			}
		}
		pass(second)
		if diff := cmp.Diff(r.store.states(), want); diff != "" {
			t.Error(diff)
		}
		r.store.set(func() { r.store.refused = "" })
		pass(10 * second)
		r.stop()
		if got := r.store.find("5a"); got.status != store.Sent {
			t.Errorf("5a is %s once it can be claimed", got.status)
		}
	})
}

// TestBrokenClaims: a claim that was committed and then refused is repeated in halves by
// the same sender; one that panics has failed.
func TestBrokenClaims(t *testing.T) {
	for name, broken := range map[string]func(*fakeSendStore){
		"cut":    func(s *fakeSendStore) { s.claimCut = 2 }, // of four, and of two
		"panics": func(s *fakeSendStore) { s.claimPanics = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, delivery.SendOptions{})
				r.say("first", "first")
				pass(time.Millisecond)
				r.store.set(func() { broken(r.store) })
				want := []string{"first sent"}
				for c := range 4 { // they gather
					r.say(fmt.Sprint(c), fmt.Sprintf("%da", c))
					want = append(want, fmt.Sprintf("%da sent", c))
				}
				pass(10 * second)
				r.stop()
				if diff := cmp.Diff(r.store.states(), want); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

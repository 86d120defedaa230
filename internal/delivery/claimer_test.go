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
		r.wire.took = func(string) time.Duration { return 100 * time.Millisecond }
		r.table.slow = 600 * time.Millisecond
		for c := range 400 {
			r.say(fmt.Sprint(c), fmt.Sprintf("%da", c))
		}
		pass(25 * second)
		r.stop()
		if r.wire.most != 8 || r.wire.total() != 400 {
			t.Errorf("%d posts, at most %d at once", r.wire.total(), r.wire.most)
		}
		if s := r.stats(); s.Depth != 0 || s.Dead != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestSendsGather: what comes to an idle line leaves at once; where messages follow one
// another, those that come within moments share their transactions.
func TestSendsGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{})
		synctest.Wait()
		r.wire.took = func(string) time.Duration { return 5 * time.Millisecond }
		for c := range 200 {
			r.say(fmt.Sprint(c), fmt.Sprintf("%da", c))
			time.Sleep(5 * time.Millisecond)
		}
		pass(second)
		r.stop()
		if at := r.wire.at["0a"]; len(at) != 1 || at[0] != 0 {
			t.Errorf("the first was posted after %v", at)
		}
		if r.wire.total() != 200 || r.table.claims > 30 || len(r.table.groups) > 30 {
			t.Errorf("%d posts, %d claims, groups %v", r.wire.total(), r.table.claims, r.table.groups)
		}
	})
}

// TestNothingOutlivesRun: a claimer that rests for others to join ends with the rest,
// though nobody comes.
func TestNothingOutlivesRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{})
		r.say("1", "a")
		synctest.Wait()
		r.stop() // what is left in the bubble now is a deadlock to it
		if got := r.table.find("a").status; got != store.Sent {
			t.Errorf("got %s", got)
		}
	})
}

// TestHeldLinePostsNothingMore: what waits for a seat while the line is held goes
// back without being claimed, and is sent once the line answers.
func TestHeldLinePostsNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{Posts: 1})
		r.wire.took = func(string) time.Duration { return 100 * time.Millisecond }
		r.wire.script = func(_ string, n int) error {
			if n == 1 && r.wire.total() == 1 {
				return &outbound.Failure{Class: outbound.Throttle, Code: 130429, Wait: 10 * second}
			}
			return nil
		}
		for _, c := range []string{"1", "2", "3", "4"} {
			r.say(c, c+"a")
		}
		pass(5 * second)
		if r.wire.total() != 1 {
			t.Errorf("%d posts over a held line", r.wire.total()-1)
		}
		r.table.set(func() {
			if r.table.claims != 1 {
				t.Errorf("%d claims over a held line", r.table.claims-1)
			}
		})
		pass(30 * second)
		r.stop()
		if diff := cmp.Diff(r.table.states(), []string{"1a sent", "2a sent", "3a sent", "4a sent"}); diff != "" {
			t.Error(diff)
		}
	})
}

// TestStuckClaimKeepsNobodyWaiting: who comes while a claim waits for a contact that
// somebody else holds is claimed beside it.
func TestStuckClaimKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{})
		r.table.stuck = "0"
		r.say("0", "0a")
		pass(second / 2)
		for c := 1; c <= 20; c++ {
			r.say(fmt.Sprint(c), fmt.Sprintf("%da", c))
		}
		pass(2 * second) // 1.5 s after it began it is known to be stuck
		if r.wire.total() != 20 {
			t.Errorf("%d of 20 posted beside a stuck claim", r.wire.total())
		}
		r.say("21", "21a")
		pass(second / 10)
		if r.wire.count("21a") != 1 {
			t.Error("who came later waits for the stuck claim")
		}
		pass(10 * second)
		r.stop()
		if r.wire.total() != 22 || r.table.claims > 8 {
			t.Errorf("%d posts of 22, %d claims", r.wire.total(), r.table.claims)
		}
	})
}

// TestRefusedClaimStandsAlone: a row that cannot be claimed keeps nobody waiting.
func TestRefusedClaimStandsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{})
		r.table.refused = "5"
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
		if diff := cmp.Diff(r.table.states(), want); diff != "" {
			t.Error(diff)
		}
		r.table.set(func() { r.table.refused = "" })
		pass(10 * second)
		r.stop()
		if got := r.table.find("5a"); got.status != store.Sent {
			t.Errorf("5a is %s once it can be claimed", got.status)
		}
	})
}

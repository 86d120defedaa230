package delivery_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/psivisionhub/psi-router/internal/delivery"
	"github.com/psivisionhub/psi-router/internal/outbound"
)

// TestProbesTakeTurns: an answer that blames the line and is one message's fault (a
// permission that only its kind needs) holds the line. But each probe is another
// conversation's, so the others get through.
func TestProbesTakeTurns(t *testing.T) {
	for _, class := range []outbound.Class{outbound.Throttle, outbound.Auth} {
		t.Run(string(class), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, delivery.SendOptions{})
				r.sender.script = func(id string, _ int) error {
					if id == "bad" || time.Since(r.sender.start) < time.Minute {
						return fail(class, 10)
					}
					return nil
				}
				r.say("1", "bad")
				for c := range 20 {
					r.say(fmt.Sprint(10+c), fmt.Sprintf("m%d", c))
				}
				pass(time.Hour)
				r.stop()
				states := r.store.states()
				if got := states[0]; got != "bad queued" {
					t.Errorf("got %s", got)
				}
				if waiting := slices.DeleteFunc(states[1:], func(s string) bool { return s[len(s)-5:] == " sent" }); len(waiting) > 0 {
					t.Errorf("%d wait behind one message: %v", len(waiting), waiting)
				}
			})
		})
	}
}

// TestEveryConversationProbes: in a long outage each conversation has its turn, whatever
// its name.
func TestEveryConversationProbes(t *testing.T) {
	for _, class := range []outbound.Class{outbound.Throttle, outbound.Auth, outbound.Unknown} {
		t.Run(string(class), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, delivery.SendOptions{})
				r.sender.script = func(string, int) error { return fail(class, 1) }
				for c := range 10 {
					r.say(fmt.Sprint(c), fmt.Sprintf("m%d", c))
				}
				pass(12 * time.Hour)
				r.stop()
				share := r.sender.total() / 10
				for c := range 10 {
					if got := r.sender.count(fmt.Sprintf("m%d", c)); got < share-2 || got > share+2 {
						t.Errorf("m%d was %d of %d probes", c, got, r.sender.total())
					}
				}
			})
		})
	}
}

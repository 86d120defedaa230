package loadtest

import (
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/loadgen"
)

// TestStolenTicks: what the first line of /proc/stat says, and what it does not.
func TestStolenTicks(t *testing.T) {
	t.Parallel()
	const before = "cpu  100 0 50 800 10 0 20 20 7 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n"
	for text, want := range map[string]float64{
		"cpu  150 0 60 830 10 0 20 30 9 0\n": 0.1,
		"cpu  150 0 60 840 10 0 20 20 9 0\n": 0,
		before:                               0,
		"cpu  1 0 1 1 1 0 1 9 0 0\n":         0, // started anew
		"cpu  1 2 3 4\n":                     0, // an old kernel
		"cpu  a b c d e f g h\n":             0,
		"":                                   0,
	} {
		if got := parseTicks(text).stolenSince(parseTicks(before)); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

// TestCalmSeconds: a second is calm up to 2 %, and only one in which something was
// measured; without any there is nothing to tell.
func TestCalmSeconds(t *testing.T) {
	t.Parallel()
	var webhook, reply loadgen.Durations
	webhook.AddCurve([]loadgen.Bucket{{Until: 2 * time.Millisecond, Count: 99}, {Until: 8 * time.Millisecond, Count: 1}})
	reply.Add(60 * time.Millisecond)
	some := Latency{Count: 1}
	series := []Second{{Webhook: some}, {Webhook: some, Stolen: 0.02}, {Webhook: some, Stolen: 0.021}, {}}
	c := calmly(series, &webhook, &reply)
	if c == nil || c.Seconds != 2 || c.Webhook.Count != 100 || c.Webhook.P50 > 2.1 || c.Webhook.P99 < 7 || c.Reply.Count != 1 {
		t.Errorf("got %+v", c)
	}
	if c := calmly(series[2:], &webhook, &reply); c != nil {
		t.Errorf("got %+v of no second", c)
	}
}

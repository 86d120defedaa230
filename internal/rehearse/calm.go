package rehearse

import (
	"os"
	"strconv"
	"strings"

	"github.com/psivisionhub/psi-router/internal/loadgen"
)

// mostStolen is the part of its processors that a machine may be without for a second
// to count as calm: with more, a tail tells of its neighbours.
const mostStolen = 0.02

// Calm is how it went in the seconds when the machine had its processors for itself:
// what two runs are compared by, where it shares them with other machines.
type Calm struct {
	Seconds int     `json:"seconds"`
	Webhook Latency `json:"webhook_ms"`
	Reply   Latency `json:"reply_ms"`
}

// ticks are those of all processors of this machine since it started: all, and those
// when one had work and the host gave it to another machine ("steal" in proc_stat(5)).
// Both are 0 where nobody counts them.
type ticks struct{ all, stolen int64 }

func machineTicks() ticks {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return ticks{}
	}
	return parseTicks(string(text))
}

// parseTicks reads the first line: user nice system idle iowait irq softirq steal, and
// two that are in the first two already.
func parseTicks(text string) (t ticks) {
	line, _, _ := strings.Cut(text, "\n")
	f := strings.Fields(line)
	if len(f) < 9 || f[0] != "cpu" {
		return ticks{}
	}
	for _, v := range f[1:9] {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return ticks{}
		}
		t.all, t.stolen = t.all+n, n
	}
	return t
}

// stolenSince is the part of all ticks since then that was stolen, 0 to 1.
func (t ticks) stolenSince(then ticks) float64 {
	if t.all <= then.all {
		return 0
	}
	return max(0, float64(t.stolen-then.stolen)/float64(t.all-then.all))
}

// calm says whether what happened in the second tells of the router.
func (s Second) calm() bool { return s.Stolen <= mostStolen }

// calmly sums up what was measured in calm seconds; nil when there was none.
func calmly(series []Second, webhook, reply *loadgen.Durations) *Calm {
	c := Calm{Webhook: latency(webhook.Latency()), Reply: latency(reply.Latency())}
	for _, s := range series {
		if s.calm() && s.Webhook.Count > 0 {
			c.Seconds++
		}
	}
	if c.Seconds == 0 {
		return nil
	}
	return &c
}

package rehearse

import (
	"os"
	"strconv"
	"strings"

	"github.com/psivisionhub/psi-router/internal/loadgen"
)

// mostStolen is the largest fraction of stolen processor time in a calm second. With
// more, the tail of the latency is due to other machines.
const mostStolen = 0.02

// Calm is the latency in the seconds in which the machine had its processors to itself.
// It compares two runs on a host that is shared with other machines.
type Calm struct {
	Seconds int     `json:"seconds"`
	Webhook Latency `json:"webhook_ms"`
	Reply   Latency `json:"reply_ms"`
}

// ticks counts the ticks of all processors since the machine started: all, and those that
// the host gave to another machine although there was work ("steal" in proc_stat(5)).
// Both are 0 if unknown.
type ticks struct{ all, stolen int64 }

func machineTicks() ticks {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return ticks{}
	}
	return parseTicks(string(text))
}

// parseTicks reads the first line: user nice system idle iowait irq softirq steal, and two
// fields that the first two include.
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

// stolenSince is the stolen fraction of the ticks since then, 0 to 1.
func (t ticks) stolenSince(then ticks) float64 {
	if t.all <= then.all {
		return 0
	}
	return max(0, float64(t.stolen-then.stolen)/float64(t.all-then.all))
}

// calm reports whether the latency of the second is due to the router.
func (s Second) calm() bool { return s.Stolen <= mostStolen }

// calmly summarises the calm seconds; nil without any.
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

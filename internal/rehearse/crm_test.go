package rehearse

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/cluster"
	"github.com/psivisionhub/psi-router/internal/loadgen"
)

// TestCRMMisbehaves is the short form of TestProofCRM: a CRM that is slow, fails, hangs and
// is gone in turn has every event in order after its recovery.
func TestCRMMisbehaves(t *testing.T) {
	t.Parallel()
	r := play(t.Context(), t, Options{
		Workers: 1, Duration: 4 * time.Second, BackoffSpeedup: 20, Load: loadgen.Options{Rate: 50, Conversations: 60, Seed: 7},
		CRM: []string{cluster.CRMSlow, cluster.CRMFails, cluster.CRMHangs, cluster.CRMGone},
	})
	if c := r.CRM; c.Events < r.Stored+r.Answers || c.Taken != c.Events || c.Waited == 0 || c.Refused == 0 {
		t.Errorf("events: %+v; want all %d, and some that had to wait", *c, r.Stored+r.Answers)
	}
}

// TestWhatsAppCutsOneInTwenty: WhatsApp accepts an answer and resets the connection; its
// statuses follow. No answer is doubled or lost, or stays uncertain.
func TestWhatsAppCutsOneInTwenty(t *testing.T) {
	t.Parallel()
	r := play(t.Context(), t, Options{
		Embedded: true, DropResponses: 20, Load: loadgen.Options{Messages: 400, Conversations: 80, Connections: 8, Seed: 8},
	})
	if r.Answers != 400 || r.Cut != 20 || r.Uncertain != 0 {
		t.Errorf("%d answers, %d cut off, %d uncertain: want 400, 20 and none", r.Answers, r.Cut, r.Uncertain)
	}
}

// TestEventsAreCompared: which events count as lost, doubled and reordered.
func TestEventsAreCompared(t *testing.T) {
	t.Parallel()
	// "a2" is the second event of a; "x:a2" is the same event under another id.
	list := func(text string) (all []cluster.Event) {
		for name := range strings.FieldsSeq(text) {
			id, place, other := strings.Cut(name, ":")
			if !other {
				place = id
			}
			all = append(all, cluster.Event{ID: id, Conversation: place[:1], Seq: int64(place[1] - '0')})
		}
		return all
	}
	var happened []loadgen.Event
	for i, e := range list("a1 b1 a2 a3") {
		happened = append(happened, loadgen.Event{ID: e.ID, Conversation: e.Conversation, Seq: e.Seq, Pos: int64(i)})
	}
	type counts struct{ Lost, Doubled, Reordered, Repeated int }
	for taken, want := range map[string]counts{
		"a1 a2 b1 a3":      {},
		"a1 b1 a2 a1 a3":   {Repeated: 1},
		"a1 b1 a2":         {Lost: 1},
		"a1 b1 a3":         {Lost: 1, Reordered: 1},
		"a1 b1 a3 a2":      {Reordered: 2},
		"a1 b1 a2 x:a2 a3": {Doubled: 1},
	} {
		v := compare(happened, list(taken))
		if d := cmp.Diff(counts{len(v.lost), len(v.doubled), len(v.reordered), v.repeated}, want); d != "" {
			t.Errorf("%s (-got +want):\n%s", taken, d)
		}
	}
}

// proof returns the duration of a proof; false if none is asked for.
func proof(t *testing.T, lasts time.Duration) (time.Duration, bool) {
	t.Helper()
	asked := os.Getenv("PSI_PROOF")
	if asked == "" {
		t.Log("for make proof: set PSI_PROOF=1")
		return 0, false
	}
	if d, err := time.ParseDuration(asked); err == nil {
		lasts = d
	}
	return lasts, true
}

// TestProofCRM: 300 messages a second while the CRM answers after 5 s, answers 500, hangs,
// or is gone. Half a minute counts as ten for the back-offs. After its recovery the CRM has
// every event in order, and memory stays that of a run with a working CRM: nearly every
// message is from another person, so the wake-ups reach their limit. docs/benchmarks.md has
// the latencies.
func TestProofCRM(t *testing.T) {
	lasts, ok := proof(t, 30*time.Second)
	if !ok {
		return
	}
	run := func(way string) Report {
		r := play(t.Context(), t, Options{
			Load:     loadgen.Options{Rate: 300, Conversations: 20_000, Seed: uint64(time.Now().UnixNano())},
			Duration: lasts, BackoffSpeedup: 20, CRM: []string{way}, Settle: 4 * time.Minute,
		})
		c := r.CRM
		t.Logf("CRM %s: %d events, %d waited, all there after %.1f s, %d repeated, %d refused; %d wake-ups at most; memory at most: router %.1f MB, Redis %.1f MB",
			way, c.Events, c.Waited, c.Back, c.Repeated, c.Refused, c.WakeUps, mb(r.Memory.Router), mb(r.Memory.Redis))
		if c.Events < r.Stored+r.Answers || c.Taken != c.Events {
			t.Errorf("CRM %s: it accepted %d of %d events, want %d", way, c.Taken, c.Events, r.Stored+r.Answers)
		}
		return r
	}
	works := run(cluster.CRMWorks)
	for _, way := range []string{cluster.CRMSlow, cluster.CRMFails, cluster.CRMHangs, cluster.CRMGone} {
		r := run(way)
		if most := int64(mostWakeUps); r.CRM.WakeUps > most {
			t.Errorf("CRM %s: %d wake-ups waited, want %d at most", way, r.CRM.WakeUps, most)
		}
		if most := works.Memory.Redis + 8e6; r.Memory.Redis > most {
			t.Errorf("CRM %s: Redis used %.1f MB, want %.1f at most", way, mb(r.Memory.Redis), mb(most))
		}
		if most := works.Memory.Router*5/4 + 32e6; r.Memory.Router > most {
			t.Errorf("CRM %s: the router used %.1f MB, want %.1f at most", way, mb(r.Memory.Router), mb(most))
		}
	}
}

// mostWakeUps is delivery's limit for wake-ups, plus those of a few seconds until a busy
// machine notices: three events a message.
const mostWakeUps = 5_000 + 3*300*4

func mb(bytes int64) float64 { return float64(bytes) / 1e6 }

// TestProofCuts: at 300 messages a second WhatsApp accepts one answer in twenty and resets
// the connection. It sends the statuses of all answers, some late, repeated or out of
// order.
func TestProofCuts(t *testing.T) {
	lasts, ok := proof(t, time.Minute)
	if !ok {
		return
	}
	r := play(t.Context(), t, Options{
		Load:     loadgen.Options{Rate: 300, Conversations: 5000, Duplicates: 0.01, Seed: uint64(time.Now().UnixNano())},
		Duration: lasts, DropResponses: 20,
	})
	t.Logf("%d answers, %d of them cut off, %d uncertain in the end", r.Answers, r.Cut, r.Uncertain)
	if r.Answers != r.Stored || r.Cut < int64(r.Answers/20) || r.Uncertain != 0 {
		t.Errorf("%d answers to %d messages, %d cut off, %d uncertain", r.Answers, r.Stored, r.Cut, r.Uncertain)
	}
}

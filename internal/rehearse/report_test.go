package rehearse

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/loadgen"
)

// TestWaits: an answer is measured from the message that it follows.
func TestWaits(t *testing.T) {
	t.Parallel()
	at := func(seconds int) time.Time { return time.Unix(1_700_000_000+int64(seconds), 0) }
	in := func(c string, came, decided int) loadgen.Row {
		return loadgen.Row{Conversation: c, Direction: "inbound", ReceivedAt: at(came), CreatedAt: at(decided)}
	}
	out := func(c, id string) loadgen.Row {
		return loadgen.Row{Conversation: c, Direction: "outbound", ID: id, CreatedAt: at(0)}
	}
	handled, answered := waits(
		[]loadgen.Row{in("a", 0, 1), out("a", "a1"), in("b", 2, 2), out("b", "never sent"), in("a", 10, 17), out("a", "a2")},
		map[string]time.Time{"a1": at(3), "a2": at(40)},
	)
	second := time.Second
	if diff := cmp.Diff([][]time.Duration{handled, answered}, [][]time.Duration{{second, 0, 7 * second}, {3 * second, 30 * second}}); diff != "" {
		t.Errorf("-got +want:\n%s", diff)
	}
	if got := quantile(answered, 1); got != 30*second {
		t.Errorf("longest: got %v", got)
	}
	if quantile(nil, 1) != 0 || quantile(nil, 0.99) != 0 {
		t.Error("a wait without any message")
	}
}

// TestDrillErr: every broken promise counts, and so does a process that ended unexpectedly.
func TestDrillErr(t *testing.T) {
	t.Parallel()
	if err := (Report{Quiet: true, Late: 3, Uncertain: 2, Failed: 1, DrillReport: &DrillReport{}}).Err(); err != nil {
		t.Errorf("late, uncertain and failed messages are not broken promises: %v", err)
	}
	for want, r := range map[string]Report{
		"1 lost":                         {Quiet: true, Lost: 1},
		"2 unanswered":                   {Quiet: true, Unanswered: 2},
		"1 reordered, 3 doubled, 4 dead": {Quiet: true, Reordered: 1, Doubled: 3, Dead: 4},
		"the work was not done in time":  {},
		"worker-1 ended unexpectedly":    {Quiet: true, Notes: []string{"worker-1 ended unexpectedly"}},
	} {
		r.DrillReport = &DrillReport{}
		if err := r.Err(); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestLoadErr: the broken promises of a load test.
func TestLoadErr(t *testing.T) {
	t.Parallel()
	if err := (Report{Dead: 1, Uncertain: 2, LoadReport: &LoadReport{}}).Err(); err != nil {
		t.Errorf("dead letters, uncertain answers and remaining work are reported, but break no promise: %v", err)
	}
	r := Report{Lost: 1, Uncertain: 2, LoadReport: &LoadReport{Cut: 3, CRM: &CRM{Doubled: 4}}}
	const want = "1 lost, 2 uncertain although their statuses came, 4 events doubled"
	if err := r.Err(); !errors.Is(err, ErrBroken) || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestInvalidOptions(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"no program":        {},
		"negative":          {Program: "x", Drill: &Drill{Faults: -1}},
		"too many each":     {Program: "x", Drill: &Drill{}, Load: loadgen.Options{Messages: 10_000, Conversations: 2}},
		"unknown fault":     {Program: "x", Drill: &Drill{Only: []string{"kill_worker"}}, Embedded: true},
		"not to be drawn":   {Program: "x", Drill: &Drill{Only: []string{slowStore}}},
		"no such CRM":       {Program: "x", CRM: []string{"sings"}},
		"slow SQLite":       {Program: "x", Embedded: true, SlowPostgres: time.Second},
		"middle of nothing": {Program: "x", RestartRedis: true},
		"a drill elsewhere": {Target: &Target{}, Drill: &Drill{}},
	} {
		if _, err := Run(t.Context(), o); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

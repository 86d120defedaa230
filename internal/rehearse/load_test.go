package rehearse

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster/clustertest"
	"github.com/psivisionhub/psi-router/internal/loadgen"
)

// TestMain lets this test program also run as the router, for a rehearsal to start.
func TestMain(m *testing.M) { clustertest.Main(m) }

// play runs a rehearsal that must find no fault.
func play(ctx context.Context, t *testing.T, o Options) Report {
	t.Helper()
	var err error
	if o.Program, err = os.Executable(); err != nil {
		t.Fatal(err)
	}
	o.Tell = func(e Event) {
		t.Logf("%6.1f s  %s%s %s %s over=%v", e.At.Seconds(), e.Phase, e.Fault, e.What, e.Note, e.Over)
	}
	r, err := Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if d, l := r.DrillReport, r.LoadReport; d != nil {
		t.Logf("%d accepted, %d handled, %d late, %d sent; %+v", r.Accepted, d.Handled, r.Late, d.Sent, *d)
	} else {
		t.Logf("%.0f requests/s for %.0f s: %d accepted, %d stored, %d late, %d answers; webhook %+v, reply %+v; missed %d, refusals %v",
			l.PerSecond, l.Wrote, r.Accepted, l.Stored, r.Late, l.Answers, r.Webhook, l.Reply, l.Missed, l.Refusals)
	}
	if err := r.Err(); err != nil {
		t.Errorf("%v\nthe files are in %s", err, r.Files)
		for _, w := range r.Wrong {
			t.Log(w)
		}
	}
	for _, n := range r.Notes {
		t.Error(n)
	}
	return r
}

// TestClosedLoop: as fast as one process on SQLite answers, until the last message.
func TestClosedLoop(t *testing.T) {
	t.Parallel()
	r := play(t.Context(), t, Options{
		Embedded: true, Load: loadgen.Options{Messages: 300, Conversations: 60, Connections: 8, Batch: 2, Duplicates: 0.2, Statuses: 3, Seed: 3},
	})
	if r.Accepted != 300 || r.Answers != 300 || r.Reply.Count != 300 || r.Webhook.Count == 0 || r.Repeated == 0 || !r.Quiet {
		t.Errorf("got %+v", r)
	}
	if r.Statuses == 0 {
		t.Error("no status of an answer was posted")
	}
	if len(r.WebhookCurve) == 0 || len(r.ReplyCurve) == 0 || len(r.Series) == 0 {
		t.Error("nothing to draw")
	}
}

// TestInterrupted: an interrupted load test still verifies what was written.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var o Options
	o.Embedded, o.Load = true, loadgen.Options{Rate: 100, Burst: 5, Statuses: 3, Conversations: 50}
	o.Progress = func(p Progress) {
		if p.Answers > 20 {
			cancel()
		}
	}
	if r := play(ctx, t, o); !r.Interrupted || r.Accepted == 0 || r.Stored < r.Accepted || r.Answers != r.Stored {
		t.Errorf("got %+v", r)
	}
}

// TestInTurn: a run that alternates with another has nothing due while it rests, and counts
// only requests due well within its turns.
func TestInTurn(t *testing.T) {
	t.Parallel()
	r := play(t.Context(), t, Options{
		Embedded: true, Duration: 2 * time.Second,
		Load: loadgen.Options{Rate: 100, Alternate: loadgen.Alternation{Slice: 500 * time.Millisecond, Second: true}, Conversations: 50, Seed: 4},
	})
	const most, counted = 100, 70 // two turns of 50, each from its 0.1 s to its 0.45 s
	if r.Accepted > most || r.Missed > 0 {
		t.Errorf("%d accepted, want at most %d; %d missed", r.Accepted, most, r.Missed)
	}
	if r.Accepted <= counted || r.Webhook.Count > counted || r.Reply.Count > counted || r.Webhook.Count == 0 || r.Reply.Count == 0 {
		t.Errorf("of %d messages the latency of %d requests and %d replies counts, want at most %d", r.Accepted, r.Webhook.Count, r.Reply.Count, counted)
	}
}

// TestBeginsWhenTold: a run that begins together with another waits for it, and fails if the
// other one fails.
func TestBeginsWhenTold(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	other := errors.New("the other one failed")
	_, err = Run(t.Context(), Options{
		Program: program, Embedded: true, Load: loadgen.Options{Messages: 1}, Begin: func(context.Context) error { return other },
	})
	if !errors.Is(err, other) {
		t.Errorf("got %v", err)
	}
}

// TestSlowStoreAndRestartedRedis is the short form of TestProofSlow: each call to PostgreSQL
// takes 300 ms longer, and Redis dies in the middle.
func TestSlowStoreAndRestartedRedis(t *testing.T) {
	t.Parallel()
	r := play(t.Context(), t, Options{
		Duration: 6 * time.Second, Load: loadgen.Options{Rate: 100, Statuses: 3, Conversations: 200, Seed: 5},
		SlowPostgres: 300 * time.Millisecond, RestartRedis: true,
	})
	if r.Accepted == 0 || r.Stored < r.Accepted || !r.Quiet {
		t.Errorf("got %+v", r)
	}
}

// TestProofSlow: 500 webhook requests a second for five minutes, three in four of them
// statuses. Each call to PostgreSQL takes 300 ms longer, and Redis is killed in the middle.
// PSI_PROOF can set another duration.
func TestProofSlow(t *testing.T) {
	lasts, ok := proof(t, 5*time.Minute)
	if !ok {
		return
	}
	r := play(t.Context(), t, Options{
		Duration: lasts, Workers: 2, Load: loadgen.Options{Rate: 500, Statuses: 3, Conversations: 5000, Duplicates: 0.01, Seed: uint64(time.Now().UnixNano())},
		SlowPostgres: 300 * time.Millisecond, RestartRedis: true, Settle: 5 * time.Minute,
	})
	if r.PerSecond < 495 || r.Missed > 0 {
		t.Errorf("%.1f requests a second, %d missed: want 500 and none", r.PerSecond, r.Missed)
	}
	if r.Webhook.P99 >= 50 {
		t.Errorf("the webhook's p99 was %.1f ms, want under 50", r.Webhook.P99)
	}
}

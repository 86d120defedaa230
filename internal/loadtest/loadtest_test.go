package loadtest

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster/clustertest"
	"github.com/psivisionhub/psi-router/internal/loadgen"
)

// TestMain makes this program the router as well: a load test starts it as one.
func TestMain(m *testing.M) { clustertest.Main(m) }

// play does a test and wants all to be well.
func play(ctx context.Context, t *testing.T, o Options) Report {
	t.Helper()
	var err error
	if o.Program, err = os.Executable(); err != nil {
		t.Fatal(err)
	}
	o.Tell = func(e Event) { t.Logf("%6.1f s  %s%s%s %s", e.At.Seconds(), e.Phase, e.Redis, e.CRM, e.Note) }
	r, err := Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.0f requests/s for %.0f s: %d accepted, %d stored, %d late, %d answers; webhook %+v, reply %+v; missed %d, refusals %v",
		r.PerSecond, r.Wrote, r.Accepted, r.Stored, r.Late, r.Answers, r.Webhook, r.Reply, r.Missed, r.Refusals)
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

// TestClosedLoop: as fast as one process on SQLite answers, until all is said.
func TestClosedLoop(t *testing.T) {
	t.Parallel()
	r := play(t.Context(), t, Options{
		Embedded: true, Messages: 300, Conversations: 60, Connections: 8, Batch: 2, Duplicates: 0.2, Statuses: 3, Seed: 3,
	})
	if r.Accepted != 300 || r.Answers != 300 || r.Reply.Count != 300 || r.Webhook.Count == 0 || r.Repeated == 0 || !r.Quiet {
		t.Errorf("got %+v", r)
	}
	if r.Statuses == 0 {
		t.Error("no status of an answer came")
	}
	if len(r.WebhookCurve) == 0 || len(r.ReplyCurve) == 0 || len(r.Series) == 0 {
		t.Error("nothing to draw")
	}
}

// TestInterrupted: what was written is accounted for, although nobody waits for
// the rest.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var o Options
	o.Embedded, o.Rate, o.Burst, o.Statuses, o.Conversations = true, 100, 5, 3, 50
	o.Progress = func(p Progress) {
		if p.Answers > 20 {
			cancel()
		}
	}
	if r := play(ctx, t, o); !r.Interrupted || r.Accepted == 0 || r.Stored < r.Accepted || r.Answers != r.Stored {
		t.Errorf("got %+v", r)
	}
}

// TestInTurn: of a run that has the machine in turn with another, nothing is due
// while it rests, and only what is due well within its turns counts.
func TestInTurn(t *testing.T) {
	t.Parallel()
	r := play(t.Context(), t, Options{
		Embedded: true, Rate: 100, Duration: 2 * time.Second, Alternate: loadgen.Alternation{Slice: 500 * time.Millisecond, Second: true}, Conversations: 50, Seed: 4,
	})
	const most, counted = 100, 70 // two turns of 50, each from its 0.1 s to its 0.45 s
	if r.Accepted > most || r.Missed > 0 {
		t.Errorf("%d accepted, want at most %d; %d missed", r.Accepted, most, r.Missed)
	}
	if r.Accepted <= counted || r.Webhook.Count > counted || r.Reply.Count > counted || r.Webhook.Count == 0 || r.Reply.Count == 0 {
		t.Errorf("of %d messages the latency of %d requests and %d replies counts, want at most %d", r.Accepted, r.Webhook.Count, r.Reply.Count, counted)
	}
}

// TestReadyTooLate: who is to begin together with another, and cannot, says so.
func TestReadyTooLate(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	_, err = Run(t.Context(), Options{Program: program, Embedded: true, Messages: 1, Begin: time.Now()})
	if err == nil || !strings.Contains(err.Error(), "after people were to begin") {
		t.Errorf("got %v", err)
	}
}

// TestSlowStoreAndRestartedRedis is the proof in short: PostgreSQL takes 300 ms
// longer for everything, and Redis dies in the middle.
func TestSlowStoreAndRestartedRedis(t *testing.T) {
	t.Parallel()
	r := play(t.Context(), t, Options{
		Rate: 100, Duration: 6 * time.Second, Statuses: 3, Conversations: 200, Seed: 5,
		SlowPostgres: 300 * time.Millisecond, RestartRedis: true,
	})
	if r.Accepted == 0 || r.Stored < r.Accepted || !r.Quiet {
		t.Errorf("got %+v", r)
	}
}

// TestProof: 500 webhook requests a second for five minutes, three in four of them
// statuses, over a PostgreSQL that takes 300 ms longer for everything, and Redis
// is killed in the middle. PSI_PROOF may say for how long instead.
func TestProof(t *testing.T) {
	proof := os.Getenv("PSI_PROOF")
	if proof == "" {
		t.Log("for make proof: set PSI_PROOF=1")
		return
	}
	lasts, err := time.ParseDuration(proof)
	if err != nil {
		lasts = 5 * time.Minute
	}
	r := play(t.Context(), t, Options{
		Rate: 500, Duration: lasts, Statuses: 3, Conversations: 5000, Workers: 2, Duplicates: 0.01, Seed: uint64(time.Now().UnixNano()),
		SlowPostgres: 300 * time.Millisecond, RestartRedis: true, Settle: 5 * time.Minute,
	})
	if r.PerSecond < 495 || r.Missed > 0 {
		t.Errorf("%.1f requests a second, %d missed: want 500 and none", r.PerSecond, r.Missed)
	}
	if r.Webhook.P99 >= 50 {
		t.Errorf("the webhook's p99 was %.1f ms, want under 50", r.Webhook.P99)
	}
}

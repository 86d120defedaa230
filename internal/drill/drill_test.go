package drill

import (
	"os"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster/clustertest"
)

// TestMain makes this program the router as well: a drill starts it as one.
func TestMain(m *testing.M) { clustertest.Main(m) }

// play does a drill and wants every promise kept.
func play(t *testing.T, o Options) Report {
	t.Helper()
	var err error
	if o.Program, err = os.Executable(); err != nil {
		t.Fatal(err)
	}
	o.Tell = func(e Event) {
		t.Logf("%6.1f s  %s%s %s %s over=%v", e.At.Seconds(), e.Phase, e.Fault, e.What, e.Note, e.Over)
	}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", r)
	if err := r.Err(); err != nil {
		t.Errorf("%v\nthe files are in %s", err, r.Files)
		for _, w := range r.Wrong {
			t.Log(w)
		}
	}
	return r
}

// TestEmbedded: one process on SQLite is killed, restarted, and refused by
// WhatsApp.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	r := play(t, Options{
		Messages: 300, Conversations: 30, Faults: 3, Seed: 1, Embedded: true, Pace: 2 * time.Second,
		Only: []string{"kill_router", "restart_all", "whatsapp_cuts"},
	})
	if r.Accepted != 300 || len(r.Faults) != 3 {
		t.Errorf("got %d accepted and %d faults", r.Accepted, len(r.Faults))
	}
}

// TestServers: two webhooks and two workers over Redis and PostgreSQL, and one
// of each kind of trouble.
func TestServers(t *testing.T) {
	t.Parallel()
	r := play(t, Options{
		Messages: 1000, Conversations: 60, Webhooks: 2, Workers: 2, Faults: 5, Seed: 22, Pace: 2 * time.Second, BackoffSpeedup: 10,
		Only: []string{"kill_worker", "kill_webhook", "kill_redis", "stop_postgres", "whatsapp_throttles"},
	})
	if r.Accepted != 1000 || len(r.Faults) != 5 {
		t.Errorf("got %d accepted and %d faults", r.Accepted, len(r.Faults))
	}
}

// TestProof is the drill of an installation in earnest: a hundred thousand
// messages, thirty-six faults, and outages that are two hours to the back-offs.
func TestProof(t *testing.T) {
	if os.Getenv("PSI_PROOF") == "" {
		t.Log("for make proof: set PSI_PROOF=1")
		return
	}
	seed := uint64(time.Now().UnixNano())
	r := play(t, Options{
		Messages: 100_000, Conversations: 2000, Webhooks: 2, Workers: 4, Faults: 36, Seed: seed, BackoffSpeedup: 150, Outage: 2 * time.Hour,
		Pace: 13 * time.Second, // about what two cores can do
	})
	if r.Accepted != 100_000 || len(r.Faults) != 36 {
		t.Errorf("got %d accepted and %d faults", r.Accepted, len(r.Faults))
	}
	if r.Outage < 7200 {
		t.Errorf("the outages were %.0f s to the back-offs, want two hours", r.Outage)
	}
}

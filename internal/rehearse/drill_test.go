package rehearse

import (
	"os"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/loadgen"
)

// TestDrillEmbedded: one process on SQLite is killed and restarted, and WhatsApp refuses its
// sends.
func TestDrillEmbedded(t *testing.T) {
	t.Parallel()
	r := play(t.Context(), t, Options{
		Embedded: true, Load: loadgen.Options{Messages: 300, Conversations: 30, Seed: 1},
		Drill: &Drill{Faults: 3, Pace: 2 * time.Second, Only: []string{"kill_router", "restart_all", "whatsapp_cuts"}},
	})
	if r.Accepted != 300 || len(r.Faults) != 3 {
		t.Errorf("got %d accepted and %d faults", r.Accepted, len(r.Faults))
	}
}

// TestDrillServers: two webhooks and two workers on Redis and PostgreSQL, with one fault of
// each kind.
func TestDrillServers(t *testing.T) {
	t.Parallel()
	r := play(t.Context(), t, Options{
		Webhooks: 2, Workers: 2, BackoffSpeedup: 10, Load: loadgen.Options{Messages: 1000, Conversations: 60, Seed: 22},
		Drill: &Drill{Faults: 5, Pace: 2 * time.Second, Only: []string{"kill_worker", "kill_webhook", "kill_redis", "stop_postgres", "whatsapp_throttles"}},
	})
	if r.Accepted != 1000 || len(r.Faults) != 5 {
		t.Errorf("got %d accepted and %d faults", r.Accepted, len(r.Faults))
	}
}

// TestProofDrill is the full drill: a hundred thousand messages, thirty-six faults, and
// outages that count as two hours for the back-offs.
func TestProofDrill(t *testing.T) {
	if os.Getenv("PSI_PROOF") == "" {
		t.Log("for make proof: set PSI_PROOF=1")
		return
	}
	seed := uint64(time.Now().UnixNano())
	r := play(t.Context(), t, Options{
		Webhooks: 2, Workers: 4, BackoffSpeedup: 150, Load: loadgen.Options{Messages: 100_000, Conversations: 2000, Seed: seed},
		Drill: &Drill{Faults: 36, Outage: 2 * time.Hour, Pace: 13 * time.Second}, // about what two cores can do
	})
	if r.Accepted != 100_000 || len(r.Faults) != 36 {
		t.Errorf("got %d accepted and %d faults", r.Accepted, len(r.Faults))
	}
	if r.Outage < 7200 {
		t.Errorf("the outages were %.0f s for the back-offs, want two hours", r.Outage)
	}
}

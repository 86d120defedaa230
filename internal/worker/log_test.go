package worker_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/worker"
)

// TestNoNumberInAnID: a wamid carries the contact's number in base64. The part that is logged
// still tells messages apart.
func TestNoNumberInAnID(t *testing.T) {
	const (
		id     = "wamid.HBgNNTQ5MTEwMDAwMDAwMRUCABIYFDNBQ0ZDRjUyMUFENDkxQTI1MkM2AA=="
		number = "NTQ5MTEwMDAwMDAwM" // 549110000000…
		end    = "NDkxQTI1MkM2AA=="
	)
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, worker.Options{}, queue.RunnerOptions{MaxAttempts: 2})
		r.store.poison[id] = errors.New("it cannot be written")
		report := inbound.Arrival{
			Kind: inbound.Status, ID: "wamid." + strings.Repeat("x", 8) + number + strings.Repeat("y", 16) + end, Line: "wsp4",
			Report: &inbound.Report{Status: "failed", Ref: "our-id", Code: 131026},
		}
		r.arrive(text(id, "5491100000001", r.start), report)
		pass(time.Hour)
		r.stop()
		logs := r.logs.String()
		if strings.Contains(logs, number) {
			t.Errorf("a number is in the log:\n%s", logs)
		}
		for _, part := range []string{`"message failed"`, `"message given up"`, `"status"`, `"our-id"`, end} {
			if !strings.Contains(logs, part) {
				t.Errorf("no %s in the log:\n%s", part, logs)
			}
		}
	})
}

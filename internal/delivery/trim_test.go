package delivery_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/psivisionhub/psi-router/internal/delivery"
)

// TestCursorsAreTrimmed: within some hours no cursor is left of conversations of which the
// endpoint has everything, and none of their events comes again.
func TestCursorsAreTrimmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newEventRig(t, delivery.EventOptions{Posts: 4})
		d.all()
		d.say("hola", people(12)...)
		pass(90 * time.Minute)
		posts := d.crm.total()
		left, err := d.store.PruneCursors(t.Context(), "crm", "")
		if err != nil || left.Removed > 0 || posts < 12 {
			t.Errorf("%d posts; %d cursors were still there, %v", posts, left.Removed, err)
		}
		d.say("1", 3)
		pass(2 * time.Hour)
		total := 0
		for _, seqs := range d.crm.taken {
			total += len(seqs)
		}
		if again := d.crm.total(); again != total || again == posts {
			t.Errorf("%d posts for %d events, %d of them before", again, total, posts)
		}
		d.end()
	})
}

package delivery_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/psivisionhub/psi-router/internal/delivery"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlitestore"
)

// surveyed counts the scans of events.
type surveyed struct {
	*sqlitestore.Store
	n atomic.Int64
}

func (s *surveyed) ScanBacklog(ctx context.Context, endpoint string, wants store.EventFilter) (store.ScanResult, error) {
	s.n.Add(1)
	return s.Store.ScanBacklog(ctx, endpoint, wants)
}

// TestScannerOfAHeldEndpoint: the cost of a held endpoint does not grow with the number of
// events; all of them are found once it takes some.
func TestScannerOfAHeldEndpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newEventRig(t, delivery.EventOptions{})
		s := &surveyed{Store: d.store}
		var open atomic.Bool
		scanner := delivery.NewBacklogScanner(delivery.BacklogScannerOptions{
			Store: s, Queue: d.model, Open: func(string) bool { return open.Load() }, Endpoints: []delivery.Endpoint{{Name: "crm"}},
		})
		if err := d.store.RegisterEndpoint(t.Context(), time.Now(), "crm"); err != nil {
			t.Fatal(err)
		}
		d.run(scanner.Run)
		const written = 1100
		began := time.Now()
		for range 6 {
			d.say("hola", people(written)...)
			pass(10 * time.Second)
		}
		if n := s.n.Load(); n < 10 || n > 13 {
			t.Errorf("events were looked through %d times in a minute", n)
		}
		backlogs, err := d.store.Backlogs(t.Context(), []string{"crm"})
		if err != nil || !backlogs["crm"].Oldest.Equal(began) {
			t.Errorf("got %+v, %v; want what waits since %v", backlogs, err, began)
		}
		if n := d.stats().Depth; n != 0 {
			t.Errorf("%d wake-ups of no use", n)
		}

		open.Store(true)
		pass(10 * time.Second)
		d.stop()
		if n := d.stats().Depth; n != written {
			t.Errorf("%d of %d conversations are woken", n, written)
		}
		s.n.Store(0)
		for {
			done, err := s.ScanBacklog(t.Context(), "crm", store.EventFilter{})
			if err != nil {
				t.Fatal(err)
			}
			if !done.More {
				break
			}
		}
		if n := s.n.Load(); n != 1 {
			t.Errorf("%d pages were left", n)
		}
		if err := d.store.Close(); err != nil {
			t.Error(err)
		}
	})
}

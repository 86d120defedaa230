package sqlitestore

import (
	"context"
	"fmt"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// Turn implements store.Store.
func (s *Store) Turn(ctx context.Context, now time.Time, batch []inbound.Arrival) ([]store.Result, error) {
	if len(batch) == 0 {
		return nil, nil
	}
	batch = unit.FitArrivals(batch)
	spec := s.set.TurnLoadSpec(batch)
	var results []store.Result
	err := s.write(ctx, "turn", now, func(tx *txState) error {
		if err := tx.load(spec); err != nil {
			return err
		}
		if spec.Echoes {
			ids := make([]string, len(spec.ProviderIDs))
			for i, id := range spec.ProviderIDs {
				ids[i] = id.ID
			}
			if err := tx.loadParked(ids); err != nil {
				return fmt.Errorf("load parked reports: %w", err)
			}
		}
		for _, conv := range tx.unit.NeedRecentMessages(batch) {
			if err := tx.loadRecent(conv); err != nil {
				return fmt.Errorf("load recent messages: %w", err)
			}
		}
		results = make([]store.Result, len(batch))
		for i := range batch {
			results[i] = tx.unit.Turn(&batch[i])
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// Reject implements store.Store.
func (s *Store) Reject(ctx context.Context, now time.Time, arrival inbound.Arrival, why string) error {
	arrival = unit.FitArrivals([]inbound.Arrival{arrival})[0]
	spec := s.set.TurnLoadSpec([]inbound.Arrival{arrival})
	return s.write(ctx, "reject", now, func(tx *txState) error {
		if err := tx.load(spec); err != nil {
			return err
		}
		tx.unit.Reject(&arrival, why)
		return nil
	})
}

package pgstore

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// countTickets takes numbers in a transaction of its own, which ends before its answer
// travels: as a part of the turn it would make all turns with a hand-off wait for each
// other's round trips. It need not be synced: the commit of the tickets follows it in the
// log, and syncs both.
const countTickets = `INSERT INTO psi_router.counters (name, value) VALUES ($1, $2)
	ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value RETURNING value`

// idRange is n consecutive numbers, those after before.
type idRange struct{ before, n int64 }

// tickets are numbers that were reserved and not used. They are lost with the process,
// which leaves a gap.
type tickets struct {
	mu    sync.Mutex
	spare map[string][]idRange // by counter
}

// reserveTickets returns n consecutive numbers of a counter.
func (s *Store) reserveTickets(ctx context.Context, counter string, n int64) (idRange, error) {
	if old, ok := s.tickets.take(counter, n); ok {
		return old, nil
	}
	var last int64
	err := s.transact(ctx, s.counterPool, func(c *pgxpool.Conn) error {
		b := &pgx.Batch{}
		s.begin(b, asyncCommit)
		queue(b, countTickets, counter, n).QueryRow(func(row pgx.Row) error { return row.Scan(&last) })
		s.checkLimit(b, counter)
		return s.commit(ctx, c, b, false)
	})
	if err != nil {
		return idRange{}, fmt.Errorf("reserve tickets: %w", err)
	}
	return idRange{last - n, n}, nil
}

func (t *tickets) take(counter string, n int64) (idRange, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, old := range t.spare[counter] {
		switch {
		case old.n < n:
		case old.n == n:
			t.spare[counter] = append(t.spare[counter][:i:i], t.spare[counter][i+1:]...)
			return old, true
		default:
			t.spare[counter][i] = idRange{old.before + n, old.n - n}
			return idRange{old.before, n}, true
		}
	}
	return idRange{}, false
}

// release returns unused numbers.
func (t *tickets) release(counter string, unused idRange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.spare == nil {
		t.spare = map[string][]idRange{}
	}
	t.spare[counter] = append(t.spare[counter], unused)
}

// reset drops all numbers: a restored database gives them out again.
func (t *tickets) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.spare = nil
}

package pgstore

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
)

// block is how many keys a process takes at once.
const block = 512

// keys are numbers for new contacts and conversations that nobody else uses. Which
// ones does not matter, so they need no order, and gaps are free.
type keys struct {
	mu   sync.Mutex
	free []int64
}

// reserve takes keys out, from the database when there are not enough.
func (s *Store) reserve(ctx context.Context, n int) ([]int64, error) {
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	if n > len(s.keys.free) {
		const query = `SELECT nextval('psi_router.keys') FROM generate_series(1, $1::int)`
		rows, err := s.pool.Query(ctx, query, n+block)
		if err != nil {
			return nil, fmt.Errorf("take keys: %w", err)
		}
		more, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return nil, fmt.Errorf("take keys: %w", err)
		}
		s.keys.free = append(s.keys.free, more...)
	}
	rest := len(s.keys.free) - n
	out := append([]int64(nil), s.keys.free[rest:]...)
	s.keys.free = s.keys.free[:rest]
	return out, nil
}

// giveBack returns keys that no row has.
func (s *Store) giveBack(unused []int64) {
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	s.keys.free = append(s.keys.free, unused...)
}

// forget drops all keys: a database that was restored gives them out again.
func (s *Store) forget() {
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	s.keys.free = nil
}

package pgstore

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// keyBlock is how many keys a process takes at once.
const keyBlock = 512

// keys are unused numbers for new contacts and conversations. They need no order, and gaps
// are free.
type keys struct {
	mu   sync.Mutex
	free []int64
}

// reserveKeys takes keys out, after fetching more if there are too few. It holds no lock
// while it waits for a connection: the holder of one may want to return keys.
func (s *Store) reserveKeys(ctx context.Context, n int) ([]int64, error) {
	for {
		if out, ok := s.keys.take(n); ok {
			return out, nil
		}
		const query = `SELECT nextval('psi_router.keys') FROM generate_series(1, $1::int)`
		rows, err := s.pool.Query(ctx, query, n+keyBlock)
		if err != nil {
			return nil, fmt.Errorf("reserve keys: %w", err)
		}
		more, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return nil, fmt.Errorf("reserve keys: %w", err)
		}
		s.releaseKeys(more)
	}
}

func (k *keys) take(n int) ([]int64, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	rest := len(k.free) - n
	if rest < 0 {
		return nil, false
	}
	out := slices.Clone(k.free[rest:])
	k.free = k.free[:rest]
	return out, true
}

// releaseKeys returns keys that no row has.
func (s *Store) releaseKeys(unused []int64) {
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	s.keys.free = append(s.keys.free, unused...)
}

// resetReserves drops all reserved numbers: a restored database gives them out again.
func (s *Store) resetReserves() {
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	s.keys.free = nil
	s.tickets.reset()
}

// knownLines are lines whose row exists: it is never deleted.
type knownLines struct{ m sync.Map }

func (l *knownLines) has(line string) bool {
	_, ok := l.m.Load(line)
	return ok
}

// reset forgets all lines: a restored database may lack them.
func (l *knownLines) reset() { l.m.Clear() }

func (l *knownLines) add(heard map[string]time.Time) {
	for line := range heard {
		l.m.Store(line, true)
	}
}

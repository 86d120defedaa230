package admission

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// Memory for unauthenticated bodies in the whole process, in bytes. Nearly all of Meta's bodies
// are short, so short ones have room of their own that long ones cannot use up.
const (
	shortBody = 64 << 10 // longest announced length of a short body
	shortRoom = 16 << 20
	longRoom  = 32 << 20
	// perAddress is how much of both one address may take.
	perAddress = 2 << 20
	// patience is how long a body waits for room.
	patience = 2 * time.Second
)

// ErrNoRoom means that there was no room for a body in time.
var ErrNoRoom = errors.New("there is no room for the body")

// Room is the memory for bodies of unauthenticated senders. It is safe for concurrent use.
type Room struct {
	short, long *semaphore.Weighted
	pieces      sync.Pool // of *[largest]byte

	mu     sync.Mutex
	shares map[netip.Addr]*addressShare // of the addresses with a claim
}

// addressShare bounds one address.
type addressShare struct {
	users int
	bytes *semaphore.Weighted
	turn  *semaphore.Weighted // for OneAtATime senders
}

// NewRoom returns an empty Room.
func NewRoom() *Room {
	r := &Room{
		short: semaphore.NewWeighted(shortRoom), long: semaphore.NewWeighted(longRoom),
		shares: map[netip.Addr]*addressShare{},
	}
	r.pieces.New = func() any { return new([maxPiece]byte) }
	return r
}

// claim is one body's part of the room.
type claim struct {
	room   *Room
	budget *semaphore.Weighted
	addr   netip.Addr
	share  *addressShare // nil: not bound by address
	turn   bool
	bytes  int64
}

// enter returns the claim of a body with this announced length, negative if unknown. The claim
// holds no bytes yet: announcing a body takes no room.
func (r *Room) enter(ctx context.Context, from Sender, length int64) (*claim, error) {
	c := &claim{room: r, budget: r.short}
	if length < 0 || length > shortBody {
		c.budget = r.long
	}
	if from.Exempt {
		return c, nil
	}
	if length > perAddress {
		return nil, ErrNoRoom
	}
	c.addr = addressKey(from.Addr)
	c.share = r.acquireShare(c.addr)
	if from.OneAtATime {
		if err := acquire(ctx, c.share.turn, 1); err != nil {
			c.leave()
			return nil, err
		}
		c.turn = true
	}
	return c, nil
}

// take charges n bytes, before they are read into memory.
func (c *claim) take(ctx context.Context, n int64) error {
	if c.share != nil {
		if c.bytes+n > perAddress {
			return ErrNoRoom
		}
		if err := acquire(ctx, c.share.bytes, n); err != nil {
			return err
		}
	}
	if err := acquire(ctx, c.budget, n); err != nil {
		if c.share != nil {
			c.share.bytes.Release(n)
		}
		return err
	}
	c.bytes += n
	return nil
}

// leave gives everything back. It may be called again.
func (c *claim) leave() {
	c.budget.Release(c.bytes)
	if c.share != nil {
		c.share.bytes.Release(c.bytes)
		if c.turn {
			c.share.turn.Release(1)
		}
		c.room.releaseShare(c.addr)
	}
	c.share, c.turn, c.bytes = nil, false, 0
}

func (r *Room) acquireShare(addr netip.Addr) *addressShare {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.shares[addr]
	if s == nil {
		s = &addressShare{bytes: semaphore.NewWeighted(perAddress), turn: semaphore.NewWeighted(1)}
		r.shares[addr] = s
	}
	s.users++
	return s
}

func (r *Room) releaseShare(addr netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.shares[addr]
	if s.users--; s.users == 0 {
		delete(r.shares, addr)
	}
}

// acquire waits for n units, for patience at most.
func acquire(ctx context.Context, s *semaphore.Weighted, n int64) error {
	if s.TryAcquire(n) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if s.Acquire(ctx, n) != nil {
		return ErrNoRoom
	}
	return nil
}

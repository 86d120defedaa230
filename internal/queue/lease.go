package queue

import (
	"context"
	"time"
)

// Lease is a span of time during which a job is ours, as far as this machine can tell.
// Three clocks measure it, and the one furthest ahead decides: Go's timers stand still
// while the machine is suspended, the wall clock may be set back, and a stopped process
// notices neither. The zero Lease is over.
type Lease struct {
	began  clockReading
	length time.Duration
}

// NewLease returns a lease that begins now. Create it before the call that asks the queue
// for the lease, so that it ends here before it ends there.
func NewLease(length time.Duration) Lease { return Lease{readClocks(), length} }

// Left returns how long the lease still lasts: zero or less once it is over.
func (l Lease) Left() time.Duration { return l.left(readClocks()) }

func (l Lease) left(now clockReading) time.Duration {
	return l.length - max(now.timer.Sub(l.began.timer), now.wall.Sub(l.began.wall), now.boot-l.began.boot)
}

// clockReading is the time by each clock.
type clockReading struct {
	timer time.Time     // compared by the monotonic clock, as Go's timers are
	wall  time.Time     // without the monotonic clock
	boot  time.Duration // since the machine started, suspension included
}

func readClocks() clockReading {
	now := time.Now()
	return clockReading{timer: now, wall: now.Round(0), boot: sinceBoot()}
}

type leaseKey struct{}

// WithLease returns a context for work done under the lease. A Runner gives it to its
// handlers.
func WithLease(ctx context.Context, l Lease) context.Context {
	return context.WithValue(ctx, leaseKey{}, l)
}

// LeaseOf returns the lease of the context; without one, a lease that is over.
func LeaseOf(ctx context.Context) Lease {
	l, _ := ctx.Value(leaseKey{}).(Lease)
	return l
}

// leaseLost reports whether the context has a lease that is over.
func leaseLost(ctx context.Context) bool {
	l, under := ctx.Value(leaseKey{}).(Lease)
	return under && l.Left() <= 0
}

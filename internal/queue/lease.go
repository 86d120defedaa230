package queue

import (
	"context"
	"time"
)

// Lease is a stretch of time in which something is ours, as far as this machine can
// tell. Several clocks measure it and the one that is furthest decides: the one that
// Go's timers go by stands still while the machine is suspended, the wall clock may
// be set back, and a process that was stopped notices neither. The zero Lease is over.
type Lease struct {
	began  clockReading
	length time.Duration
}

// NewLease returns a lease that begins now: take it before the call that asks for
// what it is for, so that it ends here before it ends there.
func NewLease(length time.Duration) Lease { return Lease{readClocks(), length} }

// Left returns how long it still lasts: zero or less once it is over.
func (l Lease) Left() time.Duration { return l.left(readClocks()) }

func (l Lease) left(now clockReading) time.Duration {
	return l.length - max(now.timer.Sub(l.began.timer), now.wall.Sub(l.began.wall), now.boot-l.began.boot)
}

// clockReading is what the clocks say at one moment.
type clockReading struct {
	timer time.Time     // compared by what Go's timers go by
	wall  time.Time     // without that
	boot  time.Duration // since the machine started, also while it sleeps
}

func readClocks() clockReading {
	now := time.Now()
	return clockReading{timer: now, wall: now.Round(0), boot: sinceBoot()}
}

type leaseKey struct{}

// WithLease returns a context whose work is done under a lease. A Runner gives it to
// its handlers.
func WithLease(ctx context.Context, l Lease) context.Context {
	return context.WithValue(ctx, leaseKey{}, l)
}

// LeaseOf returns the lease that work is done under; what is done under none has one
// that is over.
func LeaseOf(ctx context.Context) Lease {
	l, _ := ctx.Value(leaseKey{}).(Lease)
	return l
}

// leaseLost reports whether work is done under a lease that is over.
func leaseLost(ctx context.Context) bool {
	l, under := ctx.Value(leaseKey{}).(Lease)
	return under && l.Left() <= 0
}

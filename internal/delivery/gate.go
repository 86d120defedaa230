package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/queue"
)

var (
	errLeaseOver = errors.New("the lease would end meanwhile")
	errHeld      = errors.New("it was held meanwhile")
)

// gate is asked before anything leaves for a receiver, as the last thing: whether the
// lease that ctx's work is done under lasts for as long as the call may, and whether
// the receiver was held meanwhile, as far as this process knows.
func (r *receiver) gate(ctx context.Context, need time.Duration) httpcall.Gate {
	lease := leaseGate(ctx, need)
	return func() error {
		if r.hold.Held() {
			return errHeld
		}
		return lease()
	}
}

// leaseGate is the gate of who cannot be held.
func leaseGate(ctx context.Context, need time.Duration) httpcall.Gate {
	lease := queue.LeaseOf(ctx)
	return func() error {
		if lease.Left() < need {
			return errLeaseOver
		}
		return nil
	}
}

// stallMargin is by how much a call must outlast its time for this process to have
// stood still in it: else it would have been cut.
const stallMargin = 500 * time.Millisecond

// stallRetryAfter is after how long a call of the store that breaks off is tried once more
// before anything is held: this process may have stood still in it, and the server
// have ended its connection.
const stallRetryAfter = 2 * time.Second

// stallLease sees whether this process stands still in a call that is cut after so long.
// What such a call says, or does not say, speaks for nobody else.
func stallLease(timeout time.Duration) queue.Lease { return queue.NewLease(timeout + stallMargin) }

// stalled reports whether this process has stood still in a call, or has lost the lease
// that ctx's work is done under.
func stalled(ctx context.Context, call queue.Lease) bool {
	return call.Left() <= 0 || queue.LeaseOf(ctx).Left() <= 0
}

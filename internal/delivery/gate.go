package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/queue"
)

var (
	errLeaseOver = errors.New("the lease would end during the call")
	errHeld      = errors.New("the queue is held by now")
)

// gate is the last check before a request leaves for a receiver: that ctx's lease lasts for
// as long as the call may, and that the receiver is not held, as far as this process knows.
func (r *receiver) gate(ctx context.Context, need time.Duration) httpcall.Gate {
	lease := leaseGate(ctx, need)
	return func() error {
		if r.hold.Held() {
			return errHeld
		}
		return lease()
	}
}

// leaseGate is the gate of a receiver that cannot be held.
func leaseGate(ctx context.Context, need time.Duration) httpcall.Gate {
	lease := queue.LeaseOf(ctx)
	return func() error {
		if lease.Left() < need {
			return errLeaseOver
		}
		return nil
	}
}

// stallMargin is by how much a call must outlast its timeout to show that this process
// stalled: otherwise the timeout would have ended it.
const stallMargin = 500 * time.Millisecond

// stallRetryAfter is the pause before a failed call of the store is tried once more, and
// only then anything held: this process may have stalled in it, and the server have closed
// its connection.
const stallRetryAfter = 2 * time.Second

// stallLease detects that this process stalls in a call with the given timeout. The outcome
// of such a call says nothing about the receiver.
func stallLease(timeout time.Duration) queue.Lease { return queue.NewLease(timeout + stallMargin) }

// stalled reports whether this process stalled in a call, or has lost ctx's lease.
func stalled(ctx context.Context, call queue.Lease) bool {
	return call.Left() <= 0 || queue.LeaseOf(ctx).Left() <= 0
}

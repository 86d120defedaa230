package worker

import (
	"context"
	"errors"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/sanitize"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/wamid"
)

const (
	// outageDelay is how long a lane waits after an outage of the store or the queue.
	outageDelay = time.Second
	// outageThreshold is how many failures without a success mean that the fault is ours,
	// not the messages'.
	outageThreshold = 3
	// stallAfter is the duration from which a failed call may mean that this process was
	// suspended and the server closed its connection meanwhile.
	stallAfter = 2 * time.Second
	// storeUnavailable is the reason of the hold, for operators.
	storeUnavailable = "the store cannot be reached or cannot write"
)

// batchHandler runs batches against the store and isolates the members that fail.
type batchHandler struct {
	*Worker
	hold *queue.Holder
}

// run runs a batch. do settles all its members, or returns an error and settles none. If the
// batch fails, its members are tried one by one, so that only the culprit has an attempt
// counted. If the store is away, the queue is held and no attempt is counted.
func (h *batchHandler) run(ctx context.Context, members []member, do func(context.Context, []member) error) {
	if len(members) == 0 {
		return
	}
	began, call := time.Now(), queue.NewLease(stallAfter)
	err := do(ctx, members)
	if errors.Is(err, store.ErrUnavailable) && call.Left() <= 0 {
		err = do(ctx, members) // in an outage the second try fails too
	}
	if err == nil {
		h.hold.Clear(began)
		return
	}
	if h.outage(ctx, members, err) {
		return
	}
	if len(members) == 1 && errors.Is(err, store.ErrBusy) {
		postponeBusy(members, outageDelay, err)
		return
	}
	if len(members) == 1 {
		h.retryMember(members[0], err)
		return
	}
	h.opts.Log.Warn("batch failed, trying its members one by one", "size", len(members), "error", err)
	var culprits []member
	var errs []error
	held := 0
	for i := range members {
		err := do(ctx, members[i:i+1])
		if err == nil {
			continue
		}
		if errors.Is(err, store.ErrBusy) && ctx.Err() == nil {
			postponeBusy(members[i:i+1], outageDelay, err)
			if held++; held == outageThreshold { // each try waited for a lock: postpone the rest
				postponeBusy(members[i+1:], 0, err)
				break
			}
			continue
		}
		if h.outage(ctx, members[i:], err) {
			break
		}
		culprits, errs = append(culprits, members[i]), append(errs, err)
	}
	if len(culprits) == len(members) && len(members) >= outageThreshold {
		h.postpone(members, h.hold.Trip(ctx, "no message can be handled", errs[0].Error(), queue.Backoff{}, 0), errs[0])
		return
	}
	for i, m := range culprits {
		h.retryMember(m, errs[i])
	}
}

// outage handles a failure that is not the messages' fault, and reports whether it was one.
func (h *batchHandler) outage(ctx context.Context, members []member, err error) bool {
	if ctx.Err() != nil {
		return true // draining or out of time: the runner handles the claims
	}
	if !errors.Is(err, store.ErrUnavailable) {
		return false
	}
	h.postpone(members, h.hold.Trip(ctx, storeUnavailable, err.Error(), queue.Backoff{}, 0), err)
	return true
}

// postpone gives members back for at most outageDelay; the hold of the queue does the waiting.
func (h *batchHandler) postpone(members []member, held time.Duration, err error) {
	for _, m := range members {
		m.settle(queue.Outcome{Verdict: queue.Postpone, Delay: min(held, outageDelay), Err: err.Error()})
	}
}

// postponeBusy gives back members whose rows another process has locked, without counting an
// attempt. A member for whose lock the store already waited comes back later (outageDelay) than
// one that the store skipped (busyDelay).
func postponeBusy(members []member, delay time.Duration, err error) {
	for _, m := range members {
		m.settle(queue.Outcome{Verdict: queue.Postpone, Delay: delay, Err: err.Error()})
	}
}

func (h *batchHandler) retryMember(m member, err error) {
	h.opts.Log.Warn("message failed", "id", sanitize.Value(wamid.Mask(m.arrival.ID)), "kind", m.arrival.Kind, "error", err)
	m.settle(queue.Outcome{Verdict: queue.Retry, Err: err.Error()})
}

package worker

import (
	"context"
	"errors"
	"time"

	"github.com/psivisionhub/psi-router/internal/phone"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/sanitize"
	"github.com/psivisionhub/psi-router/internal/store"
)

const (
	// outageDelay is how long a lane waits when the store or the queue was away.
	outageDelay = time.Second
	// outageThreshold is from how many failures without one success the fault is taken
	// to be ours and not the messages'.
	outageThreshold = 3
	// stallAfter is how long a call lasts at least in which this process may have stood
	// still, and its connection been ended by the server meanwhile.
	stallAfter = 2 * time.Second
	// storeUnavailable is what people are told while it is.
	storeUnavailable = "the store cannot be reached or cannot write"
)

// batchHandler carries batches through the store, and sorts out what failed.
type batchHandler struct {
	*Worker
	hold *queue.Holder
}

// run does a batch. do handles all its members and settles them, or settles
// none and returns an error. When a batch fails for a reason of its own, its
// members are tried one by one, so that only the culprit has an attempt
// counted. When the store is away the whole queue waits and nobody has.
func (h *batchHandler) run(ctx context.Context, members []member, do func(context.Context, []member) error) {
	if len(members) == 0 {
		return
	}
	began, call := time.Now(), queue.NewLease(stallAfter)
	err := do(ctx, members)
	if errors.Is(err, store.ErrUnavailable) && call.Left() <= 0 {
		err = do(ctx, members) // a store that is away is away at the second look too
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
	h.Log.Warn("batch failed: trying its members one by one", "size", len(members), "error", err)
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
			if held++; held == outageThreshold { // each took its time: the rest comes again without them
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

// outage deals with failures that say nothing about the messages.
func (h *batchHandler) outage(ctx context.Context, members []member, err error) bool {
	if ctx.Err() != nil {
		return true // drained or out of time: the runner knows what to do
	}
	if !errors.Is(err, store.ErrUnavailable) {
		return false
	}
	h.postpone(members, h.hold.Trip(ctx, storeUnavailable, err.Error(), queue.Backoff{}, 0), err)
	return true
}

// postpone gives members back for a little while; the queue's hold does the
// waiting.
func (h *batchHandler) postpone(members []member, held time.Duration, err error) {
	for _, m := range members {
		m.settle(queue.Outcome{Verdict: queue.Postpone, Delay: min(held, outageDelay), Err: err.Error()})
	}
}

// postponeBusy gives back members whose rows somebody else holds, uncounted. The store
// has waited for them already, so they come back later than those that it skips.
func postponeBusy(members []member, delay time.Duration, err error) {
	for _, m := range members {
		m.settle(queue.Outcome{Verdict: queue.Postpone, Delay: delay, Err: err.Error()})
	}
}

func (h *batchHandler) retryMember(m member, err error) {
	h.Log.Warn("message failed", "id", sanitize.Value(phone.MaskID(m.arrival.ID)), "kind", m.arrival.Kind, "error", err)
	m.settle(queue.Outcome{Verdict: queue.Retry, Err: err.Error()})
}

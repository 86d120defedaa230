package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// receiver is what a line or an endpoint has in common for those who post to it.
type receiver struct {
	hold  *queue.Holder
	slots chan struct{} // one for each concurrent post, or conversation that is posting
	probe sync.Mutex    // held by the batch that probes a failing receiver
}

var errNoSlot = errors.New("no slot was free in time")

// acquireSlot takes a slot, unless none gets free in time or posting is of no use by then.
func (r *receiver) acquireSlot(ctx context.Context, timeout time.Duration) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case r.slots <- struct{}{}:
	case <-timer.C:
		return errNoSlot
	case <-ctx.Done():
		return ctx.Err()
	}
	err := ctx.Err()
	if err == nil && r.hold.Held() {
		err = errHeld
	}
	if err != nil {
		<-r.slots
	}
	return err
}

// dispatchOrProbe delivers a batch at once, or, to a failing receiver, one lane at a time
// by one batch. deliver gets the indices in the batch.
func (r *receiver) dispatchOrProbe(batch []queue.Claim, settle func(int, queue.Outcome), deliver func(which ...int)) {
	from := 0
	if r.hold.Tripped() {
		if !r.probe.TryLock() {
			postponeRest(batch, settle, 0, outageDelay/2)
			return
		}
		for ; from < len(batch) && r.hold.Tripped() && !r.hold.Held(); from++ {
			deliver(from)
		}
		held := r.hold.Held()
		r.probe.Unlock()
		if held {
			postponeRest(batch, settle, from, outageDelay)
			return
		}
	}
	var rest []int
	for i := from; i < len(batch); i++ {
		rest = append(rest, i)
	}
	deliver(rest...)
}

// postponeRest gives back the rest of a batch in its order. Lanes that come back at the
// same moment would be sorted by name, and the first of them would be every probe.
func postponeRest(batch []queue.Claim, settle func(int, queue.Outcome), from int, delay time.Duration) {
	for i := from; i < len(batch); i++ {
		settle(i, queue.Outcome{Verdict: queue.Postpone, Delay: delay})
		delay += time.Millisecond
	}
}

// prepareQueue tells the queue its rate, and releases the hold of an earlier process: a
// person may have fixed the cause meanwhile, and if not, the first answer holds the queue
// again. first runs before. It retries until it succeeds.
func prepareQueue(ctx context.Context, q queue.Queue, name string, rate queue.Limit, logger *slog.Logger, first func() error) error {
	b := queue.Backoff{Base: 100 * time.Millisecond, Cap: 5 * time.Second}
	for n := 1; ctx.Err() == nil; n++ {
		err := first()
		if err == nil {
			err = q.SetLimit(ctx, name, rate)
		}
		if err == nil {
			err = q.Hold(ctx, name, time.Time{}, "")
		}
		if err == nil {
			break
		}
		if errors.Is(err, queue.ErrClosed) {
			return fmt.Errorf("prepare %s: %w", name, err)
		}
		if n == 1 {
			logger.Error("the queue cannot be prepared: trying again", "queue", name, "error", err)
		}
		sleep(ctx, b.Delay(n))
	}
	return nil
}

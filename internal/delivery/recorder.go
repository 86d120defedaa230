package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/phone"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
)

const (
	// mostRecords is how many results one transaction takes.
	mostRecords = 256
	// recordEvery is how soon one transaction follows another that few wait for. A
	// process that dies meanwhile leaves their rows uncertain.
	recordEvery = 40 * time.Millisecond
	// recordTries is how often a result is tried that the store refuses for a
	// reason of its own: at once, as others wait behind it.
	recordTries = 3
	// warnBusyAfter is how often a result finds its contact held before that is said.
	warnBusyAfter = 5
	// recordTimeout is how long the store may take.
	recordTimeout = 10 * time.Second
)

var errUnrecorded = errors.New("result is not recorded yet")

// recorder writes results in groups: while one transaction commits, and soon after,
// the results of other posts gather for the next. It keeps what it was given until
// the store takes it, longer than the lease if need be: a provider id that was
// accepted is worth keeping late.
type recorder struct {
	s       *Sends
	pace    *pace
	mu      sync.Mutex
	waiting []*record
	closed  bool
	kick    chan struct{}
	// busyRetries are results whose contact somebody else holds: they come again, and
	// nobody waits behind them.
	busyRetries sync.WaitGroup
}

// record is one result on its way.
type record struct {
	result store.SendResult
	over   bool // the row is over, or keeps nobody back: when there are more, wake the lane again
	done   chan error
	tries  int
	held   int // how often somebody else had its contact
}

func newRecorder(s *Sends) *recorder {
	return &recorder{s: s, pace: newPace(recordEvery), kick: make(chan struct{}, 1)}
}

// record returns when the result is durable, and the wake-up for the next row of
// its conversation too; or with an error when the lease is about to end.
func (r *recorder) record(ctx context.Context, over bool, result store.SendResult) error {
	rec := &record{result: result, over: over, done: make(chan error, 1)}
	r.mu.Lock()
	if r.waiting = append(r.waiting, rec); len(r.waiting) >= cap(r.s.slots) {
		r.pace.enough()
	}
	r.mu.Unlock()
	r.poke()
	select {
	case err := <-rec.done:
		return err
	case <-ctx.Done():
	}
	// A post that outlasted its drain gets this much to be written.
	last := time.NewTimer(outageDelay)
	defer last.Stop()
	select {
	case err := <-rec.done:
		return err
	case <-last.C:
		return errUnrecorded
	}
}

func (r *recorder) poke() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// close makes run end once everything is written.
func (r *recorder) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.pace.enough()
	r.poke()
}

// run writes until it is closed and empty, or ctx ends.
func (r *recorder) run(ctx context.Context) {
	b := queue.Backoff{Base: 100 * time.Millisecond, Cap: 5 * time.Second}
	failures := 0
	for {
		r.pace.rest(ctx)
		group, closed := r.take()
		if len(group) == 0 {
			if closed {
				if r.drained() {
					return
				}
				continue
			}
			select {
			case <-r.kick:
				continue
			case <-ctx.Done():
				r.busyRetries.Wait()
				r.giveUpAll()
				return
			}
		}
		r.pace.begin()
		left := r.write(ctx, group)
		if len(left) == 0 {
			failures = 0
			continue
		}
		r.putBack(left)
		failures++
		select {
		case <-time.After(b.Delay(failures)):
		case <-ctx.Done():
			r.busyRetries.Wait()
			r.giveUpAll()
			return
		}
	}
}

func (r *recorder) take() (group []*record, closed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(r.waiting), mostRecords)
	group = r.waiting[:n:n]
	r.waiting = r.waiting[n:]
	return group, r.closed
}

func (r *recorder) putBack(group []*record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(group, r.waiting...)
}

// write records a group and returns what must be tried again.
func (r *recorder) write(ctx context.Context, group []*record) (left []*record) {
	results := make([]store.SendResult, len(group))
	for i, rec := range group {
		results[i] = rec.result
	}
	ctx = queue.WithLease(ctx, queue.NewLease(stallRetryAfter))
	call, cancel := context.WithTimeout(ctx, recordTimeout) // who claims holds the line when it is the store
	recorded, err := r.s.Store.RecordSends(call, r.s.Now(), results)
	cancel()
	if err == nil && len(recorded) != len(group) {
		err = fmt.Errorf("%d answers for %d results", len(recorded), len(group))
	}
	switch {
	case err == nil:
		r.written(ctx, group, recorded)
		return nil
	case storeDown(err) || ctx.Err() != nil:
		r.s.hold.Trip(ctx, storeUnavailable, fmt.Sprintf("record sends: %v", err), queue.Backoff{}, 0)
		return group
	case errors.Is(err, store.ErrBusy):
		r.retryBusy(ctx, group)
		return nil
	case len(group) > 1:
		for _, rec := range group {
			left = append(left, r.write(ctx, []*record{rec})...)
		}
		return left
	}
	rec := group[0]
	if rec.tries++; rec.tries < recordTries {
		return r.write(ctx, group)
	}
	r.giveUp(rec, err)
	return nil
}

// drained waits for the busy ones and reports whether nothing is left to write.
func (r *recorder) drained() bool {
	r.busyRetries.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting) == 0
}

// retryBusy lets results come again whose contact is held.
func (r *recorder) retryBusy(ctx context.Context, held []*record) {
	for _, rec := range held {
		if rec.held++; rec.held == warnBusyAfter {
			r.s.Log.Warn("result of a post waits: somebody else holds its contact", "id", rec.result.MessageID)
		}
		r.busyRetries.Go(func() {
			select {
			case <-time.After(busyBackoff.Delay(rec.held)):
			case <-ctx.Done():
			}
			r.putBack([]*record{rec})
			r.poke()
		})
	}
}

// written lets go who is recorded, and makes the lanes go on that have more to send.
func (r *recorder) written(ctx context.Context, group []*record, recorded []store.Recorded) {
	var done, held []*record
	var jobs []queue.Job
	wakes := map[*record]bool{}
	for i, rec := range group {
		if recorded[i].Busy {
			held = append(held, rec)
			continue
		}
		done = append(done, rec)
		if rec.over && recorded[i].More {
			wakes[rec] = true
			jobs = append(jobs, Wake(r.s.Line, rec.result.Conversation))
		}
	}
	r.retryBusy(ctx, held)
	var err error
	if len(jobs) > 0 {
		if _, err = r.s.Queue.Enqueue(ctx, jobs); err != nil {
			r.s.Log.Warn("next rows wait", "size", len(jobs), "error", err)
		}
	}
	for _, rec := range done {
		if wakes[rec] {
			r.finish(rec, err)
		} else {
			r.finish(rec, nil)
		}
	}
}

// finish lets go who waits, and the row: its conversation may be claimed again.
func (r *recorder) finish(rec *record, err error) {
	r.s.claimer.rowRecorded(rec.result.Conversation)
	rec.done <- err
}

// giveUp leaves a row as it is: the next claim will mark it uncertain.
func (r *recorder) giveUp(rec *record, err error) {
	r.s.Log.Error("result of a post could not be recorded", "id", rec.result.MessageID,
		"provider_id", phone.MaskID(rec.result.ProviderID), "status", rec.result.Status, "error", err)
	r.finish(rec, fmt.Errorf("record send: %w", err))
}

// giveUpAll says what could not be recorded when the process ends.
func (r *recorder) giveUpAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rec := range r.waiting {
		r.giveUp(rec, errUnrecorded)
	}
	r.waiting = nil
}

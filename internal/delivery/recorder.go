package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/batch"
	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/wamid"
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

// recordBackoff is the back-off for results while the store is away.
var recordBackoff = queue.Backoff{Base: 100 * time.Millisecond, Cap: 5 * time.Second}

var errUnrecorded = errors.New("result is not recorded yet")

// recorder writes results in batches. It keeps what it was given until the store takes
// it, longer than the lease if need be: a provider id that was accepted is worth keeping
// late.
type recorder struct {
	s         *Sends
	batch     *batch.Batcher[*record, error] // the value says why the lane could not be woken
	abandoned sync.WaitGroup                 // results that nobody waits for any more
}

// record is one result on its way.
type record struct {
	result store.SendResult
	over   bool // the row is over, or keeps nobody back: when there are more, wake the lane again
	busy   int  // how often somebody else had its contact
}

func newRecorder(s *Sends) *recorder {
	r := &recorder{s: s}
	r.batch = batch.New(batch.Options[*record, error]{
		Call: r.write, Split: func(err error) bool { return !errors.Is(err, errUnrecorded) },
		Max: mostRecords, Every: recordEvery, Full: cap(s.slots),
	})
	return r
}

// record returns when the result is durable, and the wake-up for the next row of
// its conversation too; or with an error when the lease is about to end.
func (r *recorder) record(ctx context.Context, rec *record) error {
	p := r.batch.Submit(rec)
	if !answered(ctx, p.Done()) {
		r.abandoned.Go(func() { _ = r.finish(rec, p) })
		return errUnrecorded
	}
	return r.finish(rec, p)
}

// finish lets the conversation of a result be claimed again. What could not be recorded
// leaves its row as it is: the next claim will mark it uncertain.
func (r *recorder) finish(rec *record, p *batch.Pending[*record, error]) error {
	wakeErr, err := p.Wait(context.Background())
	r.s.claimer.rowRecorded(rec.result.Conversation)
	if err != nil {
		r.s.opts.Log.Error("result of a post could not be recorded", "id", rec.result.MessageID,
			"provider_id", wamid.Mask(rec.result.ProviderID), "status", rec.result.Status, "error", err)
		return fmt.Errorf("record send: %w", err)
	}
	return wakeErr
}

// close writes what is left, until ctx ends.
func (r *recorder) close(ctx context.Context) {
	r.batch.Close(ctx)
	r.abandoned.Wait()
}

// write records a batch. It waits for a store that is away, and tries a result a few times
// that the store refuses alone. Results whose contact is busy come again later.
func (r *recorder) write(ctx context.Context, recs []*record) ([]batch.Result[error], error) {
	for outages, refusals := 0, 0; ctx.Err() == nil; {
		call := queue.WithLease(ctx, queue.NewLease(stallRetryAfter))
		recorded, err := r.call(call, recs)
		switch {
		case err == nil:
			return r.written(ctx, recs, recorded), nil
		case storeDown(err) || ctx.Err() != nil:
			r.s.hold.Trip(call, storeUnavailable, err.Error(), queue.Backoff{}, 0)
			outages++
			sleep(ctx, recordBackoff.Delay(outages))
		case errors.Is(err, store.ErrBusy):
			return r.written(ctx, recs, slices.Repeat([]store.Recorded{{Busy: true}}, len(recs))), nil
		default:
			if refusals++; len(recs) > 1 || refusals == recordTries {
				return nil, err
			}
		}
	}
	return nil, errUnrecorded
}

func (r *recorder) call(ctx context.Context, recs []*record) ([]store.Recorded, error) {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	results := make([]store.SendResult, len(recs))
	for i, rec := range recs {
		results[i] = rec.result
	}
	recorded, err := r.s.opts.Store.RecordSends(ctx, r.s.opts.Now(), results)
	if err == nil && len(recorded) != len(recs) {
		err = fmt.Errorf("%d answers for %d results", len(recorded), len(recs))
	}
	if err != nil {
		return nil, fmt.Errorf("record sends: %w", err)
	}
	return recorded, nil
}

// written wakes the lanes again that have more to send, and answers who is recorded.
func (r *recorder) written(ctx context.Context, recs []*record, recorded []store.Recorded) []batch.Result[error] {
	results := make([]batch.Result[error], len(recs))
	var jobs []queue.Job
	var woken []int
	for i, rec := range recs {
		switch {
		case recorded[i].Busy:
			if rec.busy++; rec.busy == warnBusyAfter {
				r.s.opts.Log.Warn("result of a post waits: somebody else holds its contact", "id", rec.result.MessageID)
			}
			results[i].RetryAfter = busyBackoff.Delay(rec.busy)
		case rec.over && recorded[i].More:
			jobs, woken = append(jobs, job.WakeSends(r.s.opts.Line, rec.result.Conversation)), append(woken, i)
		}
	}
	if len(jobs) == 0 {
		return results
	}
	if _, err := r.s.opts.Queue.Enqueue(ctx, jobs); err != nil {
		r.s.opts.Log.Warn("next rows wait", "size", len(jobs), "error", err)
		for _, i := range woken {
			results[i].Value = err
		}
	}
	return results
}

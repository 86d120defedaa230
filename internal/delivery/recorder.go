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
	// mostRecords is how many results one transaction writes.
	mostRecords = 256
	// recordEvery is the shortest time between two transactions of few results. A process
	// that dies in it leaves their rows uncertain.
	recordEvery = 40 * time.Millisecond
	// recordTries is how often a result is tried that the store refuses by itself: at once,
	// as others wait behind it.
	recordTries = 3
	// warnBusyAfter is how often a result finds its contact locked before a warning.
	warnBusyAfter = 5
	// recordTimeout is how long a call of the store may take.
	recordTimeout = 10 * time.Second
)

// recordBackoff is the back-off for results while the store is away.
var recordBackoff = queue.Backoff{Base: 100 * time.Millisecond, Cap: 5 * time.Second}

var errUnrecorded = errors.New("result is not recorded yet")

// recorder writes results in batches. It keeps a result until the store takes it, longer
// than the lease if need be: an accepted provider id is worth recording late.
type recorder struct {
	s         *Sends
	batch     *batch.Batcher[*record, error] // the value says why the lane could not be woken
	abandoned sync.WaitGroup                 // results without a caller any more
}

// record is one result to write.
type record struct {
	result store.SendResult
	over   bool // the row is over, or delays no other: if there are more, wake the lane again
	busy   int  // how often its contact was locked
}

func newRecorder(s *Sends) *recorder {
	r := &recorder{s: s}
	r.batch = batch.New(batch.Options[*record, error]{
		Call: r.write, Split: func(err error) bool { return !errors.Is(err, errUnrecorded) },
		Max: mostRecords, Every: recordEvery, Full: cap(s.slots),
	})
	return r
}

// record returns once the result and the wake-up for the next row of its conversation are
// durable; or with an error when the lease is about to end.
func (r *recorder) record(ctx context.Context, rec *record) error {
	p := r.batch.Submit(rec)
	if !answered(ctx, p.Done()) {
		r.abandoned.Go(func() { _ = r.finish(rec, p) })
		return errUnrecorded
	}
	return r.finish(rec, p)
}

// finish lets the conversation of a result be claimed again. A row whose result could not
// be recorded stays as it is: the next claim marks it uncertain.
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

// close writes the remaining results, until ctx ends.
func (r *recorder) close(ctx context.Context) {
	r.batch.Close(ctx)
	r.abandoned.Wait()
}

// write records a batch. It waits while the store is away, and tries a result a few times
// that the store refuses alone. Results with a busy contact come again later.
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

// written wakes the lanes that have more to send, and answers the recorded results.
func (r *recorder) written(ctx context.Context, recs []*record, recorded []store.Recorded) []batch.Result[error] {
	results := make([]batch.Result[error], len(recs))
	var jobs []queue.Job
	var woken []int
	for i, rec := range recs {
		switch {
		case recorded[i].Busy:
			if rec.busy++; rec.busy == warnBusyAfter {
				r.s.opts.Log.Warn("result of a post waits: another process has locked its contact", "id", rec.result.MessageID)
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
		r.s.opts.Log.Warn("next rows cannot be woken", "size", len(jobs), "error", err)
		for _, i := range woken {
			results[i].Value = err
		}
	}
	return results
}

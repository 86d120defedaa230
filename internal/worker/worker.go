// Package worker turns arrivals into decisions: one store transaction per batch of the inbound
// or status queue, then the wake-ups for sends, then the verdicts. It must never send, nor
// decide anything itself, nor let an outage of ours cost a message an attempt.
package worker

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/wamid"
)

// enqueuer is what the worker needs of queue.Queue.
type enqueuer interface {
	Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error)
	Hold(ctx context.Context, queue string, until time.Time, reason string) error
}

// Meter counts turns and decisions. observe.Metrics is one.
type Meter interface {
	Turn(size int, took time.Duration)
	Decision(line, reason string, replies int)
}

// Options configure a Worker. Store and Queue are required.
type Options struct {
	Store store.Turns
	Queue enqueuer
	// BackoffSpeedup divides the holds of an outage; 0 for 1.
	BackoffSpeedup float64
	// Now is the clock; nil: time.Now.
	Now   func() time.Time
	Meter Meter
	Log   *slog.Logger
}

// Worker has the handlers of the inbound and the status queue.
type Worker struct {
	opts Options
}

// New returns a Worker. It panics if a required option is missing.
func New(o Options) *Worker {
	if o.Store == nil || o.Queue == nil {
		panic("worker: needs a store and a queue")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Meter == nil {
		o.Meter = noMeter{}
	}
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler)).With("part", "worker")
	return &Worker{opts: o}
}

// Inbound returns the handler of the inbound queue. It is a queue.Burier: a message that is
// given up is stored as invalid before its job becomes a dead letter.
func (w *Worker) Inbound() queue.Handler {
	h := &batchHandler{Worker: w, hold: w.holder(job.Inbound)}
	return &inboundHandler{h}
}

// Status returns the handler of the status queue.
func (w *Worker) Status() queue.Handler {
	h := &batchHandler{Worker: w, hold: w.holder(job.Status)}
	return &statusHandler{h}
}

func (w *Worker) holder(name string) *queue.Holder {
	return &queue.Holder{Queue: w.opts.Queue, Name: name, BackoffSpeedup: w.opts.BackoffSpeedup, Log: w.opts.Log}
}

// member is one claim of a batch with its arrival.
type member struct {
	arrival inbound.Arrival
	settle  func(queue.Outcome)
}

// decode reads the bodies and sorts them by arrival, as several lanes may lead to one contact.
func (h *batchHandler) decode(batch []queue.Claim, settle func(int, queue.Outcome)) []member {
	members := make([]member, len(batch))
	for i, c := range batch {
		a := readArrival(c)
		if a.Detail != "" {
			h.opts.Log.Warn("unreadable arrival, stored as it came", "id", wamid.Mask(a.ID), "line", a.Line, "why", a.Detail)
		}
		members[i] = member{arrival: a, settle: func(o queue.Outcome) { settle(i, o) }}
	}
	slices.SortStableFunc(members, func(a, b member) int {
		return a.arrival.ReceivedAt.Compare(b.arrival.ReceivedAt)
	})
	return members
}

// readArrival reads one body. A redriven one is late. One that cannot be read, perhaps an older
// version's, becomes a record of its line: as a dead letter it would fail again with each
// redrive.
func readArrival(c queue.Claim) inbound.Arrival {
	a, err := inbound.Decode(c.Body)
	if err != nil {
		a = inbound.Unreadable(c.Body, err)
		a.ReceivedAt, a.Line = c.EnqueuedAt, job.Line(c.Job)
	}
	a.Late = a.Late || c.Redriven
	return a
}

func arrivalsOf(members []member) []inbound.Arrival {
	all := make([]inbound.Arrival, len(members))
	for i, m := range members {
		all[i] = m.arrival
	}
	return all
}

// reason returns the reason of a result for logs and metrics.
func reason(r store.Result) router.Reason {
	if r.Duplicate {
		return router.Duplicate
	}
	return r.Reason
}

type noMeter struct{}

func (noMeter) Turn(int, time.Duration)      {}
func (noMeter) Decision(string, string, int) {}

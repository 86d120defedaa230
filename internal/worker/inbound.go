package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/phone"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/sanitize"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/wamid"
)

// busyDelay is how long a lane waits if another process has locked its contact.
const busyDelay = 50 * time.Millisecond

type inboundHandler struct{ *batchHandler }

// Handle implements queue.Handler.
func (h *inboundHandler) Handle(ctx context.Context, batch []queue.Claim, settle func(int, queue.Outcome)) {
	h.run(ctx, h.decode(batch, settle), h.turn)
}

// turn decides a batch. The decisions are durable before the wake-ups, and these before the
// verdicts. If the process dies in between, the jobs come again, and the store reports them as
// duplicates and asks for the wake-ups again.
func (h *inboundHandler) turn(ctx context.Context, members []member) error {
	began := time.Now()
	results, err := h.opts.Store.Turn(ctx, h.opts.Now(), arrivalsOf(members))
	if err != nil {
		return fmt.Errorf("turn: %w", err)
	}
	if len(results) != len(members) {
		return fmt.Errorf("turn: %d results for %d arrivals", len(results), len(members))
	}
	took := time.Since(began)
	h.opts.Meter.Turn(len(members), took)

	next, err := h.followUpJobs(results)
	if err == nil && len(next) > 0 {
		_, err = h.opts.Queue.Enqueue(ctx, next)
	}
	if err != nil {
		h.opts.Log.Warn("cannot enqueue wake-ups; their messages will be retried", "size", len(next), "error", err)
	}
	for i, r := range results {
		switch {
		case r.Busy:
			members[i].settle(queue.Outcome{Verdict: queue.Postpone, Delay: busyDelay})
			continue
		case err != nil && (r.Wake != nil || r.Media != nil):
			members[i].settle(queue.Outcome{Verdict: queue.Postpone, Delay: outageDelay, Err: err.Error()})
		default:
			members[i].settle(queue.Outcome{Verdict: queue.Done})
		}
		h.logResult(members[i].arrival, r, took)
	}
	return nil
}

// followUpJobs returns the wake-ups and media jobs of the results, each once.
func (h *inboundHandler) followUpJobs(results []store.Result) ([]queue.Job, error) {
	var next []queue.Job
	woken := map[store.Wake]bool{}
	for _, r := range results {
		if r.Busy {
			continue
		}
		if r.Wake != nil && !woken[*r.Wake] {
			woken[*r.Wake] = true
			next = append(next, job.WakeSends(r.Wake.Line, r.Wake.Conversation))
		}
		if r.Media != nil {
			file, err := job.File(r.Media.MessageID, r.Media)
			if err != nil {
				return nil, err
			}
			next = append(next, file)
		}
	}
	return next, nil
}

// logResult logs the one line of a message.
func (h *inboundHandler) logResult(a inbound.Arrival, r store.Result, took time.Duration) {
	why := reason(r)
	h.opts.Meter.Decision(a.Line, string(why), r.Replies)
	id := r.MessageID
	if id == "" {
		id = sanitize.Value(wamid.Mask(a.ID))
	}
	h.opts.Log.Info("message", "id", id, "line", a.Line, "kind", a.Kind, "reason", why,
		"conversation", r.Conversation, "state", r.State, "replies", r.Replies,
		"ms", took.Milliseconds(), "age_ms", h.opts.Now().Sub(a.ReceivedAt).Milliseconds(),
		"phone", phone.Masked(a.Person.Ref()))
}

// Bury implements queue.Burier: it stores the message as invalid. If that fails it tries again
// without the content, which the dead letter still has.
func (h *inboundHandler) Bury(ctx context.Context, c queue.Claim, why string) error {
	a := readArrival(c)
	err := h.reject(ctx, a, why)
	if err != nil && !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrBusy) && ctx.Err() == nil {
		h.opts.Log.Error("cannot store the message with its content", "id", sanitize.Value(wamid.Mask(a.ID)), "error", err)
		a.Content, a.Report, a.Change, a.Choice, a.Raw = nil, nil, nil, nil, nil
		err = h.reject(ctx, a, why)
	}
	switch {
	case err == nil:
	case errors.Is(err, store.ErrUnavailable):
		h.hold.Trip(ctx, storeUnavailable, err.Error(), queue.Backoff{}, 0)
		return err
	case errors.Is(err, store.ErrBusy), ctx.Err() != nil:
		return err
	default:
		h.opts.Log.Error("cannot store the message; only its dead letter has it", "id", sanitize.Value(wamid.Mask(a.ID)), "error", err)
	}
	return nil
}

func (h *inboundHandler) reject(ctx context.Context, a inbound.Arrival, why string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reject: panic: %v", p)
		}
	}()
	if err := h.opts.Store.Reject(ctx, h.opts.Now(), a, why); err != nil {
		return fmt.Errorf("reject: %w", err)
	}
	h.opts.Log.Warn("message given up", "id", sanitize.Value(wamid.Mask(a.ID)), "line", a.Line, "kind", a.Kind, "why", sanitize.Value(why),
		"phone", phone.Masked(a.Person.Ref()))
	return nil
}

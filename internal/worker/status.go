package worker

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/phone"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/sanitize"
	"github.com/psivisionhub/psi-router/internal/wamid"
)

type statusHandler struct{ *batchHandler }

// Handle implements queue.Handler.
func (h *statusHandler) Handle(ctx context.Context, batch []queue.Claim, settle func(int, queue.Outcome)) {
	h.run(ctx, h.decode(batch, settle), h.apply)
}

func (h *statusHandler) apply(ctx context.Context, members []member) error {
	var reports, unread []inbound.Arrival
	for _, a := range arrivalsOf(members) {
		if a.Kind == inbound.Unknown {
			unread = append(unread, a)
		} else {
			reports = append(reports, a)
		}
	}
	if len(unread) > 0 { // a turn stores them as records, and does nothing else
		if _, err := h.opts.Store.Turn(ctx, h.opts.Now(), unread); err != nil {
			return fmt.Errorf("store unreadable statuses: %w", err)
		}
	}
	if len(reports) > 0 {
		if err := h.opts.Store.Statuses(ctx, h.opts.Now(), reports); err != nil {
			return fmt.Errorf("apply statuses: %w", err)
		}
	}
	for _, m := range members {
		m.settle(queue.Outcome{Verdict: queue.Done})
		r := m.arrival.Report
		if r == nil {
			continue
		}
		level := slog.LevelDebug
		if r.Code != 0 {
			level = slog.LevelWarn
		}
		h.opts.Log.Log(ctx, level, "status", "id", sanitize.Value(wamid.Mask(m.arrival.ID)), "message", sanitize.Value(r.Ref), "line", m.arrival.Line, "status", sanitize.Value(r.Status),
			"code", r.Code, "detail", sanitize.Value(r.Detail), "phone", phone.Masked(m.arrival.Person.Ref()))
	}
	return nil
}

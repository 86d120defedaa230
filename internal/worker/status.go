package worker

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/psivisionhub/psi-router/internal/phone"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/sanitize"
)

type statusHandler struct{ *arrivals }

// Handle implements queue.Handler.
func (h *statusHandler) Handle(ctx context.Context, batch []queue.Claim, settle func(int, queue.Outcome)) {
	h.run(ctx, decode(batch, settle), h.apply)
}

func (h *statusHandler) apply(ctx context.Context, members []member) error {
	if err := h.Store.Statuses(ctx, h.Now(), bodies(members)); err != nil {
		return fmt.Errorf("apply statuses: %w", err)
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
		h.Log.Log(ctx, level, "status", "id", sanitize.Value(phone.MaskID(m.arrival.ID)), "message", sanitize.Value(r.Ref), "line", m.arrival.Line, "status", sanitize.Value(r.Status),
			"code", r.Code, "detail", sanitize.Value(r.Detail), "phone", phone.Masked(m.arrival.Person.Ref()))
	}
	return nil
}

package delivery

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/phone"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
)

// one posts a claimed row, records what became of it, and says what its lane
// does next.
func (s *Sends) one(ctx context.Context, c queue.Claim, row store.SendClaim) queue.Outcome {
	v := verdict{status: store.Queued, lane: queue.Outcome{Verdict: queue.Postpone}, name: "late"}
	began := time.Now()
	if end, ok := ctx.Deadline(); !ok || time.Until(end) > s.PostTimeout+markTimeout {
		s.mark(ctx, row)
		began = time.Now()
		id, err := s.post(ctx, row.Post.Post)
		v = s.judge(ctx, c, began, id, err)
	}
	took := time.Since(began)
	s.Meter.Sent(s.Line, v.name, took)
	s.Log.Info("send", "id", row.Post.ID, "conversation", row.Post.Conversation, "verdict", v.name,
		"code", v.code, "detail", v.detail, "attempt", c.Attempt, "ms", took.Milliseconds(),
		"phone", phone.Masked(cmp.Or(row.Post.To.Phone, row.Post.To.UserID, row.Post.To.ExternalID)))
	err := s.recorder.record(ctx, v.lane.Verdict == 0, store.SendResult{
		MessageID: row.Post.ID, Conversation: row.Post.Conversation, Token: row.Token,
		Status: v.status, ProviderID: v.id, Reason: v.reason, Code: v.code, Detail: v.detail,
	})
	switch {
	case err != nil:
		// Not recorded in time, or the next wake-up could not be written. The
		// lane comes again: a row that is still sending is then marked
		// uncertain, never posted.
		return queue.Outcome{Verdict: queue.Postpone, Delay: pause, Err: err.Error()}
	case v.lane.Verdict != 0:
		return v.lane
	default:
		return queue.Outcome{Verdict: queue.Done}
	}
}

// mark shows what this row answers as read, with typing. It is a courtesy: its
// failure changes nothing.
func (s *Sends) mark(ctx context.Context, row store.SendClaim) {
	if s.Marker == nil || row.ReadID == "" || row.Attempt > 1 {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			s.Log.Error("marking as read panicked", "panic", fmt.Sprint(p))
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, markTimeout)
	defer cancel()
	if err := s.Marker.MarkRead(ctx, row.ReadID); err != nil {
		s.Log.Debug("not marked as read", "id", row.Post.ID, "error", err)
	}
}

// post calls the sender. A drain does not cut it short: what it did would be
// unknown. A sender that panics may have sent.
func (s *Sends) post(ctx context.Context, p outbound.Post) (id string, err error) {
	defer func() {
		if r := recover(); r != nil {
			s.Log.Error("sender panicked", "id", p.ID, "panic", fmt.Sprint(r))
			err = &outbound.Failure{Class: outbound.Uncertain, Detail: "the sender panicked"}
		}
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.PostTimeout)
	defer cancel()
	return s.Sender.Send(ctx, p)
}

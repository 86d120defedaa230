package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/phone"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
)

// sendRow posts the claimed row, records the result, and returns what its lane does next.
func (s *Sends) sendRow(ctx context.Context, c queue.Claim, claimed *claimedRow) queue.Outcome {
	early, cancel := s.claimDeadline(ctx)
	defer cancel()
	row, err := claimed.Wait(early)
	if err != nil {
		return s.claimFailed(early, c, err)
	}
	s.health.contactFree(c.Lane)
	if row == nil {
		s.health.forget(c.Lane)
		s.refusals.forget(c.Lane)
		return queue.Outcome{Verdict: queue.Done}
	}
	r, began := s.postRow(ctx, c, row)
	if row.Post.Notice {
		r = r.forNotice()
	}
	took := time.Since(began)
	s.opts.Meter.Sent(s.opts.Line, r.name, took)
	s.opts.Log.Info("send", "id", row.Post.ID, "conversation", row.Post.Conversation, "verdict", r.name,
		"code", r.code, "detail", r.detail, "attempt", c.Attempt, "ms", took.Milliseconds(),
		"phone", phone.Masked(cmp.Or(row.Post.To.Phone, row.Post.To.UserID, row.Post.To.ExternalID)))
	over := r.lane.Verdict == 0
	if over {
		s.refusals.forget(c.Lane)
	}
	// A notice that waits lets its lane go, to the rows behind it.
	err = s.recorder.record(ctx, &record{over: over || row.Post.Notice && r.rowOnly, result: store.SendResult{
		MessageID: row.Post.ID, Conversation: row.Post.Conversation, Token: row.Token,
		Status: r.status, ProviderID: r.id, Reason: r.reason, Code: r.code, Detail: r.detail, NotAttempted: r.unbegun,
		To: row.Post.To, WaID: r.waID,
	}})
	switch {
	case err != nil:
		// The result was not recorded in time, or the next wake-up could not be written.
		// The lane comes again: a row that is still sending is then marked uncertain, never
		// posted.
		return queue.Outcome{Verdict: queue.Postpone, Delay: outageDelay, Err: err.Error()}
	case !over:
		return r.lane
	default:
		return queue.Outcome{Verdict: queue.Done}
	}
}

// claimDeadline ends when it is too late to claim a row: the lease would not last.
func (s *Sends) claimDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if end, ok := ctx.Deadline(); ok {
		return context.WithDeadline(ctx, end.Add(-s.claimTime()))
	}
	return context.WithCancel(ctx)
}

// postRow posts a row unless it is too late.
func (s *Sends) postRow(ctx context.Context, c queue.Claim, row *store.SendClaim) (r postResult, began time.Time) {
	began = time.Now()
	if row.Post.Notice {
		c.Attempt = row.Attempt // its lane was released after each attempt
	}
	if !s.acquirePostSlot(ctx) {
		return s.notBegun("no slot was free in time"), began
	}
	sat := time.Now()
	defer func() { s.releaseSlot(time.Since(sat)) }()
	ctx = httpcall.WithGate(ctx, s.gate(ctx, s.opts.PostTimeout))
	s.markRead(ctx, row)
	began = time.Now()
	call := stallLease(s.opts.PostTimeout)
	accepted, err := s.post(ctx, row.Post.Post)
	r = s.classify(ctx, c, row.Post.ID, call, began, accepted.ID, err)
	r.waID = changedPhone(row.Post.To, accepted.WaID)
	return r, began
}

// changedPhone returns the phone by which WhatsApp knows a recipient, if it differs from
// the one that we wrote to.
func changedPhone(to outbound.Address, waID string) string {
	if waID == "" || waID == to.Phone || phone.Key(waID, "") == phone.Key(to.Phone, "") {
		return ""
	}
	return waID
}

// acquirePostSlot waits for a slot to post from. The claimer limits its claims so that one
// gets free soon. If none does, the row goes back: the next claim sees what its
// conversation is by then.
func (s *Sends) acquirePostSlot(ctx context.Context) bool {
	err := s.acquireSlot(ctx, slotTimeout)
	if errors.Is(err, errNoSlot) {
		s.claimer.slotTimedOut()
	} else {
		s.claimer.slotTaken()
	}
	return err == nil
}

// releaseSlot gives the slot back that a post held for so long.
func (s *Sends) releaseSlot(kept time.Duration) {
	<-s.slots
	s.claimer.slotFreed(kept)
}

// markRead marks the message that this row answers as read, with typing. A failure changes
// nothing.
func (s *Sends) markRead(ctx context.Context, row *store.SendClaim) {
	if s.opts.Marker == nil || row.MarkReadID == "" || row.Attempt > 1 {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			s.opts.Log.Error("marking as read panicked", "panic", fmt.Sprint(p))
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, markTimeout)
	defer cancel()
	if err := s.opts.Marker.MarkRead(ctx, row.MarkReadID); err != nil {
		s.opts.Log.Debug("not marked as read", "id", row.Post.ID, "error", err)
	}
}

// post calls the sender. A drain does not cut it short: the outcome would be unknown. A
// sender that panics may have sent.
func (s *Sends) post(ctx context.Context, p outbound.Post) (accepted outbound.Accepted, err error) {
	defer func() {
		if r := recover(); r != nil {
			s.opts.Log.Error("sender panicked", "id", p.ID, "panic", fmt.Sprint(r))
			err = &outbound.Failure{Class: outbound.Uncertain, Detail: "the sender panicked"}
		}
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opts.PostTimeout)
	defer cancel()
	return s.opts.Sender.Send(ctx, p)
}

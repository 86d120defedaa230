package delivery

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/phone"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
)

// one posts the row that was asked for, records what became of it, and says what
// its lane does next.
func (s *Sends) one(ctx context.Context, c queue.Claim, a *ask) queue.Outcome {
	early, cancel := s.early(ctx)
	defer cancel()
	row, err := s.claimer.wait(early, a)
	if err != nil {
		return s.unclaimed(early, c, err)
	}
	s.trouble.free(c.Lane)
	if row == nil {
		s.trouble.forget(c.Lane)
		s.suspects.drop(c.Lane)
		return queue.Outcome{Verdict: queue.Done}
	}
	v, began := s.try(ctx, c, row)
	if row.Post.Notice {
		v = v.notice()
	}
	took := time.Since(began)
	s.Meter.Sent(s.Line, v.name, took)
	s.Log.Info("send", "id", row.Post.ID, "conversation", row.Post.Conversation, "verdict", v.name,
		"code", v.code, "detail", v.detail, "attempt", c.Attempt, "ms", took.Milliseconds(),
		"phone", phone.Masked(cmp.Or(row.Post.To.Phone, row.Post.To.UserID, row.Post.To.ExternalID)))
	over := v.lane.Verdict == 0
	if over {
		s.suspects.drop(c.Lane)
	}
	// A notice that waits alone lets its lane go, to who comes behind it.
	err = s.recorder.record(ctx, over || row.Post.Notice && v.alone, store.SendResult{
		MessageID: row.Post.ID, Conversation: row.Post.Conversation, Token: row.Token,
		Status: v.status, ProviderID: v.id, Reason: v.reason, Code: v.code, Detail: v.detail, NotAttempted: v.unbegun,
		To: row.Post.To, WaID: v.waID,
	})
	switch {
	case err != nil:
		// Not recorded in time, or the next wake-up could not be written. The
		// lane comes again: a row that is still sending is then marked
		// uncertain, never posted.
		return queue.Outcome{Verdict: queue.Postpone, Delay: pause, Err: err.Error()}
	case !over:
		return v.lane
	default:
		return queue.Outcome{Verdict: queue.Done}
	}
}

// early ends when it is too late to claim a row: the lease would not last.
func (s *Sends) early(ctx context.Context) (context.Context, context.CancelFunc) {
	if end, ok := ctx.Deadline(); ok {
		return context.WithDeadline(ctx, end.Add(-s.claimed()))
	}
	return context.WithCancel(ctx)
}

// try posts a row, or says that it is too late for that.
func (s *Sends) try(ctx context.Context, c queue.Claim, row *store.SendClaim) (v verdict, began time.Time) {
	began = time.Now()
	if row.Post.Notice {
		c.Attempt = row.Attempt // its lane was let go after each
	}
	if !s.sit(ctx) {
		return s.notBegun("no seat was free in time"), began
	}
	sat := time.Now()
	defer func() { s.rise(ctx, time.Since(sat)) }()
	ctx = httpcall.WithGate(ctx, s.gate(ctx, s.PostTimeout))
	s.mark(ctx, row)
	began = time.Now()
	call := watch(s.PostTimeout)
	accepted, err := s.post(ctx, row.Post.Post)
	v = s.judge(ctx, c, row.Post.ID, call, began, accepted.ID, err)
	v.waID = news(row.Post.To, accepted.WaID)
	return v, began
}

// news returns the phone by which WhatsApp knows a recipient where it is another one
// than that which was written to, as it seldom is.
func news(to outbound.Address, waID string) string {
	if waID == "" || waID == to.Phone || phone.Key(waID, "") == phone.Key(to.Phone, "") {
		return ""
	}
	return waID
}

// sit waits for a seat to post from. The claimer takes only so many rows that one gets
// free soon; when it does not, the row goes back, and what its conversation has become
// by then is seen by the next claim.
func (s *Sends) sit(ctx context.Context) bool {
	timer := time.NewTimer(longestSeat)
	defer timer.Stop()
	select {
	case s.seats <- struct{}{}:
	case <-timer.C:
		s.claimer.slower(ctx)
		return false
	case <-ctx.Done():
		s.claimer.seated(ctx)
		return false
	}
	if ctx.Err() != nil || s.hold.Held() {
		<-s.seats
		s.claimer.seated(ctx)
		return false
	}
	s.claimer.seated(ctx)
	return true
}

// rise gives the seat back, which was kept for so long.
func (s *Sends) rise(ctx context.Context, kept time.Duration) {
	<-s.seats
	s.claimer.free(ctx, kept)
}

// mark shows what this row answers as read, with typing. It is a courtesy: its
// failure changes nothing.
func (s *Sends) mark(ctx context.Context, row *store.SendClaim) {
	if s.Marker == nil || row.MarkReadID == "" || row.Attempt > 1 {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			s.Log.Error("marking as read panicked", "panic", fmt.Sprint(p))
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, markTimeout)
	defer cancel()
	if err := s.Marker.MarkRead(ctx, row.MarkReadID); err != nil {
		s.Log.Debug("not marked as read", "id", row.Post.ID, "error", err)
	}
}

// post calls the sender. A drain does not cut it short: what it did would be
// unknown. A sender that panics may have sent.
func (s *Sends) post(ctx context.Context, p outbound.Post) (accepted outbound.Accepted, err error) {
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

package queue_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/queuetest"
)

func TestHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := queuetest.NewModel(time.Now)
		h := &queue.Holder{Queue: m, Name: "q"}
		b := queue.Backoff{Base: time.Second, Cap: 8 * time.Second, Rand: func() float64 { return 1 }}
		if h.Tripped() || h.Held() {
			t.Error("tripped before anything happened")
		}
		var got []time.Duration
		for range 6 {
			began := time.Now()
			got = append(got, h.Trip(t.Context(), "down", "why", b, 0))
			time.Sleep(500 * time.Millisecond)
			// A failure of a job under way counts once, and its success does not end the
			// hold.
			if left := h.Trip(t.Context(), "down", "why", b, 0); left != got[len(got)-1]-500*time.Millisecond {
				t.Errorf("a second failure of the same moment holds for %v", left)
			}
			h.Clear(began)
			if s := stats(t, m); !h.Held() || s.HeldReason != "down: why" || !s.HeldUntil.Equal(began.Add(got[len(got)-1])) {
				t.Errorf("not held: %+v", s)
			}
			time.Sleep(got[len(got)-1] - 500*time.Millisecond)
		}
		s := time.Second
		if diff := cmp.Diff(got, []time.Duration{s, 2 * s, 4 * s, 8 * s, 8 * s, 8 * s}); diff != "" {
			t.Error(diff)
		}
		if h.Held() || !h.Tripped() {
			t.Error("the next job must be a probe")
		}
		h.Clear(time.Now())
		if h.Tripped() {
			t.Error("the probe's success did not end it")
		}
		// A provider's hint lengthens the hold, up to maxHold.
		if d := h.Trip(t.Context(), "slow", "why", b, time.Minute); d != time.Minute {
			t.Errorf("held for %v, want a minute", d)
		}
		if d := h.Trip(t.Context(), "slower", "why", b, 1000*time.Hour); d != time.Hour {
			t.Errorf("held for %v, want an hour", d)
		}
	})
}

// TestHolderWithoutQueue: a hold that could not be written is not another failure.
func TestHolderWithoutQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := queuetest.NewModel(time.Now)
		m.Break(errors.New("down"))
		h := &queue.Holder{Queue: m, Name: "q"}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if d := h.Trip(ctx, "down", "why", queue.Backoff{}, 0); d < 500*time.Millisecond || d > time.Second {
			t.Errorf("held for %v", d)
		}
	})
}

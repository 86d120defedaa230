package queue

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Holder stops a queue while something that all its jobs need is down, and lets
// it probe: each failure in a row holds it longer. An outage so costs no job an
// attempt. It is safe for concurrent use.
type Holder struct {
	// Queue is asked to hold.
	Queue interface {
		Hold(ctx context.Context, queue string, until time.Time, reason string) error
	}
	Name string
	// BackoffSpeedup is how many times faster back-offs pass; see Backoff.Faster.
	BackoffSpeedup float64
	Log            *slog.Logger

	mu       sync.Mutex
	failures int
	until    time.Time
	reason   string
}

// Trip holds the queue because of what is wrong, for as long as the back-off (zero: 1 s
// to 30 s) says after so many failures but at least for the given time, and
// returns for how long. Failures of jobs that were under way together count
// once. People are told once of what is wrong; detail may differ each time. Who works
// under a lease that is over holds nothing: what fails after this process stood still
// says nothing about the others, who have the work by now.
func (h *Holder) Trip(ctx context.Context, reason, detail string, b Backoff, minimum time.Duration) time.Duration {
	if b.Base <= 0 {
		b.Base, b.Cap = time.Second, 30*time.Second
	}
	if leaseLost(ctx) {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	minimum = min(minimum, maxHold)
	if left := h.until.Sub(now); left > 0 && left >= minimum {
		return left
	}
	if h.reason != reason {
		h.log().Error("queue is held", "queue", h.Name, "reason", reason, "detail", detail)
		h.failures = 0
	}
	h.failures++
	wait := max(b.Faster(h.BackoffSpeedup).Delay(h.failures), minimum)
	h.until, h.reason = now.Add(wait), reason
	// The drain must not keep a hold from being written: its successor needs it.
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := h.Queue.Hold(call, h.Name, h.until, reason+": "+detail); err != nil {
		h.log().Warn("queue could not be held", "queue", h.Name, "error", err)
	}
	return wait
}

// Clear says that a job which began at the given time succeeded. It ends the
// trouble only when the hold was over by then.
func (h *Holder) Clear(began time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failures == 0 || began.Add(clockSlack).Before(h.until) {
		return
	}
	h.log().Info("queue goes on", "queue", h.Name, "probes", h.failures, "after", h.reason)
	h.failures, h.until, h.reason = 0, time.Time{}, ""
}

// Tripped reports whether the trouble goes on: the next job is a probe.
func (h *Holder) Tripped() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failures > 0
}

// Held reports whether the queue is held at this moment.
func (h *Holder) Held() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Add(clockSlack).Before(h.until)
}

const (
	// maxHold bounds what a provider may ask for.
	maxHold = time.Hour
	// clockSlack is how much earlier an engine's clock may end a hold.
	clockSlack = 100 * time.Millisecond
)

func (h *Holder) log() *slog.Logger {
	if h.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return h.Log
}

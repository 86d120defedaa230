package queue

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"
)

// Holder holds a queue while a service that all its jobs need is down, and lets single jobs
// probe it; each further failure in a row prolongs the hold. So an outage costs no job an
// attempt. It is safe for concurrent use.
type Holder struct {
	// Queue is the queue to hold.
	Queue interface {
		Hold(ctx context.Context, queue string, until time.Time, reason string) error
	}
	Name string
	// BackoffSpeedup makes back-offs so many times shorter; see Backoff.Faster.
	BackoffSpeedup float64
	Log            *slog.Logger

	mu       sync.Mutex
	failures int
	until    time.Time
	reason   string
}

// Trip holds the queue for its back-off (zero: 1 s to 30 s) after so many failures, but at
// least for minimum, and returns how long. Failures of jobs that were under way together
// count once. A reason is logged once; detail may differ each time. Work whose lease is
// over holds nothing: its failure came after this process stood still, and says nothing
// about the workers that have the job by now.
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
	// The end of a drain must not keep the hold from being written: the next process needs
	// it.
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := h.Queue.Hold(call, h.Name, h.until, reason+": "+detail); err != nil {
		h.log().Warn("queue could not be held", "queue", h.Name, "error", err)
	}
	return wait
}

// Clear reports that a job that began at the given time succeeded. It ends the outage only
// if the hold was over by then.
func (h *Holder) Clear(began time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failures == 0 || began.Add(clockSlack).Before(h.until) {
		return
	}
	h.log().Info("queue goes on", "queue", h.Name, "probes", h.failures, "after", h.reason)
	h.failures, h.until, h.reason = 0, time.Time{}, ""
}

// Tripped reports whether the outage goes on: the next job is a probe.
func (h *Holder) Tripped() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failures > 0
}

// Held reports whether the queue is held now.
func (h *Holder) Held() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Add(clockSlack).Before(h.until)
}

const (
	// maxHold bounds the hold that a provider may ask for.
	maxHold = time.Hour
	// clockSlack is how much earlier an engine's clock may end a hold.
	clockSlack = 100 * time.Millisecond
)

func (h *Holder) log() *slog.Logger { return cmp.Or(h.Log, slog.New(slog.DiscardHandler)) }

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
	// Hurry is how many times faster back-offs pass; see Backoff.Faster.
	Hurry float64
	Log   *slog.Logger

	mu    sync.Mutex
	n     int
	until time.Time
	what  string
}

// Trip holds the queue because of what is wrong, for as long as the back-off (zero: 1 s
// to 30 s) says after so many failures but at least for the given time, and
// returns for how long. Failures of jobs that were under way together count
// once. People are told once of what is wrong; detail may differ each time. Who works
// under a lease that is over holds nothing: what fails after this process stood still
// says nothing about the others, who have the work by now.
func (h *Holder) Trip(ctx context.Context, what, detail string, b Backoff, least time.Duration) time.Duration {
	if b.Base <= 0 {
		b.Base, b.Cap = time.Second, 30*time.Second
	}
	if lost(ctx) {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	least = min(least, longestHold)
	if left := h.until.Sub(now); left > 0 && left >= least {
		return left
	}
	if h.what != what {
		h.log().Error("queue is held", "queue", h.Name, "reason", what, "detail", detail)
		h.n = 0
	}
	h.n++
	wait := max(b.Faster(h.Hurry).Delay(h.n), least)
	h.until, h.what = now.Add(wait), what
	// The drain must not keep a hold from being written: its successor needs it.
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := h.Queue.Hold(call, h.Name, h.until, what+": "+detail); err != nil {
		h.log().Warn("queue could not be held", "queue", h.Name, "error", err)
	}
	return wait
}

// Clear says that a job which began at the given time succeeded. It ends the
// trouble only when the hold was over by then.
func (h *Holder) Clear(began time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.n == 0 || began.Add(slack).Before(h.until) {
		return
	}
	h.log().Info("queue goes on", "queue", h.Name, "probes", h.n, "after", h.what)
	h.n, h.until, h.what = 0, time.Time{}, ""
}

// Tripped reports whether the trouble goes on: the next job is a probe.
func (h *Holder) Tripped() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.n > 0
}

// Held reports whether the queue is held at this moment.
func (h *Holder) Held() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Add(slack).Before(h.until)
}

const (
	// longestHold bounds what a provider may ask for.
	longestHold = time.Hour
	// slack is how much earlier an engine's clock may end a hold.
	slack = 100 * time.Millisecond
)

func (h *Holder) log() *slog.Logger {
	if h.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return h.Log
}

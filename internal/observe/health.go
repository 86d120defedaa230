package observe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/psivisionhub/psi-router/internal/redact"
)

// Check checks one dependency of the program.
type Check struct {
	Name string
	Run  func(ctx context.Context) error
	// Timeout is the longest wait for an answer; 0 means 2 s.
	Timeout time.Duration
	// Info marks a check that is shown but does not make the program unready.
	Info bool
}

// Result is the result of a check.
type Result struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Info  bool   `json:"info,omitempty"`
	Error string `json:"error,omitempty"`
	// Took is in milliseconds.
	Took float64 `json:"took_ms"`
}

// LineInfo is one configured line, for the status.
type LineInfo struct {
	ID       string `json:"id"`
	Provider string `json:"provider"`
	Number   string `json:"number,omitempty"`
}

// HealthOptions configure a Health.
type HealthOptions struct {
	Version string
	Checks  []Check
	Sources Sources
	Lines   []LineInfo
	// Redact blanks secrets in the checks' errors; nil knows no secret.
	Redact *redact.Redactor
	Now    func() time.Time // nil means time.Now
}

// Health reports whether the program is alive and ready, and its state.
type Health struct {
	version  string
	checks   []Check
	sources  Sources
	lines    []LineInfo
	redact   *redact.Redactor
	now      func() time.Time
	started  time.Time
	draining atomic.Bool

	mu      sync.Mutex
	results []Result
	at      time.Time
}

// resultTTL is how long results are reused, so that many callers do not load the checked
// services.
const resultTTL = time.Second

// NewHealth returns a Health; the program counts as started now.
func NewHealth(o HealthOptions) *Health {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Health{version: o.Version, checks: o.Checks, sources: o.Sources, lines: o.Lines, redact: o.Redact, now: o.Now, started: o.Now()}
}

// Drain makes the program unready: it finishes its work and takes no more.
func (h *Health) Drain() { h.draining.Store(true) }

// Started returns when the program started.
func (h *Health) Started() time.Time { return h.started }

// Ready reports whether the program can do its work, with all results.
func (h *Health) Ready(ctx context.Context) (bool, []Result) {
	results := h.Results(ctx)
	ready := !h.draining.Load()
	for _, r := range results {
		ready = ready && (r.OK || r.Info)
	}
	return ready, results
}

// Results runs the checks side by side, at most once a second.
func (h *Health) Results(ctx context.Context) []Result {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := h.now(); h.results != nil && now.Sub(h.at) < resultTTL && !now.Before(h.at) {
		return h.results
	}
	results := make([]Result, len(h.checks))
	// Others share the results, so they must not fail because one caller went away.
	ctx = context.WithoutCancel(ctx)
	var wg sync.WaitGroup
	for i, c := range h.checks {
		wg.Go(func() { results[i] = h.run(ctx, c) })
	}
	wg.Wait()
	h.results, h.at = results, h.now()
	return results
}

func (h *Health) run(ctx context.Context, c Check) Result {
	if c.Timeout <= 0 {
		c.Timeout = sourceTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	start := h.now()
	done := make(chan error, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				done <- fmt.Errorf("check panicked: %v", v)
			}
		}()
		done <- c.Run(ctx)
	}()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	r := Result{Name: c.Name, OK: err == nil, Info: c.Info, Took: float64(h.now().Sub(start).Microseconds()) / 1000}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		r.Error = "no answer within " + c.Timeout.String()
	case err != nil:
		r.Error = truncate(h.redact.Text(err.Error()))
	}
	return r
}

func truncate(s string) string {
	const most = 200
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}

package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// pendingEngine is an engine that was not ready at the start. It is retried for ever: a
// server comes back, and an operator fixes what is wrong.
type pendingEngine struct {
	name        string
	unavailable error // the engine's error for a server that is down; nobody has to act
	ready       func(context.Context) error
	logger      *slog.Logger
	done        chan struct{} // closed once the engine is ready

	mu  sync.Mutex
	err error // of the last attempt
}

// await adds an engine that is not ready because of err.
func (e *engines) await(name string, unavailable, err error, ready func(context.Context) error, logger *slog.Logger) {
	logger.Warn(name+" cannot be used yet: its work waits", "error", err)
	e.pending = append(e.pending, &pendingEngine{name: name, unavailable: unavailable, err: err, ready: ready, logger: logger, done: make(chan struct{})})
}

// Run retries until the engine is ready, then blocks until ctx ends. changed is called at
// first and after each attempt with a new result.
func (p *pendingEngine) Run(ctx context.Context, changed func()) error {
	changed()
	b := queue.Backoff{Base: 100 * time.Millisecond, Cap: 2 * time.Second}
	for n := 1; ; n++ {
		err := p.ready(ctx)
		if ctx.Err() == nil && p.record(err) {
			changed()
		}
		if err == nil {
			<-ctx.Done()
			return nil
		}
		select {
		case <-time.After(b.Delay(n)):
		case <-ctx.Done():
			return nil
		}
	}
}

// record stores the result of an attempt. It logs when the engine is ready, and when an
// operator has to act.
func (p *pendingEngine) record(err error) (changed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil:
		p.logger.Info(p.name + " is ready")
		close(p.done)
	case err.Error() == p.err.Error():
		return false
	case !errors.Is(err, p.unavailable):
		p.logger.Error(p.name+" cannot be used", "error", err)
	}
	p.err = err
	return true
}

// reason returns why the engine is not ready; nil once it is.
func (p *pendingEngine) reason() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil || errors.Is(p.err, p.unavailable) {
		return p.err
	}
	return fmt.Errorf("%w: %w", p.unavailable, p.err)
}

// waiting names the engines that are not ready, with the reasons; "" if all are.
func (e *engines) waiting() string {
	var reasons []error
	for _, p := range e.pending {
		reasons = append(reasons, p.reason())
	}
	if err := errors.Join(reasons...); err != nil {
		return "waiting: " + err.Error()
	}
	return ""
}

// addPartOnceUsable adds a part that starts once queue and store are ready.
func (a *App) addPartOnceUsable(e *engines, name string, run func(context.Context) error) {
	a.addPart(name, func(ctx context.Context) error {
		for _, p := range e.pending {
			select {
			case <-p.done:
			case <-ctx.Done():
				return nil
			}
		}
		return run(ctx)
	})
}

// makeReady adds parts that retry the engines that were not ready at the start.
func (a *App) makeReady(e *engines) {
	say := func() { a.logSupervisorError(a.opts.Supervisor.Status(a.redact.Text(e.waiting()))) }
	for _, p := range e.pending {
		a.addPart(p.name+" that was away", func(ctx context.Context) error { return p.Run(ctx, say) })
	}
}

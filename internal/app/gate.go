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

// gate is a queue whose server was away at the start: whatever would use it is
// told that it is unavailable, until what else is done before anybody may use it
// has been done.
type gate struct {
	queue.Engine
	log    *slog.Logger
	steps  []func(context.Context) error // each may be done again
	opened chan struct{}

	mu  sync.Mutex
	why error
}

func newGate(q queue.Engine, why error, log *slog.Logger) *gate {
	return &gate{Engine: q, why: why, log: log, opened: make(chan struct{})}
}

// first adds a step. Not once Run runs.
func (g *gate) first(step func(context.Context) error) { g.steps = append(g.steps, step) }

// Run tries until the gate is open, and lives on until ctx ends. It returns an
// error when the queue may not be used at all.
func (g *gate) Run(ctx context.Context) error {
	b := queue.Backoff{Base: 100 * time.Millisecond, Cap: 2 * time.Second}
	for n := 1; ; n++ {
		err := g.try(ctx)
		switch {
		case err == nil:
			g.log.Info("the queue is there")
			close(g.opened)
			<-ctx.Done()
			return nil
		case errors.Is(err, ErrBackInTime):
			return err
		}
		g.tell(err)
		select {
		case <-time.After(b.Delay(n)):
		case <-ctx.Done():
			return nil
		}
	}
}

func (g *gate) try(ctx context.Context) error {
	for _, step := range g.steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// tell keeps why the gate is shut, and says so when the server is there and
// somebody has to act.
func (g *gate) tell(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if text := err.Error(); !errors.Is(err, queue.ErrUnavailable) && text != g.why.Error() {
		g.log.Error("the queue cannot be used", "error", text)
	}
	g.why = err
}

// wait returns whether the gate was opened before ctx ended.
func (g *gate) wait(ctx context.Context) bool {
	select {
	case <-g.opened:
		return true
	case <-ctx.Done():
		return false
	}
}

func (g *gate) shut() error {
	select {
	case <-g.opened:
		return nil
	default:
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if errors.Is(g.why, queue.ErrUnavailable) {
		return g.why
	}
	return fmt.Errorf("%w: %w", queue.ErrUnavailable, g.why)
}

// Enqueue implements queue.Queue.
func (g *gate) Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error) {
	if err := g.shut(); err != nil {
		return nil, err
	}
	return g.Engine.Enqueue(ctx, jobs)
}

// Exchange implements queue.Queue.
func (g *gate) Exchange(ctx context.Context, name string, outcomes []queue.Outcome, want int, lease time.Duration) (queue.Batch, error) {
	if err := g.shut(); err != nil {
		return queue.Batch{}, err
	}
	return g.Engine.Exchange(ctx, name, outcomes, want, lease)
}

// SetLimit implements queue.Queue.
func (g *gate) SetLimit(ctx context.Context, name string, limit queue.Limit) error {
	if err := g.shut(); err != nil {
		return err
	}
	return g.Engine.SetLimit(ctx, name, limit)
}

// Hold implements queue.Queue.
func (g *gate) Hold(ctx context.Context, name string, until time.Time, reason string) error {
	if err := g.shut(); err != nil {
		return err
	}
	return g.Engine.Hold(ctx, name, until, reason)
}

// Stats implements queue.Operator.
func (g *gate) Stats(ctx context.Context) ([]queue.Stats, error) {
	if err := g.shut(); err != nil {
		return nil, err
	}
	return g.Engine.Stats(ctx)
}

// Redrive implements queue.Operator.
func (g *gate) Redrive(ctx context.Context, ids []int64) (int, error) {
	if err := g.shut(); err != nil {
		return 0, err
	}
	return g.Engine.Redrive(ctx, ids)
}

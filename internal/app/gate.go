package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// gate is a queue whose server was away at the start: whatever would use it is
// told that it is unavailable, until what else is done before anybody may use it
// has been done.
type gate struct {
	queue.Engine
	latch
}

func newGate(q queue.Engine, why error, log *slog.Logger) *gate {
	return &gate{Engine: q, latch: newLatch("queue", queue.ErrUnavailable, why, log)}
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
func (g *gate) Stats(ctx context.Context, queues ...string) ([]queue.Stats, error) {
	if err := g.shut(); err != nil {
		return nil, err
	}
	return g.Engine.Stats(ctx, queues...)
}

// Redrive implements queue.Operator.
func (g *gate) Redrive(ctx context.Context, ids []int64) (int, error) {
	if err := g.shut(); err != nil {
		return 0, err
	}
	return g.Engine.Redrive(ctx, ids)
}

package delivery

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// enqueuer is the part of queue.Queue that wakes lanes.
type enqueuer interface {
	Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error)
}

// positive returns v, or unset for a value that is not positive.
func positive[T cmp.Ordered](v, unset T) T {
	var zero T
	if v > zero {
		return v
	}
	return unset
}

func clockOr(now func() time.Time) func() time.Time {
	if now == nil {
		return time.Now
	}
	return now
}

// partLogger returns a logger that names its part; a nil logger discards.
func partLogger(logger *slog.Logger, part string, args ...any) *slog.Logger {
	if logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return logger.With(append([]any{"part", part}, args...)...)
}

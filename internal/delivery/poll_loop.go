package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// pollLoop repeats a round through all errors.
type pollLoop struct {
	every     time.Duration // between two rounds
	moreDelay time.Duration // before the next round if there is more to do
	// failed and recovered are logged when a round fails after a success, and the other way
	// round.
	failed, recovered string
	logger            *slog.Logger
}

// run does rounds until ctx ends. Errors do not end it, nor panics.
func (r pollLoop) run(ctx context.Context, round func(context.Context) (more bool, err error)) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for failures := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		more, err := recoverPanic(ctx, round)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			if failures++; failures == 1 {
				r.logger.Error(r.failed, "error", err)
			}
			timer.Reset(queue.Backoff{Base: r.every, Cap: 10 * r.every}.Delay(failures))
			continue
		case failures > 0:
			r.logger.Info(r.recovered, "failures", failures)
			failures = 0
		}
		if more {
			timer.Reset(r.moreDelay)
		} else {
			timer.Reset(r.every)
		}
	}
}

func recoverPanic(ctx context.Context, round func(context.Context) (bool, error)) (more bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			more, err = false, fmt.Errorf("panic: %v", r)
		}
	}()
	return round(ctx)
}

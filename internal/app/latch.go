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

// latch holds back what could not be used at the start, until all that comes
// before its first use has been done. It is shut for good reasons only, so it is
// never given up: a server comes back, and an operator mends what is wrong.
type latch struct {
	what string
	// away is what callers are told while it is shut: none of them is to blame.
	away   error
	log    *slog.Logger
	steps  []func(context.Context) error // each may be done again
	opened chan struct{}

	mu  sync.Mutex
	why error
}

func newLatch(what string, away, why error, logger *slog.Logger) latch {
	logger.Warn(what+" cannot be used yet: what needs it waits", "error", why)
	return latch{what: what, away: away, why: why, log: logger, opened: make(chan struct{})}
}

// first adds a step. Not once Run runs.
func (l *latch) first(step func(context.Context) error) { l.steps = append(l.steps, step) }

// Run tries until the latch is open, and lives on until ctx ends. changed is called
// at first, and after each try that brought something new.
func (l *latch) Run(ctx context.Context, changed func()) error {
	changed()
	b := queue.Backoff{Base: 100 * time.Millisecond, Cap: 2 * time.Second}
	for n := 1; ; n++ {
		err := l.try(ctx)
		if err == nil {
			l.log.Info(l.what + " is there")
			close(l.opened)
			changed()
			<-ctx.Done()
			return nil
		}
		if ctx.Err() == nil && l.tell(err) {
			changed()
		}
		select {
		case <-time.After(b.Delay(n)):
		case <-ctx.Done():
			return nil
		}
	}
}

func (l *latch) try(ctx context.Context) error {
	for _, step := range l.steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// tell keeps why the latch is shut, and says so when the server is there and
// somebody has to act.
func (l *latch) tell(err error) (news bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	news = err.Error() != l.why.Error()
	if news && !errors.Is(err, l.away) {
		l.log.Error(l.what+" cannot be used", "error", err)
	}
	l.why = err
	return news
}

// wait returns whether the latch was opened before ctx ended.
func (l *latch) wait(ctx context.Context) bool {
	select {
	case <-l.opened:
		return true
	case <-ctx.Done():
		return false
	}
}

// shut is why nobody may pass yet; nil once it is open.
func (l *latch) shut() error {
	select {
	case <-l.opened:
		return nil
	default:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.why, l.away) {
		return l.why
	}
	return fmt.Errorf("%w: %w", l.away, l.why)
}

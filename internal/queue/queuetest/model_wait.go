package queuetest

import (
	"context"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// arrival returns the limit's theoretical arrival time. After a change of the clock or of
// the limit it is no more than a burst away.
func (q *modelQueue) arrival(now time.Time) time.Time {
	_, burst := q.stats.Limit.Spacing()
	if q.tat.After(now.Add(burst)) {
		return now.Add(burst)
	}
	return q.tat
}

// opens returns when the queue as a whole may hand out jobs.
func (q *modelQueue) opens(now time.Time) time.Time {
	if q.stats.Paused {
		return now.Add(1000 * time.Hour)
	}
	t := later(now, q.stats.HeldUntil)
	if gap, burst := q.stats.Limit.Spacing(); gap > 0 {
		t = later(t, q.arrival(now).Add(gap-burst))
	}
	return t
}

// next returns when a job may be handed out.
func (q *modelQueue) next(now time.Time) time.Time {
	first := now.Add(1000 * time.Hour)
	for _, l := range q.lanes {
		if l.due.Before(first) {
			first = l.due
		}
	}
	return later(first, q.opens(now))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Wait implements queue.Queue.
func (m *Model) Wait(ctx context.Context, name string, limit time.Duration) error {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	for {
		if err := m.lock(ctx); err != nil {
			return err
		}
		if m.wakers[name] == nil {
			m.wakers[name] = make(chan struct{})
		}
		changed := m.wakers[name]
		wait := m.MaxDelay
		if q := m.queues[name]; q != nil {
			now := m.now()
			wait = q.next(now).Sub(now)
		}
		m.mu.Unlock()
		if wait <= 0 {
			return nil
		}
		due := time.NewTimer(wait)
		select {
		case <-changed:
			due.Stop()
		case <-due.C:
			return nil
		case <-timeout.C:
			due.Stop()
			return nil
		case <-ctx.Done():
			due.Stop()
			return ctx.Err()
		case <-m.closed:
			due.Stop()
			return queue.ErrClosed
		}
	}
}

// Hold implements queue.Queue.
func (m *Model) Hold(ctx context.Context, name string, until time.Time, reason string) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	q := m.make(name)
	if most := m.now().Add(m.MaxDelay); until.After(most) {
		until = most
	}
	q.stats.HeldUntil, q.stats.HeldReason = until, reason
	if until.IsZero() {
		q.stats.HeldReason = ""
	}
	m.wake(name)
	return nil
}

// SetLimit implements queue.Queue.
func (m *Model) SetLimit(ctx context.Context, name string, limit queue.Limit) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	q := m.make(name)
	q.stats.Limit = limit
	q.tat = q.arrival(m.now())
	m.wake(name)
	return nil
}

// Close implements queue.Queue.
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.closed:
	default:
		close(m.closed)
	}
	return nil
}

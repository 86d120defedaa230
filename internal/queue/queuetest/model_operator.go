package queuetest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// Pause implements queue.Operator.
func (m *Model) Pause(ctx context.Context, name string) error { return m.pause(ctx, name, true) }

// Resume implements queue.Operator.
func (m *Model) Resume(ctx context.Context, name string) error { return m.pause(ctx, name, false) }

func (m *Model) pause(ctx context.Context, name string, paused bool) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	q := m.queues[name]
	if q == nil {
		return fmt.Errorf("queue %q: %w", name, queue.ErrNotFound)
	}
	q.stats.Paused = paused
	m.wake(name)
	return nil
}

// Stats implements queue.Operator.
func (m *Model) Stats(ctx context.Context, queues ...string) ([]queue.Stats, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	now := m.now()
	var all []queue.Stats
	for _, q := range m.queues {
		s := q.stats
		if len(queues) > 0 && !slices.Contains(queues, s.Name) {
			continue
		}
		if !s.HeldUntil.After(now) {
			s.HeldUntil, s.HeldReason = time.Time{}, ""
		}
		var oldest *modelJob
		for _, l := range q.lanes {
			if head := &l.jobs[0]; oldest == nil || head.seq < oldest.seq {
				oldest = head
			}
		}
		if oldest != nil {
			s.OldestAge = max(0, now.Sub(oldest.enqueued))
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b queue.Stats) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// Dead implements queue.Operator.
func (m *Model) Dead(ctx context.Context, name string, before int64, limit int) ([]queue.DeadLetter, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var page []queue.DeadLetter
	for _, d := range slices.Backward(m.dead) {
		if len(page) == limit {
			break
		}
		if (name == "" || d.Job.Queue == name) && (before <= 0 || d.ID < before) {
			d.Job.Body = nil
			page = append(page, d.DeadLetter)
		}
	}
	return page, nil
}

// DeadLetter implements queue.Operator.
func (m *Model) DeadLetter(ctx context.Context, id int64) (queue.DeadLetter, error) {
	if err := m.lock(ctx); err != nil {
		return queue.DeadLetter{}, err
	}
	defer m.mu.Unlock()
	for _, d := range m.dead {
		if d.ID == id {
			return d.DeadLetter, nil
		}
	}
	return queue.DeadLetter{}, fmt.Errorf("dead letter %d: %w", id, queue.ErrNotFound)
}

// Redrive implements queue.Operator.
func (m *Model) Redrive(ctx context.Context, ids []int64) (int, error) {
	return m.bury(ctx, ids, func(q *modelQueue, d queue.DeadLetter, now time.Time) {
		q.push(d.Job, now, true)
		m.wake(d.Job.Queue)
	})
}

// Drop implements queue.Operator.
func (m *Model) Drop(ctx context.Context, ids []int64) (int, error) {
	return m.bury(ctx, ids, func(q *modelQueue, _ queue.DeadLetter, _ time.Time) { q.dropped++ })
}

func (m *Model) bury(ctx context.Context, ids []int64, each func(*modelQueue, queue.DeadLetter, time.Time)) (int, error) {
	if err := m.lock(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	n := 0
	for _, id := range ids {
		i := slices.IndexFunc(m.dead, func(d modelDead) bool { return d.ID == id })
		if i < 0 {
			continue
		}
		d := m.dead[i].DeadLetter
		m.dead = slices.Delete(m.dead, i, i+1)
		q := m.queues[d.Job.Queue]
		q.stats.Dead--
		each(q, d, m.now())
		n++
	}
	return n, nil
}

// Check implements queue.Operator.
func (m *Model) Check(ctx context.Context) ([]string, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var wrong []string
	for name, q := range m.queues {
		var depth, inFlight, dead int64
		for key, l := range q.lanes {
			depth += int64(len(l.jobs))
			if l.token != "" {
				inFlight++
			}
			if len(l.jobs) == 0 || l.due.IsZero() {
				wrong = append(wrong, fmt.Sprintf("%s: lane %q has %d jobs and is due %v", name, key, len(l.jobs), l.due))
			}
		}
		for _, d := range m.dead {
			if d.Job.Queue == name {
				dead++
			}
		}
		s := q.stats
		for _, c := range []struct {
			what      string
			got, want int64
		}{
			{"depth", s.Depth, depth},
			{"in flight", s.InFlight, inFlight},
			{"dead", s.Dead, dead},
			{"enqueued", s.Enqueued, s.Done + depth + dead + q.dropped},
		} {
			if c.got != c.want {
				wrong = append(wrong, fmt.Sprintf("%s: %s is %d, counted %d", name, c.what, c.got, c.want))
			}
		}
	}
	slices.Sort(wrong)
	return wrong, nil
}

package redisqueue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// Hold implements queue.Queue.
func (e *Engine) Hold(ctx context.Context, name string, until time.Time, reason string) error {
	length := ""
	if until.IsZero() {
		reason = ""
	} else {
		// Sent as a length, because the clocks of two machines may differ.
		length = formatInt(e.clock.ticks(min(max(e.clock.until(until), -e.opts.MaxDelay), e.opts.MaxDelay)))
	}
	return e.changeSetting(ctx, "hold", name, length, reason)
}

// SetLimit implements queue.Queue.
func (e *Engine) SetLimit(ctx context.Context, name string, limit queue.Limit) error {
	return e.call(ctx, "set limit", func(ctx context.Context, l *links) error { return e.limit(ctx, l, name, limit) })
}

func (e *Engine) limit(ctx context.Context, l *links, name string, limit queue.Limit) error {
	q := e.state(name)
	if err := errors.Join(q.register(ctx, l.exchange), q.setLimit(ctx, l, limit)); err != nil {
		return err
	}
	q.limit.Store(&limit)
	return nil
}

func (q *queueState) setLimit(ctx context.Context, l *links, limit queue.Limit) error {
	gap, burst := limit.Spacing()
	step := q.e.clock.ticks(gap)
	room := int64(0)
	if gap > 0 {
		room = int64(burst/gap) * step
	}
	return q.run(ctx, l.exchange, q.e.scripts.setting, "limit",
		strconv.FormatFloat(limit.Rate, 'g', -1, 64), strconv.Itoa(limit.Burst), formatInt(step), formatInt(room)).Error()
}

// Pause implements queue.Operator.
func (e *Engine) Pause(ctx context.Context, name string) error {
	return e.changeSetting(ctx, "pause", name)
}

// Resume implements queue.Operator.
func (e *Engine) Resume(ctx context.Context, name string) error {
	return e.changeSetting(ctx, "resume", name)
}

func (e *Engine) changeSetting(ctx context.Context, what, name string, args ...string) error {
	q := e.state(name)
	return e.call(ctx, what, func(ctx context.Context, l *links) error {
		if what == "hold" {
			q.registered.Store(false) // the server may have lost the queue since
			if err := q.register(ctx, l.exchange); err != nil {
				return err
			}
		}
		n, err := q.run(ctx, l.exchange, e.scripts.setting, append([]string{what}, args...)...).AsInt64()
		if err == nil && n == 0 {
			err = fmt.Errorf("queue %q: %w", name, queue.ErrNotFound)
		}
		return err
	})
}

// allStates returns the states of all registered queues, by name.
func (e *Engine) allStates(ctx context.Context, l *links) ([]*queueState, error) {
	c := l.exchange
	names, err := c.Do(ctx, c.B().Smembers().Key(e.registryKey()).Build()).AsStrSlice()
	return e.statesOf(names), err
}

// statesOf returns the states of the named queues, by name.
func (e *Engine) statesOf(names []string) []*queueState {
	states := make([]*queueState, 0, len(names))
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		states = append(states, e.state(name))
	}
	return states
}

// forEachQueue calls fn for every queue, or for the named ones.
func (e *Engine) forEachQueue(ctx context.Context, what string, names []string, fn func(ctx context.Context, l *links, q *queueState) error) error {
	l, err := e.connect(ctx)
	if err != nil {
		return e.wrapError(ctx, what, err)
	}
	call, cancel := context.WithTimeout(ctx, 2*e.opts.Timeout)
	defer cancel()
	states := e.statesOf(names)
	if len(names) == 0 {
		if states, err = e.allStates(call, l); err != nil {
			return e.wrapError(ctx, what, err)
		}
	}
	for _, q := range states {
		if err := fn(call, l, q); err != nil {
			return e.wrapError(ctx, what, err)
		}
	}
	return nil
}

// Stats implements queue.Operator.
func (e *Engine) Stats(ctx context.Context, queues ...string) ([]queue.Stats, error) {
	var all []queue.Stats
	err := e.forEachQueue(ctx, "stats", queues, func(ctx context.Context, l *links, q *queueState) error {
		s, err := q.stats(ctx, l)
		if err == nil && s != nil {
			all = append(all, *s)
		}
		return err
	})
	return all, err
}

func (q *queueState) stats(ctx context.Context, l *links) (*queue.Stats, error) {
	m, err := q.run(ctx, l.exchange, q.e.scripts.stats).AsStrSlice()
	if err != nil || len(m) < 2 {
		return nil, err
	}
	f := map[string]string{}
	for i := 2; i+1 < len(m); i += 2 {
		f[m[i]] = m[i+1]
	}
	now, oldest := parseFloat(m[0]), m[1]
	s := &queue.Stats{
		Name: q.name, Depth: parseInt(f["n"]), InFlight: parseInt(f["inflight"]), Dead: parseInt(f["dead"]),
		Paused: f["paused"] == "1", Limit: queue.Limit{Rate: parseFloat(f["rate"]), Burst: int(parseInt(f["burst"]))},
		Enqueued: parseInt(f["enq"]), Duplicates: parseInt(f["dup"]), Done: parseInt(f["done"]),
		Retried: parseInt(f["retried"]), Refused: parseInt(f["refused"]), Stalled: parseInt(f["stalled"]),
	}
	if oldest != "" {
		s.OldestAge = max(0, q.e.clock.duration(int64(now-parseFloat(oldest))))
	}
	if held := f["held"]; held != "" && parseFloat(held) > now {
		s.HeldUntil, s.HeldReason = q.e.clock.moment(parseFloat(held)), f["why"]
	}
	return s, nil
}

// parseInt and parseFloat parse numbers that scripts or Redis wrote; a missing one is zero.
func parseInt(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func parseFloat(s string) float64 {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0
	}
	return n
}

// Dead implements queue.Operator.
func (e *Engine) Dead(ctx context.Context, name string, before int64, limit int) ([]queue.DeadLetter, error) {
	from := ""
	if before > 0 {
		from = formatInt(before)
	}
	var queues []string // all
	if name != "" {
		queues = []string{name}
	}
	var page []queue.DeadLetter
	err := e.forEachQueue(ctx, "list dead letters", queues, func(ctx context.Context, l *links, q *queueState) error {
		rows, err := q.listDead(ctx, l, from, limit, "1")
		page = append(page, rows...)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(page, func(a, b queue.DeadLetter) int { return cmp.Compare(b.ID, a.ID) })
	return page[:min(len(page), max(limit, 0))], nil
}

// DeadLetter implements queue.Operator.
func (e *Engine) DeadLetter(ctx context.Context, id int64) (queue.DeadLetter, error) {
	var found *queue.DeadLetter
	err := e.forEachQueue(ctx, "dead letter", nil, func(ctx context.Context, l *links, q *queueState) error {
		rows, err := q.listDead(ctx, l, formatInt(max(id, 0)+1), 1, "")
		if err == nil && len(rows) == 1 && rows[0].ID == id {
			found = &rows[0]
		}
		return err
	})
	switch {
	case err != nil:
		return queue.DeadLetter{}, err
	case found == nil:
		return queue.DeadLetter{}, fmt.Errorf("dead letter %d: %w", id, queue.ErrNotFound)
	}
	return *found, nil
}

func (q *queueState) listDead(ctx context.Context, l *links, before string, limit int, bare string) ([]queue.DeadLetter, error) {
	m, err := q.run(ctx, l.exchange, q.e.scripts.deadList, before, strconv.Itoa(max(limit, 0)), bare).ToArray()
	if err != nil {
		return nil, err
	}
	var rows []queue.DeadLetter
	for ; len(m) >= 6; m = m[6:] {
		var v [6]string
		for i := range v {
			if v[i], err = m[i].ToString(); err != nil {
				return nil, err
			}
		}
		d := queue.DeadLetter{ID: parseInt(v[0]), Attempts: int(parseInt(v[3])), Err: v[4], Died: q.e.clock.moment(parseFloat(v[5]))}
		if len(v[1]) < sequenceBytes {
			return nil, errReply
		}
		if d.Job, d.Enqueued, _, err = q.parseEntry(v[2], []byte(v[1][sequenceBytes:])); err != nil {
			return nil, err
		}
		rows = append(rows, d)
	}
	return rows, nil
}

// Redrive implements queue.Operator.
func (e *Engine) Redrive(ctx context.Context, ids []int64) (int, error) {
	return e.takeDead(ctx, "redrive", ids)
}

// Drop implements queue.Operator.
func (e *Engine) Drop(ctx context.Context, ids []int64) (int, error) {
	return e.takeDead(ctx, "drop", ids)
}

func (e *Engine) takeDead(ctx context.Context, what string, ids []int64) (int, error) {
	total := 0
	var numbers []string
	for _, id := range ids {
		if id > 0 {
			numbers = append(numbers, formatInt(id))
		}
	}
	err := e.forEachQueue(ctx, what, nil, func(ctx context.Context, l *links, q *queueState) error {
		for some := range slices.Chunk(numbers, 500) {
			n, err := q.run(ctx, l.exchange, e.scripts.deadTake, append([]string{what}, some...)...).AsInt64()
			if err != nil {
				return err
			}
			total += int(n)
		}
		return nil
	})
	return total, err
}

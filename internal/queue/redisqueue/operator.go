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
		// Told as a length, so that the clocks of two machines may differ.
		length = number(e.clock.ticks(min(max(e.clock.until(until), -e.maxDelay), e.maxDelay)))
	}
	return e.setting(ctx, "hold", name, length, reason)
}

// SetLimit implements queue.Queue.
func (e *Engine) SetLimit(ctx context.Context, name string, limit queue.Limit) error {
	p := e.part(name)
	l, err := e.connect(ctx)
	if err != nil {
		return e.fail(ctx, "set limit", err)
	}
	ctx2, cancel := e.bound(ctx)
	defer cancel()
	if err := errors.Join(p.register(ctx2, l.exchange), p.setLimit(ctx2, l, limit)); err != nil {
		return e.fail(ctx, "set limit", err)
	}
	p.limit.Store(&limit)
	return nil
}

func (p *part) setLimit(ctx context.Context, l *links, limit queue.Limit) error {
	gap, burst := limit.Spacing()
	step := p.e.clock.ticks(gap)
	room := int64(0)
	if gap > 0 {
		room = int64(burst/gap) * step
	}
	return p.run(ctx, l.exchange, p.e.scripts.setting, "limit",
		strconv.FormatFloat(limit.Rate, 'g', -1, 64), strconv.Itoa(limit.Burst), number(step), number(room)).Error()
}

// Pause implements queue.Operator.
func (e *Engine) Pause(ctx context.Context, name string) error { return e.setting(ctx, "pause", name) }

// Resume implements queue.Operator.
func (e *Engine) Resume(ctx context.Context, name string) error {
	return e.setting(ctx, "resume", name)
}

func (e *Engine) setting(ctx context.Context, what, name string, args ...string) error {
	p := e.part(name)
	l, err := e.connect(ctx)
	if err != nil {
		return e.fail(ctx, what, err)
	}
	call, cancel := e.bound(ctx)
	defer cancel()
	if what == "hold" {
		p.registered.Store(false) // the server may have lost it since
		if err := p.register(call, l.exchange); err != nil {
			return e.fail(ctx, what, err)
		}
	}
	n, err := p.run(call, l.exchange, e.scripts.setting, append([]string{what}, args...)...).AsInt64()
	if err == nil && n == 0 {
		err = fmt.Errorf("queue %q: %w", name, queue.ErrNotFound)
	}
	return e.fail(ctx, what, err)
}

// queues lists the parts of all queues that were ever registered, by name.
func (e *Engine) queues(ctx context.Context, l *links) ([]*part, error) {
	c := l.exchange
	names, err := c.Do(ctx, c.B().Smembers().Key(e.registry()).Build()).AsStrSlice()
	return e.named(names), err
}

// named returns the parts of some queues, by name.
func (e *Engine) named(names []string) []*part {
	parts := make([]*part, 0, len(names))
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		parts = append(parts, e.part(name))
	}
	return parts
}

// each runs a function on every queue, or on those that are named.
func (e *Engine) each(ctx context.Context, what string, names []string, fn func(ctx context.Context, l *links, p *part) error) error {
	l, err := e.connect(ctx)
	if err != nil {
		return e.fail(ctx, what, err)
	}
	call, cancel := context.WithTimeout(ctx, 2*e.timeout)
	defer cancel()
	parts := e.named(names)
	if len(names) == 0 {
		if parts, err = e.queues(call, l); err != nil {
			return e.fail(ctx, what, err)
		}
	}
	for _, p := range parts {
		if err := fn(call, l, p); err != nil {
			return e.fail(ctx, what, err)
		}
	}
	return nil
}

// Stats implements queue.Operator.
func (e *Engine) Stats(ctx context.Context, queues ...string) ([]queue.Stats, error) {
	var all []queue.Stats
	err := e.each(ctx, "stats", queues, func(ctx context.Context, l *links, p *part) error {
		s, err := p.stats(ctx, l)
		if err == nil && s != nil {
			all = append(all, *s)
		}
		return err
	})
	return all, err
}

func (p *part) stats(ctx context.Context, l *links) (*queue.Stats, error) {
	m, err := p.run(ctx, l.exchange, p.e.scripts.stats).AsStrSlice()
	if err != nil || len(m) < 2 {
		return nil, err
	}
	f := map[string]string{}
	for i := 2; i+1 < len(m); i += 2 {
		f[m[i]] = m[i+1]
	}
	now, oldest := float(m[0]), m[1]
	s := &queue.Stats{
		Name: p.name, Depth: count(f["n"]), InFlight: count(f["inflight"]), Dead: count(f["dead"]),
		Paused: f["paused"] == "1", Limit: queue.Limit{Rate: float(f["rate"]), Burst: int(count(f["burst"]))},
		Enqueued: count(f["enq"]), Duplicates: count(f["dup"]), Done: count(f["done"]),
		Retried: count(f["retried"]), Refused: count(f["refused"]), Stalled: count(f["stalled"]),
	}
	if oldest != "" {
		s.OldestAge = max(0, p.e.clock.span(int64(now-float(oldest))))
	}
	if held := f["held"]; held != "" && float(held) > now {
		s.HeldUntil, s.HeldReason = p.e.clock.moment(float(held)), f["why"]
	}
	return s, nil
}

// count and float read what scripts wrote; what is not there is zero.
func count(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func float(s string) float64 {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0
	}
	return n
}

// some are the queues that a name means: "" means all.
func some(name string) []string {
	if name == "" {
		return nil
	}
	return []string{name}
}

// Dead implements queue.Operator.
func (e *Engine) Dead(ctx context.Context, name string, before int64, limit int) ([]queue.DeadLetter, error) {
	from := ""
	if before > 0 {
		from = number(before)
	}
	var page []queue.DeadLetter
	err := e.each(ctx, "list dead letters", some(name), func(ctx context.Context, l *links, p *part) error {
		rows, err := p.letters(ctx, l, from, limit, "1")
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
	err := e.each(ctx, "dead letter", nil, func(ctx context.Context, l *links, p *part) error {
		rows, err := p.letters(ctx, l, number(max(id, 0)+1), 1, "")
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

func (p *part) letters(ctx context.Context, l *links, before string, limit int, bare string) ([]queue.DeadLetter, error) {
	m, err := p.run(ctx, l.exchange, p.e.scripts.letters, before, strconv.Itoa(max(limit, 0)), bare).ToArray()
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
		d := queue.DeadLetter{ID: count(v[0]), Attempts: int(count(v[3])), Err: v[4], Died: p.e.clock.moment(float(v[5]))}
		if len(v[1]) < sequence {
			return nil, errReply
		}
		if d.Job, d.Enqueued, _, err = p.job(v[2], []byte(v[1][sequence:])); err != nil {
			return nil, err
		}
		rows = append(rows, d)
	}
	return rows, nil
}

// Redrive implements queue.Operator.
func (e *Engine) Redrive(ctx context.Context, ids []int64) (int, error) {
	return e.exhume(ctx, "redrive", ids)
}

// Drop implements queue.Operator.
func (e *Engine) Drop(ctx context.Context, ids []int64) (int, error) {
	return e.exhume(ctx, "drop", ids)
}

func (e *Engine) exhume(ctx context.Context, what string, ids []int64) (int, error) {
	total := 0
	var numbers []string
	for _, id := range ids {
		if id > 0 {
			numbers = append(numbers, number(id))
		}
	}
	err := e.each(ctx, what, nil, func(ctx context.Context, l *links, p *part) error {
		for some := range slices.Chunk(numbers, 500) {
			n, err := p.run(ctx, l.exchange, e.scripts.exhume, append([]string{what}, some...)...).AsInt64()
			if err != nil {
				return err
			}
			total += int(n)
		}
		return nil
	})
	return total, err
}

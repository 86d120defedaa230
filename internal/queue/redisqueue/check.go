package redisqueue

import (
	"context"
	"fmt"
	"maps"
	"strconv"
)

// Check implements queue.Operator. It reads some hundred lanes at a time, so it may run on
// a live queue; totals are compared only if nothing has changed meanwhile.
func (e *Engine) Check(ctx context.Context) ([]string, error) {
	var wrong []string
	l, err := e.connect(ctx)
	if err != nil {
		return nil, e.wrapError(ctx, "check", err)
	}
	states, err := e.allStates(ctx, l)
	if err != nil {
		return nil, e.wrapError(ctx, "check", err)
	}
	for _, q := range states {
		some, err := q.check(ctx, l)
		if err != nil {
			return nil, e.wrapError(ctx, "check", err)
		}
		for _, w := range some {
			wrong = append(wrong, q.name+": "+w)
		}
	}
	return wrong, nil
}

func (q *queueState) check(ctx context.Context, l *links) (wrong []string, err error) {
	before, err := q.meta(ctx, l)
	if err != nil || len(before) == 0 {
		return nil, err
	}
	var totals checkTotals
	if wrong, err = q.checkLanes(ctx, l, &totals); err != nil {
		return nil, err
	}
	if err = q.countRecords(ctx, l, &totals); err != nil {
		return nil, err
	}
	f, err := q.meta(ctx, l)
	if err != nil {
		return nil, err
	}
	if !maps.Equal(before, f) {
		return wrong, nil
	}
	for _, c := range []struct {
		what      string
		got, want int64
	}{
		{"depth", parseInt(f["n"]), totals.jobs},
		{"in flight", parseInt(f["inflight"]), totals.tokens},
		{"dead", parseInt(f["dead"]), totals.dead},
		{"heads", totals.heads, totals.lanes},
		{"records without a lane", totals.orphans, 0},
		{"bodies without a job", max(0, totals.bodies-totals.jobs), 0},
		{"enqueued", parseInt(f["enq"]), parseInt(f["done"]) + totals.jobs + totals.dead + parseInt(f["dropped"])},
		{"lanes that had lost their jobs", parseInt(f["healed"]), 0},
	} {
		if c.got != c.want {
			wrong = append(wrong, fmt.Sprintf("%s is %d, counted %d", c.what, c.got, c.want))
		}
	}
	return wrong, nil
}

// checkTotals are the counted totals.
type checkTotals struct{ lanes, jobs, tokens, orphans, heads, dead, bodies int64 }

// meta returns the queue's own counters.
func (q *queueState) meta(ctx context.Context, l *links) (map[string]string, error) {
	return l.exchange.Do(ctx, l.exchange.B().Hgetall().Key(q.keys[0]).Build()).AsStrMap()
}

// checkLanes checks every lane.
func (q *queueState) checkLanes(ctx context.Context, l *links, totals *checkTotals) (wrong []string, err error) {
	seen := map[string]bool{} // a scan may return a lane twice
	err = q.scan(ctx, l, "ZSCAN", q.keys[1], func(pairs []string) error {
		var members []string
		for i := 0; i+1 < len(pairs); i += 2 {
			if !seen[pairs[i]] {
				seen[pairs[i]] = true
				members = append(members, pairs[i])
			}
		}
		if len(members) == 0 {
			return nil
		}
		totals.lanes += int64(len(members))
		m, err := q.run(ctx, l.exchange, q.e.scripts.check, members...).ToArray()
		if err != nil {
			return err
		}
		jobs, err := m[0].AsInt64()
		if err != nil {
			return err
		}
		some, err := m[1].AsStrSlice()
		totals.jobs += jobs
		wrong = append(wrong, some...)
		return err
	})
	return wrong, err
}

// paddingField is the field of the records that belongs to no lane.
const paddingField = "\x00wide"

// countRecords counts records, dead letters and bodies.
func (q *queueState) countRecords(ctx context.Context, l *links, totals *checkTotals) error {
	c := l.exchange
	seen := map[string]bool{}
	err := q.scan(ctx, l, "HSCAN", q.keys[3], func(pairs []string) error {
		for i := 0; i+1 < len(pairs); i += 2 {
			lane, record := pairs[i], pairs[i+1]
			if seen[lane] || lane == paddingField || len(record) < 10 {
				continue
			}
			seen[lane] = true
			if record[9] > 0 {
				totals.tokens++
			}
			n, err := c.Do(ctx, c.B().Llen().Key(q.base+":l:"+lane).Build()).AsInt64()
			if err != nil {
				return err
			}
			if n == 0 {
				totals.orphans++
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if totals.heads, err = c.Do(ctx, c.B().Zcard().Key(q.keys[2]).Build()).AsInt64(); err != nil {
		return err
	}
	if totals.bodies, err = c.Do(ctx, c.B().Hlen().Key(q.keys[6]).Build()).AsInt64(); err != nil {
		return err
	}
	totals.dead, err = c.Do(ctx, c.B().Xlen().Key(q.keys[5]).Build()).AsInt64()
	return err
}

func (q *queueState) scan(ctx context.Context, l *links, command, key string, fn func([]string) error) error {
	c := l.exchange
	for cursor := uint64(0); ; {
		at := strconv.FormatUint(cursor, 10)
		page, err := c.Do(ctx, c.B().Arbitrary(command).Keys(key).Args(at, "COUNT", "500").Build()).AsScanEntry()
		if err != nil {
			return err
		}
		if err := fn(page.Elements); err != nil {
			return err
		}
		if cursor = page.Cursor; cursor == 0 {
			return nil
		}
	}
}

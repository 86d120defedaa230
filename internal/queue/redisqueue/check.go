package redisqueue

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/redis/rueidis"
)

// Check implements queue.Operator. It looks at some hundred lanes at a time, so
// that it may be run on a live queue; totals are compared when nothing has
// changed meanwhile.
func (e *Engine) Check(ctx context.Context) ([]string, error) {
	var wrong []string
	l, err := e.connect(ctx)
	if err != nil {
		return nil, e.fail(ctx, "check", err)
	}
	parts, err := e.queues(ctx, l)
	if err != nil {
		return nil, e.fail(ctx, "check", err)
	}
	for _, p := range parts {
		some, err := p.check(ctx, l)
		if err != nil {
			return nil, e.fail(ctx, "check", err)
		}
		for _, w := range some {
			wrong = append(wrong, p.name+": "+w)
		}
	}
	return wrong, nil
}

func (p *part) check(ctx context.Context, l *links) (wrong []string, err error) {
	before, err := p.meta(ctx, l)
	if err != nil || len(before) == 0 {
		return nil, err
	}
	var sums sums
	if wrong, err = p.checkLanes(ctx, l, &sums); err != nil {
		return nil, err
	}
	if err = p.count(ctx, l, &sums); err != nil {
		return nil, err
	}
	after, err := p.meta(ctx, l)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(before, after) {
		return wrong, nil
	}
	f := map[string]string{}
	for i := 0; i+1 < len(after); i += 2 {
		f[after[i]] = after[i+1]
	}
	for _, c := range []struct {
		what      string
		got, want int64
	}{
		{"depth", count(f["n"]), sums.jobs},
		{"in flight", count(f["inflight"]), sums.tokens},
		{"dead", count(f["dead"]), sums.dead},
		{"heads", sums.heads, sums.lanes},
		{"records without a lane", sums.strays, 0},
		{"bodies without a job", max(0, sums.bodies-sums.jobs), 0},
		{"enqueued", count(f["enq"]), count(f["done"]) + sums.jobs + sums.dead + count(f["dropped"])},
		{"lanes that had lost their jobs", count(f["healed"]), 0},
	} {
		if c.got != c.want {
			wrong = append(wrong, fmt.Sprintf("%s is %d, counted %d", c.what, c.got, c.want))
		}
	}
	return wrong, nil
}

// sums are what a count finds.
type sums struct{ lanes, jobs, tokens, strays, heads, dead, bodies int64 }

// meta is the queue's own figures, in an order that stays the same while nothing
// changes.
func (p *part) meta(ctx context.Context, l *links) ([]string, error) {
	m, err := l.exchange.Do(ctx, l.exchange.B().Hgetall().Key(p.keys[0]).Build()).AsStrMap()
	var all []string
	for k, v := range m {
		all = append(all, k+"\x00"+v)
	}
	slices.Sort(all)
	var flat []string
	for _, kv := range all {
		for i := range len(kv) {
			if kv[i] == 0 {
				flat = append(flat, kv[:i], kv[i+1:])
				break
			}
		}
	}
	return flat, err
}

// checkLanes goes through all lanes that are due at some time.
func (p *part) checkLanes(ctx context.Context, l *links, s *sums) (wrong []string, err error) {
	seen := map[string]bool{} // a scan may name one twice
	err = p.scan(ctx, l, "ZSCAN", p.keys[1], func(pairs []string) error {
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
		s.lanes += int64(len(members))
		m, err := p.run(ctx, l.exchange, p.e.scripts.check, members...).ToArray()
		if err != nil {
			return err
		}
		jobs, err := m[0].AsInt64()
		if err != nil {
			return err
		}
		some, err := m[1].AsStrSlice()
		s.jobs += jobs
		wrong = append(wrong, some...)
		return err
	})
	return wrong, err
}

// wide is the field of the records that belongs to no lane.
const wide = "\x00wide"

// count counts what is not in the lanes.
func (p *part) count(ctx context.Context, l *links, s *sums) error {
	c := l.exchange
	seen := map[string]bool{}
	err := p.scan(ctx, l, "HSCAN", p.keys[3], func(pairs []string) error {
		for i := 0; i+1 < len(pairs); i += 2 {
			lane, record := pairs[i], pairs[i+1]
			if seen[lane] || lane == wide || len(record) < 10 {
				continue
			}
			seen[lane] = true
			if record[9] > 0 {
				s.tokens++
			}
			n, err := c.Do(ctx, c.B().Llen().Key(p.base+":l:"+lane).Build()).AsInt64()
			if err != nil {
				return err
			}
			if n == 0 {
				s.strays++
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if s.heads, err = c.Do(ctx, c.B().Zcard().Key(p.keys[2]).Build()).AsInt64(); err != nil {
		return err
	}
	if s.bodies, err = c.Do(ctx, c.B().Hlen().Key(p.keys[6]).Build()).AsInt64(); err != nil {
		return err
	}
	s.dead, err = c.Do(ctx, c.B().Xlen().Key(p.keys[5]).Build()).AsInt64()
	return err
}

func (p *part) scan(ctx context.Context, l *links, command, key string, fn func([]string) error) error {
	c := l.exchange
	for cursor := uint64(0); ; {
		var cmd rueidis.Completed
		at := strconv.FormatUint(cursor, 10)
		cmd = c.B().Arbitrary(command).Keys(key).Args(at, "COUNT", "500").Build()
		page, err := c.Do(ctx, cmd).AsScanEntry()
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

package redisqueue

import (
	"context"
	"fmt"

	"github.com/redis/rueidis"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// runDurably runs the script, then asks on the same connection whether what it wrote
// is where it was promised to be. A batch of duplicates writes too (it counts
// them), so it passes the same wait.
func (q *queueState) runDurably(ctx context.Context, l *links, args []string) (made bool, answer string, err error) {
	e := q.e
	if e.opts.Durability == "relaxed" || e.opts.Durability == "fsync" && !l.waitAOF {
		// appendfsync always: the answer comes after the sync.
		return parseReply(eval(ctx, l.enqueue, e.scripts.enqueue, q.keys, args))
	}
	err = l.enqueue.Dedicated(func(c rueidis.DedicatedClient) error {
		rs := c.DoMulti(ctx, byName(c, e.scripts.enqueue, q.keys, args), e.durabilityCommand(c))
		if unknown(rs[0]) {
			rs = c.DoMulti(ctx, byText(c, e.scripts.enqueue, q.keys, args), e.durabilityCommand(c))
		}
		if made, answer, err = parseReply(rs[0]); err != nil {
			return err
		}
		return e.checkDurability(rs[1])
	})
	return made, answer, err
}

func parseReply(r rueidis.RedisResult) (made bool, answer string, err error) {
	m, err := r.ToArray()
	if err != nil {
		return false, "", err
	}
	n, err := m[0].AsInt64()
	if err != nil {
		return false, "", err
	}
	answer, err = m[1].ToString()
	return n == 1, answer, err
}

// durabilityCommand returns the command that waits for the promised copy, for less time
// than a call may take.
func (e *Engine) durabilityCommand(c doer) rueidis.Completed {
	wait := (e.opts.Timeout * 3 / 5).Milliseconds()
	if e.opts.Durability == "fsync" {
		return c.B().Waitaof().Numlocal(1).Numreplicas(0).Timeout(wait).Build()
	}
	return c.B().Wait().Numreplicas(1).Timeout(wait).Build()
}

func (e *Engine) checkDurability(r rueidis.RedisResult) error {
	if e.opts.Durability == "fsync" {
		n, err := r.AsIntSlice()
		if err != nil {
			return err
		}
		if len(n) == 0 || n[0] < 1 {
			return fmt.Errorf("the write is not on disk after %s: %w", e.opts.Timeout*3/5, queue.ErrUnavailable)
		}
		return nil
	}
	n, err := r.AsInt64()
	if err != nil {
		return err
	}
	if n < 1 {
		return fmt.Errorf("the write is on no replica after %s: %w", e.opts.Timeout*3/5, queue.ErrUnavailable)
	}
	return nil
}

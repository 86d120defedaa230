package redisqueue

import (
	"context"
	"fmt"
	"sync"

	"github.com/redis/rueidis"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// enqueueCall is one caller's jobs on their way.
type enqueueCall struct {
	jobs  []encodedJob
	added string // a character for each
	err   error
	done  chan struct{}
}

// batch gathers calls while the one before them is under way: the way there and
// back is the window, so that nobody waits for company that does not come.
type batch struct {
	mu      sync.Mutex
	pending []*enqueueCall
	running bool
}

// What one script may carry, so that it keeps Redis busy for milliseconds only.
// A caller's own jobs are never split.
const (
	batchJobs  = 1000
	batchBytes = 4 << 20
)

// add puts a call into the next batch.
func (q *queueState) add(jobs []encodedJob) (*enqueueCall, error) {
	c := &enqueueCall{jobs: jobs, done: make(chan struct{})}
	b := &q.batch
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.running {
		if !q.e.startWork() {
			return nil, queue.ErrClosed
		}
		b.running = true
		go q.sendBatches()
	}
	b.pending = append(b.pending, c)
	return c, nil
}

// sendBatches sends batches until nobody is left.
func (q *queueState) sendBatches() {
	defer q.e.work.Done()
	for {
		calls := q.batch.take()
		if len(calls) == 0 {
			return
		}
		q.sendCalls(calls)
	}
}

func (b *batch) take() []*enqueueCall {
	b.mu.Lock()
	defer b.mu.Unlock()
	jobs, bytes, n := 0, 0, 0
	for ; n < len(b.pending); n++ {
		c := b.pending[n]
		jobs += len(c.jobs)
		for _, it := range c.jobs {
			bytes += len(it.lane) + len(it.payload)
		}
		if n > 0 && (jobs > batchJobs || bytes > batchBytes) {
			break
		}
	}
	calls := b.pending[:n:n]
	b.pending = b.pending[n:]
	if len(b.pending) == 0 {
		b.pending = nil
	}
	b.running = n > 0
	return calls
}

// runDurably runs the script, then asks on the same connection whether what it wrote
// is where it was promised to be. A batch of duplicates writes too (it counts
// them), so it passes the same wait.
func (q *queueState) runDurably(ctx context.Context, l *links, args []string) (made bool, answer string, err error) {
	e := q.e
	if e.durability == "relaxed" || e.durability == "fsync" && !l.waitAOF {
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

// durabilityCommand asks for the copy that was promised, for less time than a call may take.
func (e *Engine) durabilityCommand(c doer) rueidis.Completed {
	wait := (e.timeout * 3 / 5).Milliseconds()
	if e.durability == "fsync" {
		return c.B().Waitaof().Numlocal(1).Numreplicas(0).Timeout(wait).Build()
	}
	return c.B().Wait().Numreplicas(1).Timeout(wait).Build()
}

func (e *Engine) checkDurability(r rueidis.RedisResult) error {
	if e.durability == "fsync" {
		n, err := r.AsIntSlice()
		if err != nil {
			return err
		}
		if len(n) == 0 || n[0] < 1 {
			return fmt.Errorf("the disk does not have it after %s: %w", e.timeout*3/5, queue.ErrUnavailable)
		}
		return nil
	}
	n, err := r.AsInt64()
	if err != nil {
		return err
	}
	if n < 1 {
		return fmt.Errorf("no replica has it after %s: %w", e.timeout*3/5, queue.ErrUnavailable)
	}
	return nil
}

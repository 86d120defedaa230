package redisqueue

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/psivisionhub/psi-router/internal/batch"
	"github.com/psivisionhub/psi-router/internal/queue"
)

// encodedJob is a job in the script's encoding.
type encodedJob struct{ lane, hash, payload string }

// What one script may carry, so that it keeps Redis busy for milliseconds only.
// A caller's own jobs are never split.
const (
	scriptJobs  = 1000
	scriptBytes = 4 << 20
)

// enqueueBatcher batches the jobs of callers. The way there and back is the pause, so that
// nobody waits for company that does not come. It answers a character for each job.
type enqueueBatcher = batch.Batcher[[]encodedJob, string]

func (q *queueState) newBatcher() *enqueueBatcher {
	return batch.New(batch.Options[[]encodedJob, string]{Call: q.enqueueCalls, Max: scriptBytes, Weigh: weighJobs})
}

// weighJobs makes a script's limits one: of bytes, of which each job has its share at least.
func weighJobs(jobs []encodedJob) int {
	bytes := 0
	for _, it := range jobs {
		bytes += len(it.lane) + len(it.payload)
	}
	return max(bytes, len(jobs)*scriptBytes/scriptJobs)
}

func encodeJob(j queue.Job) (encodedJob, error) {
	if err := j.Check(); err != nil {
		return encodedJob{}, err
	}
	if len(j.ID) > math.MaxUint16 {
		return encodedJob{}, fmt.Errorf("enqueue: an ID of %d bytes is too long", len(j.ID))
	}
	b := make([]byte, 0, 3+len(j.ID)+len(j.Body))
	b = append(b, 0)                                        // flags
	b = binary.BigEndian.AppendUint16(b, uint16(len(j.ID))) //nolint:gosec // checked above
	b = append(append(b, j.ID...), j.Body...)
	it := encodedJob{lane: j.Lane, payload: rueidis.BinaryString(b)}
	if j.ID != "" {
		sum := sha256.Sum256([]byte(j.ID))
		it.hash = string(sum[:12])
	}
	return it, nil
}

// queueBatch is one queue's share of an Enqueue.
type queueBatch struct {
	state     *queueState
	jobs      []encodedJob
	positions []int // of the jobs in the caller's batch
	pending   *batch.Pending[[]encodedJob, string]
}

// Enqueue implements queue.Queue.
func (e *Engine) Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error) {
	batches, err := e.split(jobs)
	if err != nil {
		return nil, err
	}
	if e.closed.Load() {
		return nil, e.wrapError(ctx, "enqueue", queue.ErrClosed)
	}
	if err := ctx.Err(); err != nil || len(jobs) == 0 {
		return nil, err
	}
	if len(batches) > 1 && e.opts.MaxDepth > 0 {
		err := e.call(ctx, "enqueue", func(ctx context.Context, l *links) error { return e.checkRoom(ctx, l, batches) })
		if err != nil {
			return nil, err
		}
	}
	for _, b := range batches {
		b.pending = b.state.batcher.Submit(b.jobs)
	}
	added := make([]bool, len(jobs))
	for _, b := range batches {
		select {
		case <-b.pending.Done():
		case <-ctx.Done(): // what is on its way may still be added
			return nil, e.wrapError(ctx, "enqueue", ctx.Err())
		}
		answer, err := b.pending.Wait(ctx)
		if err != nil {
			return nil, e.wrapError(ctx, "enqueue in "+b.state.name, err)
		}
		for i, at := range b.positions {
			added[at] = answer[i] == '1'
		}
	}
	return added, nil
}

// split groups jobs by queue.
func (e *Engine) split(jobs []queue.Job) ([]*queueBatch, error) {
	var batches []*queueBatch
	for i, j := range jobs {
		it, err := encodeJob(j)
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(batches, func(b *queueBatch) bool { return b.state.name == j.Queue })
		if at < 0 {
			at = len(batches)
			batches = append(batches, &queueBatch{state: e.state(j.Queue)})
		}
		b := batches[at]
		b.jobs, b.positions = append(b.jobs, it), append(b.positions, i)
	}
	return batches, nil
}

// checkRoom checks that every queue has room for its share, before any is written.
func (e *Engine) checkRoom(ctx context.Context, l *links, batches []*queueBatch) error {
	for _, b := range batches {
		n, err := l.enqueue.Do(ctx, l.enqueue.B().Hget().Key(b.state.keys[0]).Field("n").Build()).AsInt64()
		if err != nil && !rueidis.IsRedisNil(err) {
			return err
		}
		if int(n)+len(b.jobs) > e.opts.MaxDepth {
			return e.fullError(b.state.name)
		}
	}
	return nil
}

func (e *Engine) fullError(name string) error {
	return fmt.Errorf("%s holds %d jobs at most: %w", name, e.opts.MaxDepth, queue.ErrFull)
}

// enqueueCalls sends the jobs of several calls to the script, and answers each.
func (q *queueState) enqueueCalls(ctx context.Context, calls [][]encodedJob) ([]batch.Result[string], error) {
	ctx, cancel := q.e.withTimeout(ctx)
	defer cancel()
	answer, err := q.enqueueJobs(ctx, calls)
	if err != nil {
		return nil, err
	}
	results := make([]batch.Result[string], len(calls))
	for i, jobs := range calls {
		switch n := len(jobs); {
		case len(answer) < n:
			results[i].Err = fmt.Errorf("%w: it answered for too few jobs", queue.ErrUnavailable)
		case answer[0] == 'F':
			results[i].Err, answer = q.e.fullError(q.name), answer[n:]
		default:
			results[i].Value, answer = answer[:n], answer[n:]
		}
	}
	return results, nil
}

// enqueueJobs returns a character for each job, once all are as durable as promised.
func (q *queueState) enqueueJobs(ctx context.Context, calls [][]encodedJob) (string, error) {
	l, err := q.e.connect(ctx)
	if err != nil {
		return "", err
	}
	if err := q.e.verifyServers(ctx, l); err != nil {
		return "", err
	}
	if err := q.register(ctx, l.enqueue); err != nil {
		return "", memoryError(err)
	}
	made, answer, err := q.runDurably(ctx, l, q.enqueueArgs(calls))
	if made || err != nil {
		q.maybeNew.Store(true)
	}
	if err != nil {
		return "", memoryError(err)
	}
	if q.maybeNew.Load() {
		if err := q.restoreQueue(ctx, l); err != nil {
			return "", memoryError(err)
		}
		q.maybeNew.Store(false)
	}
	return answer, q.e.verifyServers(ctx, l) // the call may have opened a new connection
}

// memoryError turns Redis' out-of-memory error into ErrFull.
func memoryError(err error) error {
	if r, ok := rueidis.IsRedisErr(err); ok && strings.HasPrefix(r.Error(), "OOM") {
		return fmt.Errorf("redis has no memory left: %w", queue.ErrFull)
	}
	return err
}

func (q *queueState) enqueueArgs(calls [][]encodedJob) []string {
	e, n := q.e, 0
	for _, jobs := range calls {
		n += len(jobs)
	}
	args := make([]string, 0, 8+len(calls)+3*n)
	args = append(args, q.commonArgs()...)
	args = append(args,
		strconv.Itoa(e.opts.MaxDepth),
		strconv.FormatInt(e.clock.ticks(e.opts.Window/2), 10),
		// From the start of its generation to the end of the second after it.
		strconv.FormatInt((e.opts.Window+e.opts.Window/2+time.Minute).Milliseconds(), 10),
		strconv.Itoa(len(calls)))
	for _, jobs := range calls {
		args = append(args, strconv.Itoa(len(jobs)))
	}
	for _, jobs := range calls {
		for _, it := range jobs {
			args = append(args, it.lane, it.hash, it.payload)
		}
	}
	return args
}

// restoreQueue restores the limit of a queue that did not exist: it is new, or Redis has
// lost its data. It does nothing if another process was faster.
func (q *queueState) restoreQueue(ctx context.Context, l *links) error {
	q.registered.Store(false)
	if err := q.register(ctx, l.enqueue); err != nil {
		return err
	}
	limit := q.limit.Load()
	if limit == nil {
		return nil
	}
	has, err := l.enqueue.Do(ctx, l.enqueue.B().Hexists().Key(q.keys[0]).Field("gap").Build()).AsBool()
	if err != nil || has {
		return err
	}
	return q.setLimit(ctx, l, *limit)
}

package redisqueue

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// item is a job as the script wants it.
type item struct{ lane, hash, payload string }

func itemOf(j queue.Job) (item, error) {
	if j.Queue == "" || j.ID == "" && len(j.Body) > 0 {
		return item{}, errors.New("enqueue: a job needs a queue, and an ID when it has a body")
	}
	if len(j.ID) > math.MaxUint16 {
		return item{}, fmt.Errorf("enqueue: an ID of %d bytes is too long", len(j.ID))
	}
	b := make([]byte, 0, 3+len(j.ID)+len(j.Body))
	b = append(b, 0)                                        // flags
	b = binary.BigEndian.AppendUint16(b, uint16(len(j.ID))) //nolint:gosec // checked above
	b = append(append(b, j.ID...), j.Body...)
	it := item{lane: j.Lane, payload: rueidis.BinaryString(b)}
	if j.ID != "" {
		sum := sha256.Sum256([]byte(j.ID))
		it.hash = string(sum[:12])
	}
	return it, nil
}

// share is what one Enqueue asks of one queue.
type share struct {
	part  *part
	items []item
	where []int // of the jobs in the caller's batch
	call  *call
}

// Enqueue implements queue.Queue.
func (e *Engine) Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error) {
	shares, err := e.split(jobs)
	if err != nil {
		return nil, err
	}
	if e.shut.Load() {
		return nil, e.fail(ctx, "enqueue", queue.ErrClosed)
	}
	if err := ctx.Err(); err != nil || len(jobs) == 0 {
		return nil, err
	}
	if len(shares) > 1 && e.maxDepth > 0 {
		if err := e.room(ctx, shares); err != nil {
			return nil, e.fail(ctx, "enqueue", err)
		}
	}
	for _, s := range shares {
		if s.call, err = s.part.add(s.items); err != nil {
			return nil, e.fail(ctx, "enqueue", err)
		}
	}
	added := make([]bool, len(jobs))
	for _, s := range shares {
		select {
		case <-s.call.done:
		case <-ctx.Done(): // what is on its way may still be added
			return nil, e.fail(ctx, "enqueue", ctx.Err())
		}
		if s.call.err != nil {
			return nil, e.fail(ctx, "enqueue in "+s.part.name, s.call.err)
		}
		for i, at := range s.where {
			added[at] = s.call.added[i] == '1'
		}
	}
	return added, nil
}

// split sorts jobs by queue.
func (e *Engine) split(jobs []queue.Job) ([]*share, error) {
	var shares []*share
	find := func(name string) *share {
		for _, s := range shares {
			if s.part.name == name {
				return s
			}
		}
		s := &share{part: e.part(name)}
		shares = append(shares, s)
		return s
	}
	for i, j := range jobs {
		it, err := itemOf(j)
		if err != nil {
			return nil, err
		}
		s := find(j.Queue)
		s.items, s.where = append(s.items, it), append(s.where, i)
	}
	return shares, nil
}

// room looks whether all of the queues can take their share, before any does.
func (e *Engine) room(ctx context.Context, shares []*share) error {
	l, err := e.connect(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := e.bound(ctx)
	defer cancel()
	for _, s := range shares {
		n, err := l.enqueue.Do(ctx, l.enqueue.B().Hget().Key(s.part.keys[0]).Field("n").Build()).AsInt64()
		if err != nil && !rueidis.IsRedisNil(err) {
			return err
		}
		if int(n)+len(s.items) > e.maxDepth {
			return e.tooMany(s.part.name)
		}
	}
	return nil
}

func (e *Engine) tooMany(name string) error {
	return fmt.Errorf("%s holds %d jobs at most: %w", name, e.maxDepth, queue.ErrFull)
}

// send sends the calls of one batch to the script, and answers each.
func (p *part) send(calls []*call) {
	ctx, cancel := p.e.bound(context.WithoutCancel(p.e.live))
	defer cancel()
	answer, err := p.deliver(ctx, calls)
	for _, c := range calls {
		switch n := len(c.items); {
		case err != nil:
			c.err = err
		case len(answer) < n:
			c.err = fmt.Errorf("%w: it answered for too few jobs", queue.ErrUnavailable)
		case answer[0] == 'F':
			c.err, answer = p.e.tooMany(p.name), answer[n:]
		default:
			c.added, answer = answer[:n], answer[n:]
		}
		close(c.done)
	}
}

// deliver returns a character for each job, once all are as durable as promised.
func (p *part) deliver(ctx context.Context, calls []*call) (string, error) {
	l, err := p.e.connect(ctx)
	if err != nil {
		return "", err
	}
	if err := p.e.trusted(ctx, l); err != nil {
		return "", err
	}
	if err := p.register(ctx, l.enqueue); err != nil {
		return "", full(err)
	}
	made, answer, err := p.durably(ctx, l, p.arguments(calls))
	if made || err != nil {
		p.perhapsNew.Store(true)
	}
	if err != nil {
		return "", full(err)
	}
	if p.perhapsNew.Load() {
		if err := p.anew(ctx, l); err != nil {
			return "", full(err)
		}
		p.perhapsNew.Store(false)
	}
	return answer, p.e.trusted(ctx, l) // the call itself may have made a connection
}

// full gives a server without memory its name.
func full(err error) error {
	if r, ok := rueidis.IsRedisErr(err); ok && strings.HasPrefix(r.Error(), "OOM") {
		return fmt.Errorf("redis has no memory left: %w", queue.ErrFull)
	}
	return err
}

func (p *part) arguments(calls []*call) []string {
	e, n := p.e, 0
	for _, c := range calls {
		n += len(c.items)
	}
	args := make([]string, 0, 8+len(calls)+3*n)
	args = append(args, p.head()...)
	args = append(args,
		strconv.Itoa(e.maxDepth),
		strconv.FormatInt(e.clock.ticks(e.window/2), 10),
		// From the start of its generation to the end of the second after it.
		strconv.FormatInt((e.window+e.window/2+time.Minute).Milliseconds(), 10),
		strconv.Itoa(len(calls)))
	for _, c := range calls {
		args = append(args, strconv.Itoa(len(c.items)))
	}
	for _, c := range calls {
		for _, it := range c.items {
			args = append(args, it.lane, it.hash, it.payload)
		}
	}
	return args
}

// anew is for a queue that was not there: it may be new, or Redis has lost all.
// It gets its limit, unless another process was faster.
func (p *part) anew(ctx context.Context, l *links) error {
	p.registered.Store(false)
	if err := p.register(ctx, l.enqueue); err != nil {
		return err
	}
	limit := p.limit.Load()
	if limit == nil {
		return nil
	}
	has, err := l.enqueue.Do(ctx, l.enqueue.B().Hexists().Key(p.keys[0]).Field("gap").Build()).AsBool()
	if err != nil || has {
		return err
	}
	return p.setLimit(ctx, l, *limit)
}

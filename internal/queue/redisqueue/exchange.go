package redisqueue

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// Exchange implements queue.Queue.
func (e *Engine) Exchange(ctx context.Context, name string, outcomes []queue.Outcome, want int, lease time.Duration) (queue.Batch, error) {
	if err := queue.CheckExchange(outcomes, want, lease); err != nil {
		return queue.Batch{}, err
	}
	dead := 0
	for _, o := range outcomes {
		if o.Verdict == queue.Dead {
			dead++
		}
	}
	var b queue.Batch
	err := e.call(ctx, "exchange", func(ctx context.Context, l *links) (err error) {
		b, err = e.exchange(ctx, l, e.state(name), outcomes, dead, want, lease)
		return err
	})
	return b, err
}

func (e *Engine) exchange(ctx context.Context, l *links, q *queueState, outcomes []queue.Outcome, dead, want int, lease time.Duration) (queue.Batch, error) {
	var last int64 // last number reserved for dead letters
	if dead > 0 {
		c := l.exchange
		var err error
		if last, err = c.Do(ctx, c.B().Incrby().Key(e.deadCounterKey()).Increment(int64(dead)).Build()).AsInt64(); err != nil {
			return queue.Batch{}, err
		}
	}
	nonce := rand.Text()[:10]
	began := time.Now()
	r := eval(ctx, l.exchange, e.scripts.exchange, q.keys, e.exchangeArgs(q, outcomes, want, lease, nonce, last-int64(dead)+1))
	b, used, err := q.parseExchange(r, nonce)
	if err != nil {
		return queue.Batch{}, err
	}
	if used < 0 { // no such queue
		for _, o := range outcomes {
			b.Refused = append(b.Refused, o.Lane)
		}
		q.registered.Store(false) // a server without the queue may have lost the registry too
		b.Next, used = e.opts.MaxDelay, 0
	} else if err := q.register(ctx, l.exchange); err != nil {
		e.opts.Log.Warn("queue could not be registered: its stats are missing for now", "queue", q.name, "error", err)
	}
	if used < dead {
		// A failure only leaves a gap in the numbering.
		keys := []string{e.deadCounterKey()}
		_ = eval(ctx, l.exchange, e.scripts.deadIDsReturn, keys, []string{formatInt(last), formatInt(last - int64(dead-used))}).Error()
	}
	b.Next = max(0, min(b.Next, e.opts.MaxDelay))
	q.waker.noteDue(began, b.Next)
	return b, nil
}

func formatInt(n int64) string { return strconv.FormatInt(n, 10) }

func (e *Engine) exchangeArgs(q *queueState, outcomes []queue.Outcome, want int, lease time.Duration, nonce string, letter int64) []string {
	args := make([]string, 0, 9+5*len(outcomes))
	args = append(args, q.commonArgs()...)
	args = append(args,
		strconv.Itoa(max(want, 0)), formatInt(e.clock.ticks(min(lease, e.opts.MaxDelay))), formatInt(e.clock.ticks(e.opts.MaxDelay)),
		nonce, formatInt(letter), strconv.Itoa(len(outcomes)))
	for _, o := range outcomes {
		args = append(args, o.Lane, o.Token, strconv.Itoa(int(o.Verdict)), formatInt(e.clock.ticks(min(max(o.Delay, 0), e.opts.MaxDelay))), o.Err)
	}
	return args
}

var errReply = errors.New("unexpected reply")

// parseExchange parses the script's result. used is -1 if the queue does not exist.
func (q *queueState) parseExchange(r rueidis.RedisResult, nonce string) (b queue.Batch, used int, err error) {
	m, err := r.ToArray()
	if err != nil || len(m) == 0 {
		return b, -1, err
	}
	if len(m) != 5 {
		return b, 0, errReply
	}
	next, err1 := m[0].AsInt64()
	n, err2 := m[1].AsInt64()
	refused, err3 := m[2].AsStrSlice()
	counter, err4 := m[3].AsInt64()
	claims, err5 := m[4].ToArray()
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return b, 0, err
	}
	if len(refused) > 0 {
		b.Refused = refused
	}
	b.Next = q.e.clock.duration(min(next, math.MaxInt64/1000))
	for i := 0; i+2 < len(claims); i += 3 {
		c := queue.Claim{Token: formatInt(counter+int64(i/3)) + "." + nonce}
		lane, err1 := claims[i].ToString()
		tries, err2 := claims[i+1].AsInt64()
		entry, err3 := claims[i+2].AsBytes()
		if err := errors.Join(err1, err2, err3); err != nil {
			return b, 0, err
		}
		c.Attempt, c.Suspect = int(tries/2), tries%2 == 1
		if c.Job, c.EnqueuedAt, c.Redriven, err = q.parseEntry(lane, entry); err != nil {
			return b, 0, err
		}
		b.Claims = append(b.Claims, c)
	}
	return b, int(n), nil
}

// sequenceBytes is the length of the sequence at the start of an entry.
const sequenceBytes = 6

// parseEntry parses an entry of a lane, without its sequence.
func (q *queueState) parseEntry(lane string, entry []byte) (j queue.Job, enqueued time.Time, redriven bool, err error) {
	const head = 11
	if len(entry) < head {
		return j, enqueued, false, errReply
	}
	length := head + int(binary.BigEndian.Uint16(entry[9:]))
	if len(entry) < length {
		return j, enqueued, false, errReply
	}
	j = queue.Job{Queue: q.name, Lane: lane, ID: string(entry[head:length])}
	if len(entry) > length {
		j.Body = entry[length:]
	}
	at := math.Float64frombits(binary.BigEndian.Uint64(entry))
	return j, q.e.clock.moment(at), entry[8]&1 == 1, nil
}

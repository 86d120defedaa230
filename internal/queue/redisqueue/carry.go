package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// A queue that is moved here is in order when all of it is here.
const (
	moveBegun    = "moving"
	moveFinished = "finished"
)

// ErrMoving means that only a part of a queue that is being moved is here.
var ErrMoving = errors.New("the queue is still being moved here")

func (e *Engine) moveKey() string { return "{" + e.prefix + "}:move" }

// Complete refuses with ErrMoving while a move here has not been finished.
func (e *Engine) Complete(ctx context.Context) error {
	_, finished, err := e.MovedFrom(ctx)
	if err == nil && !finished {
		err = fmt.Errorf("%w: run psi-router queue move again, on the machine and with the data_dir of the file", ErrMoving)
	}
	return err
}

// MovedFrom says which installation was moved here, "" for none, and whether all
// of it is here.
func (e *Engine) MovedFrom(ctx context.Context) (source string, finished bool, err error) {
	l, err := e.connect(ctx)
	if err != nil {
		return "", false, e.fail(ctx, "read move", err)
	}
	call, cancel := e.bound(ctx)
	defer cancel()
	f, err := l.exchange.Do(call, l.exchange.B().Hgetall().Key(e.moveKey()).Build()).AsStrMap()
	if err != nil {
		return "", false, e.fail(ctx, "read move", err)
	}
	return f["source"], f["state"] != moveBegun, nil
}

// Move notes that an installation is being moved here, or that all of it is.
func (e *Engine) Move(ctx context.Context, source string, finished bool) error {
	l, err := e.connect(ctx)
	if err != nil {
		return e.fail(ctx, "note move", err)
	}
	call, cancel := e.bound(ctx)
	defer cancel()
	state := moveBegun
	if finished {
		state = moveFinished
	}
	c := l.exchange
	err = c.Do(call, c.B().Hset().Key(e.moveKey()).FieldValue().FieldValue("source", source).FieldValue("state", state).Build()).Error()
	return e.fail(ctx, "note move", err)
}

// Load adds waiting jobs as Enqueue does, and says how many were not here yet.
// Those that came back from the dead letters stay marked; their age begins anew.
func (e *Engine) Load(ctx context.Context, jobs []queue.Waiting) (added int, err error) {
	plain := make([]queue.Job, len(jobs))
	for i, w := range jobs {
		plain[i] = w.Job
	}
	shares, err := e.split(plain)
	if err != nil {
		return 0, err
	}
	for _, s := range shares {
		for i, at := range s.where {
			if jobs[at].Redriven {
				s.items[i].payload = "\x01" + s.items[i].payload[1:]
			}
		}
		if s.call, err = s.part.add(s.items); err != nil {
			return 0, e.fail(ctx, "load", err)
		}
	}
	for _, s := range shares {
		select {
		case <-s.call.done:
		case <-ctx.Done():
			return 0, e.fail(ctx, "load", ctx.Err())
		}
		if s.call.err != nil {
			return 0, e.fail(ctx, "load into "+s.part.name, s.call.err)
		}
		for i := range s.where {
			if s.call.added[i] == '1' {
				added++
			}
		}
	}
	return added, nil
}

// LoadDead adds dead letters of another engine, the oldest first. They keep their
// IDs where nobody else has them; one that came already is passed over.
func (e *Engine) LoadDead(ctx context.Context, letters []queue.DeadLetter) (added int, err error) {
	text, err := bury()
	if err != nil {
		return 0, err
	}
	byQueue := map[string][]string{}
	for _, d := range letters {
		it, err := itemOf(d.Job)
		if err != nil {
			return 0, fmt.Errorf("dead letter %d: %w", d.ID, err)
		}
		byQueue[d.Job.Queue] = append(byQueue[d.Job.Queue], number(d.ID), it.payload, number(e.clock.at(d.Enqueued)), it.lane,
			strconv.Itoa(d.Attempts), d.Err, number(e.clock.at(d.Died)))
	}
	l, err := e.connect(ctx)
	if err != nil {
		return 0, e.fail(ctx, "load dead letters", err)
	}
	call, cancel := e.bound(ctx)
	defer cancel()
	for name, args := range byQueue {
		n, err := e.part(name).bury(call, l, text, args)
		if err != nil {
			return added, e.fail(ctx, "load dead letters", err)
		}
		added += n
	}
	return added, nil
}

func (p *part) bury(ctx context.Context, l *links, s script, args []string) (int, error) {
	if err := p.register(ctx, l.exchange); err != nil {
		return 0, err
	}
	m, err := p.surely(ctx, l, s, args)
	if err != nil {
		return 0, err
	}
	if len(m) != 2 {
		return 0, errReply
	}
	// New letters get numbers behind these.
	c := l.exchange
	have, err := c.Do(ctx, c.B().Get().Key(p.e.numbers()).Build()).AsInt64()
	if err != nil && !rueidis.IsRedisNil(err) {
		return 0, err
	}
	if have < m[1] {
		err = c.Do(ctx, c.B().Set().Key(p.e.numbers()).Value(number(m[1])).Build()).Error()
	} else {
		err = nil
	}
	return int(m[0]), err
}

// surely runs a script that returns numbers, and waits as Enqueue does.
func (p *part) surely(ctx context.Context, l *links, s script, args []string) (m []int64, err error) {
	e := p.e
	if e.durability == "relaxed" || e.durability == "fsync" && !l.waitAOF {
		return p.run(ctx, l.exchange, s, args...).AsIntSlice()
	}
	args = append(p.head(), args...)
	err = l.exchange.Dedicated(func(c rueidis.DedicatedClient) error {
		r := c.DoMulti(ctx, byText(c, s, p.keys, args), e.confirm(c))
		if m, err = r[0].AsIntSlice(); err != nil {
			return err
		}
		return e.confirmed(r[1])
	})
	return m, err
}

// bury is a script that only a move needs.
func bury() (script, error) {
	common, err := lua.ReadFile("lua/common.lua")
	if err != nil {
		return script{}, err
	}
	text, err := lua.ReadFile("lua/bury.lua")
	if err != nil {
		return script{}, err
	}
	const first = "#!lua\n"
	return newScript(first + string(common) + string(text[len(first):])), nil
}

// at is a moment in ticks.
func (c clock) at(t time.Time) int64 {
	return int64(t.Sub(c.epoch) / c.tick)
}

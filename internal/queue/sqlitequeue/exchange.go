package sqlitequeue

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/sqlite"
)

// Exchange implements queue.Queue.
func (e *Engine) Exchange(ctx context.Context, name string, outcomes []queue.Outcome, want int, lease time.Duration) (queue.Batch, error) {
	if err := queue.CheckExchange(outcomes, want, lease); err != nil {
		return queue.Batch{}, err
	}
	var out queue.Batch
	err := e.write(ctx, "exchange", func(tx *sqlite.Tx) (err error) {
		out, err = e.exchange(tx, name, outcomes, want, min(lease, e.opts.MaxDelay))
		return err
	})
	if err != nil {
		return queue.Batch{}, err
	}
	return out, nil
}

func (e *Engine) exchange(tx *sqlite.Tx, name string, outcomes []queue.Outcome, want int, lease time.Duration) (queue.Batch, error) {
	var out queue.Batch
	now := e.opts.Now().UnixNano()
	q, err := e.state(tx).load(name)
	if err != nil {
		return out, err
	}
	if q == nil {
		for _, o := range outcomes {
			out.Refused = append(out.Refused, o.Lane)
		}
		out.Next = e.opts.MaxDelay
		return out, nil
	}
	q.tat = q.arrival(now)
	if q.heldUntil > now+int64(e.opts.MaxDelay) {
		q.heldUntil, q.HeldReason = 0, "" // the clock was set back
	}
	if out.Refused, err = e.settle(tx, q, outcomes, now); err != nil {
		return out, err
	}
	if want > 0 {
		if out.Claims, err = e.claim(tx, q, want, lease, now); err != nil {
			return out, err
		}
	}
	due := int64(never)
	if _, err := tx.Row(`SELECT due FROM lane WHERE queue = ? ORDER BY due LIMIT 1`, []any{q.id}, &due); err != nil {
		return out, fmt.Errorf("find next: %w", err)
	}
	opens := q.opensAt(now)
	out.Next = time.Duration(max(0, min(int64(e.opts.MaxDelay), max(due, opens)-now)))
	tx.OnCommit(func() { e.wakers.set(name, due, opens) })
	return out, nil
}

// leasedLane is a leased lane with the columns that settling needs.
type leasedLane struct {
	lane    int64
	lease   int64
	key     string
	id      int64
	counted int
	err     string
	next    *int64
}

// settle applies the outcomes and returns the lanes whose outcome was refused.
func (e *Engine) settle(tx *sqlite.Tx, q *queueRow, outcomes []queue.Outcome, now int64) (refused []string, err error) {
	if len(outcomes) == 0 {
		return nil, nil
	}
	leased, err := e.leasedLanes(tx, q, outcomes)
	if err != nil {
		return nil, fmt.Errorf("find leases: %w", err)
	}
	var jobs, lanes idList
	for _, o := range outcomes {
		lease, lane, _ := e.parseToken(o.Token)
		h := leased[lane]
		if h == nil || h.lease != lease || h.key != o.Lane {
			refused = append(refused, o.Lane)
			q.Refused++
			continue
		}
		delete(leased, lane) // settled once
		q.InFlight--
		switch o.Verdict {
		case queue.Retry:
			q.Retried++
			h.counted++
			err = e.postpone(tx, h, now, o.Delay, o.Err)
		case queue.Postpone:
			err = e.postpone(tx, h, now, o.Delay, h.err)
		case queue.Done, queue.Dead:
			if o.Verdict == queue.Done {
				q.Done++
			} else if err = insertDead(tx, q, h, cmp.Or(o.Err, h.err), now); err != nil {
				return nil, err
			}
			q.Depth--
			jobs.add(h.id)
			if h.next == nil {
				lanes.add(h.lane)
			} else {
				_, err = tx.Exec(`UPDATE lane SET head = ?, due = ?, lease = 0, counted = 0, suspect = 0, err = '' WHERE id = ?`,
					*h.next, now, h.lane)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("settle: %w", err)
		}
	}
	if err := jobs.exec(tx, `DELETE FROM job WHERE id IN (SELECT value FROM json_each(?))`); err != nil {
		return nil, fmt.Errorf("delete jobs: %w", err)
	}
	if err := lanes.exec(tx, `DELETE FROM lane WHERE id IN (SELECT value FROM json_each(?))`); err != nil {
		return nil, fmt.Errorf("delete lanes: %w", err)
	}
	return refused, nil
}

// leasedLanes returns the lanes named by the outcomes' tokens, as far as they are leased.
func (e *Engine) leasedLanes(tx *sqlite.Tx, q *queueRow, outcomes []queue.Outcome) (map[int64]*leasedLane, error) {
	var named idList
	for _, o := range outcomes {
		if _, lane, ok := e.parseToken(o.Token); ok {
			named.add(lane)
		}
	}
	leased := make(map[int64]*leasedLane, len(outcomes))
	if len(named) == 0 {
		return leased, nil
	}
	return leased, tx.Each(`SELECT l.id, l.lease, l.key, l.head, l.counted, l.err,
			(SELECT min(id) FROM job WHERE lane = l.id AND id > l.head)
		FROM json_each(?) AS named CROSS JOIN lane AS l ON l.id = named.value WHERE l.lease > 0 AND l.queue = ?`,
		[]any{string(named), q.id}, func(row *sql.Rows) error {
			h := &leasedLane{}
			err := row.Scan(&h.lane, &h.lease, textScanner{&h.key}, &h.id, &h.counted, &h.err, &h.next)
			leased[h.lane] = h
			return err
		})
}

func (e *Engine) postpone(tx *sqlite.Tx, h *leasedLane, now int64, delay time.Duration, why string) error {
	due := now + int64(min(max(delay, 0), e.opts.MaxDelay))
	_, err := tx.Exec(`UPDATE lane SET due = ?, lease = 0, counted = ?, err = ? WHERE id = ?`, due, h.counted, why, h.lane)
	return err
}

func insertDead(tx *sqlite.Tx, q *queueRow, h *leasedLane, why string, now int64) error {
	q.Dead++
	_, err := tx.Exec(`INSERT INTO dead (queue, lane, key, body, attempts, err, enqueued, died)
		SELECT ?, ?, key, body, ?, ?, enqueued, ? FROM job WHERE id = ?`, q.id, []byte(h.key), h.counted+1, why, now, h.id)
	return err
}

// claim hands out the heads of due lanes. The last statement leases all of them; a lease
// that it replaces has run out.
func (e *Engine) claim(tx *sqlite.Tx, q *queueRow, want int, lease time.Duration, now int64) ([]queue.Claim, error) {
	_, err := tx.Exec(`UPDATE lane SET due = CASE lease WHEN 0 THEN ?1 ELSE ?2 END WHERE queue = ?3 AND due > ?4`,
		now, now+int64(lease), q.id, now+int64(e.opts.MaxDelay))
	if err != nil {
		return nil, fmt.Errorf("pull in: %w", err)
	}
	if want = q.allowance(now, want); want == 0 {
		return nil, nil
	}
	e.lease++
	var claims []queue.Claim
	var lanes idList
	err = tx.Each(`SELECT l.id, l.key, l.lease, l.counted, l.suspect, j.enqueued, j.redriven, j.key, j.body
		FROM lane l JOIN job j ON j.id = l.head WHERE l.queue = ? AND l.due <= ? ORDER BY l.due, l.head LIMIT ?`, []any{q.id, now, want}, func(row *sql.Rows) error {
		var lane, old, enqueued int64
		var key, id []byte
		c := queue.Claim{}
		if err := row.Scan(&lane, &key, &old, &c.Attempt, &c.Suspect, &enqueued, &c.Redriven, &id, &c.Body); err != nil {
			return err
		}
		if old != 0 {
			q.Stalled++
			q.InFlight--
			if c.Suspect {
				c.Attempt++
			}
			c.Suspect = true
		}
		c.Attempt++
		c.Queue, c.Lane, c.ID = q.Name, string(key), string(id)
		c.Token, c.EnqueuedAt = e.token(e.lease, lane), fromNanos(enqueued)
		claims = append(claims, c)
		lanes.add(lane)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find due lanes: %w", err)
	}
	q.InFlight += int64(len(claims))
	q.charge(now, len(claims))
	err = lanes.exec(tx, `UPDATE lane SET counted = counted + (lease <> 0 AND suspect), suspect = suspect OR lease <> 0, lease = ?2, due = ?3
		WHERE id IN (SELECT value FROM json_each(?1))`, e.lease, now+int64(lease))
	if err != nil {
		return nil, fmt.Errorf("lease: %w", err)
	}
	return claims, nil
}

// token names a lease: its number, the lane, and the process that granted it.
func (e *Engine) token(lease, lane int64) string {
	return strconv.FormatInt(lease, 10) + "." + strconv.FormatInt(lane, 10) + "." + e.nonce
}

func (e *Engine) parseToken(token string) (lease, lane int64, ok bool) {
	a, rest, _ := strings.Cut(token, ".")
	b, nonce, _ := strings.Cut(rest, ".")
	lease, err1 := strconv.ParseInt(a, 10, 64)
	lane, err2 := strconv.ParseInt(b, 10, 64)
	if err1 != nil || err2 != nil || nonce != e.nonce {
		return 0, 0, false
	}
	return lease, lane, true
}

// idList is a JSON array of ids, so that one prepared statement takes any number of them.
type idList []byte

func (l *idList) add(id int64) {
	if len(*l) == 0 {
		*l = append(*l, '[')
	} else {
		(*l)[len(*l)-1] = ','
	}
	*l = append(strconv.AppendInt(*l, id, 10), ']')
}

func (l idList) exec(tx *sqlite.Tx, query string, args ...any) error {
	if len(l) == 0 {
		return nil
	}
	_, err := tx.Exec(query, append([]any{string(l)}, args...)...)
	return err
}

package sqlitequeue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/sqlite"
)

// Hold implements queue.Queue.
func (e *Engine) Hold(ctx context.Context, name string, until time.Time, reason string) error {
	if until.IsZero() {
		reason = ""
	}
	return e.changeSetting(ctx, "hold", name, true, func(r *queueRow) {
		r.heldUntil, r.HeldReason = min(toNanos(until), e.opts.Now().Add(e.opts.MaxDelay).UnixNano()), reason
	})
}

// SetLimit implements queue.Queue.
func (e *Engine) SetLimit(ctx context.Context, name string, limit queue.Limit) error {
	return e.changeSetting(ctx, "set limit", name, true, func(r *queueRow) {
		r.Limit = limit
		r.tat = r.arrival(e.opts.Now().UnixNano())
	})
}

// Pause implements queue.Operator.
func (e *Engine) Pause(ctx context.Context, name string) error {
	return e.changeSetting(ctx, "pause", name, false, func(r *queueRow) { r.Paused = true })
}

// Resume implements queue.Operator.
func (e *Engine) Resume(ctx context.Context, name string) error {
	return e.changeSetting(ctx, "resume", name, false, func(r *queueRow) { r.Paused = false })
}

func (e *Engine) changeSetting(ctx context.Context, what, name string, create bool, set func(*queueRow)) error {
	return e.write(ctx, what, func(tx *sqlite.Tx) error {
		st := e.state(tx)
		find := st.load
		if create {
			find = st.loadOrCreate
		}
		r, err := find(name)
		if err != nil {
			return err
		}
		if r == nil {
			return fmt.Errorf("queue %q: %w", name, queue.ErrNotFound)
		}
		set(r)
		opens := r.opensAt(e.opts.Now().UnixNano())
		tx.OnCommit(func() { e.wakers.change(name, func(w *waker) { w.opens = opens }) })
		return nil
	})
}

// Stats implements queue.Operator.
func (e *Engine) Stats(ctx context.Context, queues ...string) ([]queue.Stats, error) {
	var all []queue.Stats
	err := e.read(ctx, "stats", func(tx *sqlite.Tx) error {
		now := e.opts.Now()
		return tx.Each(`SELECT `+rowColumns+`,
			(SELECT enqueued FROM job WHERE job.id BETWEEN queue.id << 40 AND (queue.id + 1 << 40) - 1 ORDER BY job.id LIMIT 1)
			FROM queue ORDER BY name`, nil, func(row *sql.Rows) error {
			var r queueRow
			var oldest sql.Null[int64]
			if err := row.Scan(append(r.fields(), &oldest)...); err != nil {
				return err
			}
			if oldest.Valid {
				r.OldestAge = max(0, now.Sub(fromNanos(oldest.V)))
			}
			if r.HeldUntil = fromNanos(r.heldUntil); !r.HeldUntil.After(now) {
				r.HeldUntil, r.HeldReason = time.Time{}, ""
			}
			if len(queues) == 0 || slices.Contains(queues, r.Name) {
				all = append(all, r.Stats)
			}
			return nil
		})
	})
	return all, err
}

const deadColumns = `dead.id, name, lane, key, attempts, err, dead.enqueued, died`

func deadFields(d *queue.DeadLetter, enqueued, died *int64) []any {
	return []any{&d.ID, &d.Job.Queue, textScanner{&d.Job.Lane}, textScanner{&d.Job.ID}, &d.Attempts, &d.Err, enqueued, died}
}

// textScanner scans bytes into a string.
type textScanner struct{ s *string }

// Scan implements sql.Scanner.
func (t textScanner) Scan(v any) error {
	b, _ := v.([]byte)
	*t.s = string(b)
	return nil
}

// Dead implements queue.Operator.
func (e *Engine) Dead(ctx context.Context, name string, before int64, limit int) ([]queue.DeadLetter, error) {
	if before <= 0 {
		before = never
	}
	// Two statements, because a condition that may be off keeps SQLite from using the
	// index.
	query, args := `SELECT `+deadColumns+` FROM dead JOIN queue ON queue.id = dead.queue WHERE dead.id < ? ORDER BY dead.id DESC LIMIT ?`,
		[]any{before, limit}
	if name != "" {
		query = `SELECT ` + deadColumns + ` FROM queue JOIN dead ON dead.queue = queue.id
			WHERE queue.name = ? AND dead.id < ? ORDER BY dead.id DESC LIMIT ?`
		args = slices.Insert(args, 0, any(name))
	}
	var page []queue.DeadLetter
	err := e.read(ctx, "list dead letters", func(tx *sqlite.Tx) error {
		return tx.Each(query, args, func(row *sql.Rows) error {
			var d queue.DeadLetter
			var enqueued, died int64
			if err := row.Scan(deadFields(&d, &enqueued, &died)...); err != nil {
				return err
			}
			d.Enqueued, d.Died = fromNanos(enqueued), fromNanos(died)
			page = append(page, d)
			return nil
		})
	})
	return page, err
}

// DeadLetter implements queue.Operator.
func (e *Engine) DeadLetter(ctx context.Context, id int64) (queue.DeadLetter, error) {
	var d queue.DeadLetter
	err := e.read(ctx, "dead letter", func(tx *sqlite.Tx) (err error) {
		d, err = deadLetter(tx, id)
		return err
	})
	return d, err
}

func deadLetter(tx *sqlite.Tx, id int64) (queue.DeadLetter, error) {
	var d queue.DeadLetter
	var enqueued, died int64
	found, err := tx.Row(`SELECT `+deadColumns+`, body FROM dead JOIN queue ON queue.id = dead.queue WHERE dead.id = ?`,
		[]any{id}, append(deadFields(&d, &enqueued, &died), &d.Job.Body)...)
	if err == nil && !found {
		err = fmt.Errorf("%d: %w", id, queue.ErrNotFound)
	}
	d.Enqueued, d.Died = fromNanos(enqueued), fromNanos(died)
	return d, err
}

// Redrive implements queue.Operator.
func (e *Engine) Redrive(ctx context.Context, ids []int64) (int, error) {
	return e.takeDead(ctx, "redrive", ids, func(tx *sqlite.Tx, q *queueRow, d queue.DeadLetter) error {
		return e.push(tx, q, d.Job, e.opts.Now().UnixNano(), true)
	})
}

// Drop implements queue.Operator.
func (e *Engine) Drop(ctx context.Context, ids []int64) (int, error) {
	return e.takeDead(ctx, "drop", ids, func(_ *sqlite.Tx, q *queueRow, _ queue.DeadLetter) error {
		q.dropped++
		return nil
	})
}

// takeDead takes dead letters out and calls each for them, all in one transaction; it skips
// ids that do not exist.
func (e *Engine) takeDead(ctx context.Context, what string, ids []int64, each func(*sqlite.Tx, *queueRow, queue.DeadLetter) error) (int, error) {
	n := 0
	err := e.write(ctx, what, func(tx *sqlite.Tx) error {
		n = 0
		for _, id := range ids {
			d, err := deadLetter(tx, id)
			if errors.Is(err, queue.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if _, err := tx.Exec(`DELETE FROM dead WHERE id = ?`, id); err != nil {
				return err
			}
			q, err := e.state(tx).load(d.Job.Queue)
			if err != nil {
				return err
			}
			q.Dead--
			if err := each(tx, q, d); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

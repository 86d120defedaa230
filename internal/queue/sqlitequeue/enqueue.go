package sqlitequeue

import (
	"context"
	"errors"
	"fmt"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/sqlite"
)

// Enqueue implements queue.Queue.
func (e *Engine) Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error) {
	hashes := make([]hash, len(jobs))
	for i, j := range jobs {
		if err := j.Check(); err != nil {
			return nil, err
		}
		if j.ID != "" {
			hashes[i] = hashOf(j)
		}
	}
	if len(jobs) == 0 {
		return nil, ctx.Err()
	}
	added := make([]bool, len(jobs))
	err := e.write(ctx, "enqueue", func(tx *sqlite.Tx) error {
		clear(added)
		return e.enqueue(tx, jobs, hashes, added)
	})
	if errors.Is(err, sqlite.ErrBusy) {
		err = fmt.Errorf("enqueue: %w: %w", queue.ErrFull, sqlite.ErrBusy)
	}
	if err != nil {
		return nil, err
	}
	return added, nil
}

func (e *Engine) enqueue(tx *sqlite.Tx, jobs []queue.Job, hashes []hash, added []bool) error {
	st, now := e.state(tx), e.opts.Now().UnixNano()
	if err := e.checkRoom(st, jobs); err != nil {
		return err
	}
	gen := now / int64(e.opts.Window/2)
	if err := e.seen.dropBefore(tx, gen-2); err != nil {
		return err
	}
	for i, j := range jobs {
		q, err := st.loadOrCreate(j.Queue)
		if err != nil {
			return err
		}
		if j.ID != "" {
			added[i] = st.admit(&e.seen, gen, hashes[i])
		} else if added[i], err = wakeupNeeded(tx, q, j.Lane); err != nil {
			return err
		}
		if !added[i] {
			q.Duplicates++
			continue
		}
		q.Enqueued++
		if err := e.push(tx, q, j, now, false); err != nil {
			return err
		}
	}
	return nil
}

// checkRoom checks depth and file size before any write.
func (e *Engine) checkRoom(st *txState, jobs []queue.Job) error {
	if e.opts.MaxPages > 0 && st.usedPages == 0 {
		_, err := st.tx.Row(`SELECT page_count - freelist_count FROM pragma_page_count, pragma_freelist_count`, nil, &st.usedPages)
		if err != nil {
			return fmt.Errorf("find room: %w", err)
		}
	}
	if e.opts.MaxPages > 0 && st.usedPages > int64(e.opts.MaxPages) {
		return fmt.Errorf("%w: its file has reached %d pages", queue.ErrUnavailable, e.opts.MaxPages)
	}
	if e.opts.MaxDepth == 0 {
		return nil
	}
	room := map[string]int64{}
	for _, j := range jobs {
		if _, counted := room[j.Queue]; !counted {
			q, err := st.load(j.Queue)
			if err != nil {
				return err
			}
			room[j.Queue] = int64(e.opts.MaxDepth)
			if q != nil {
				room[j.Queue] -= q.Depth
			}
		}
		room[j.Queue]--
		if room[j.Queue] < 0 {
			return fmt.Errorf("%s holds %d jobs at most: %w", j.Queue, e.opts.MaxDepth, queue.ErrFull)
		}
	}
	return nil
}

// wakeupNeeded reports whether a wake-up has to be added: not if a job without a lease
// waits in the lane, because that job will see the change.
func wakeupNeeded(tx *sqlite.Tx, q *queueRow, lane string) (bool, error) {
	var waiting bool
	_, err := tx.Row(`SELECT l.lease = 0 OR EXISTS (SELECT 1 FROM job WHERE lane = l.id AND id > l.head)
		FROM lane l WHERE l.queue = ? AND l.key = ?`, []any{q.id, []byte(lane)}, &waiting)
	return !waiting, err
}

// push puts a job at the tail of its lane.
func (e *Engine) push(tx *sqlite.Tx, q *queueRow, j queue.Job, now int64, redriven bool) error {
	q.last++
	q.Depth++
	id := q.id<<40 | q.last
	r, err := tx.Exec(`INSERT OR IGNORE INTO lane (queue, key, due, head) VALUES (?, ?, ?, ?)`, q.id, []byte(j.Lane), now, id)
	if err != nil {
		return fmt.Errorf("insert lane: %w", err)
	}
	made, err := r.RowsAffected()
	if err != nil {
		return err
	}
	var lane int64
	if made == 1 {
		if lane, err = r.LastInsertId(); err != nil {
			return err
		}
		tx.OnCommit(func() { e.wakers.change(j.Queue, func(w *waker) { w.due = min(w.due, now) }) })
	} else if _, err := tx.Row(`SELECT id FROM lane WHERE queue = ? AND key = ?`, []any{q.id, []byte(j.Lane)}, &lane); err != nil {
		return fmt.Errorf("find lane: %w", err)
	}
	if _, err := tx.Exec(`INSERT INTO job (id, lane, enqueued, redriven, key, body) VALUES (?, ?, ?, ?, ?, ?)`,
		id, lane, now, redriven, []byte(j.ID), j.Body); err != nil {
		return fmt.Errorf("insert job: %w", err)
	}
	return nil
}

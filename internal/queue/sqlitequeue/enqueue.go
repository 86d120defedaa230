package sqlitequeue

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/sqlite"
)

// Enqueue implements queue.Queue.
func (e *Engine) Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error) {
	hashes := make([][]byte, len(jobs))
	for i, j := range jobs {
		if j.Queue == "" || j.ID == "" && len(j.Body) > 0 {
			return nil, errors.New("enqueue: a job needs a queue, and an ID when it has a body")
		}
		if j.ID != "" {
			hashes[i] = hash(j)
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

// hash is what is remembered of an ID: 16 bytes, whatever its length.
func hash(j queue.Job) []byte {
	sum := sha256.Sum256([]byte(j.Queue + "\x00" + j.ID))
	return sum[:16]
}

func (e *Engine) enqueue(tx *sqlite.Tx, jobs []queue.Job, hashes [][]byte, added []bool) error {
	b, now := e.book(tx), e.now().UnixNano()
	if err := e.checkRoom(b, jobs); err != nil {
		return err
	}
	gen := now / int64(e.window/2)
	if err := e.purge(tx, gen); err != nil {
		return err
	}
	for i, j := range jobs {
		q, err := b.make(j.Queue)
		if err != nil {
			return err
		}
		if hashes[i] != nil {
			added[i], err = admit(tx, gen, hashes[i])
		} else {
			added[i], err = announces(tx, q, j.Lane)
		}
		if err != nil {
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

// checkRoom comes before anything is written.
func (e *Engine) checkRoom(b *book, jobs []queue.Job) error {
	if e.maxDepth == 0 {
		return nil
	}
	room := map[string]int64{}
	for _, j := range jobs {
		if _, counted := room[j.Queue]; !counted {
			q, err := b.find(j.Queue)
			if err != nil {
				return err
			}
			room[j.Queue] = e.maxDepth
			if q != nil {
				room[j.Queue] -= q.Depth
			}
		}
		room[j.Queue]--
		if room[j.Queue] < 0 {
			return fmt.Errorf("%s holds %d jobs at most: %w", j.Queue, e.maxDepth, queue.ErrFull)
		}
	}
	return nil
}

// admit remembers the hash in the current generation, unless one that still
// counts knows it.
func admit(tx *sqlite.Tx, gen int64, hash []byte) (bool, error) {
	r, err := tx.Exec(`INSERT INTO seen (gen, hash) SELECT ?1, ?2
		WHERE NOT EXISTS (SELECT 1 FROM seen WHERE gen IN (?1, ?1 - 1, ?1 - 2) AND hash = ?2)`, gen, hash)
	if err != nil {
		return false, fmt.Errorf("remember id: %w", err)
	}
	n, err := r.RowsAffected()
	return n == 1, err
}

// purge forgets old generations, a little with each commit.
func (e *Engine) purge(tx *sqlite.Tx, gen int64) error {
	const chunk = 1000
	if e.purged >= gen-2 {
		return nil
	}
	r, err := tx.Exec(`DELETE FROM seen WHERE (gen, hash) IN (SELECT gen, hash FROM seen WHERE gen < ? LIMIT ?)`, gen-2, chunk)
	if err != nil {
		return fmt.Errorf("forget old ids: %w", err)
	}
	if n, err := r.RowsAffected(); err != nil || n == chunk {
		return err
	}
	tx.OnCommit(func() { e.purged = gen - 2 })
	return nil
}

// announces says whether a wake-up tells its lane anything: not when a job that
// nobody runs yet will see what it is about.
func announces(tx *sqlite.Tx, q *row, lane string) (bool, error) {
	var waiting bool
	_, err := tx.Row(`SELECT l.lease = 0 OR EXISTS (SELECT 1 FROM job WHERE lane = l.id AND id > l.head)
		FROM lane l WHERE l.queue = ? AND l.key = ?`, []any{q.id, []byte(lane)}, &waiting)
	return !waiting, err
}

// push puts a job at the tail of its lane.
func (e *Engine) push(tx *sqlite.Tx, q *row, j queue.Job, now int64, redriven bool) error {
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
		tx.OnCommit(func() { e.wakers.due(j.Queue, now) })
	} else if _, err := tx.Row(`SELECT id FROM lane WHERE queue = ? AND key = ?`, []any{q.id, []byte(j.Lane)}, &lane); err != nil {
		return fmt.Errorf("find lane: %w", err)
	}
	if _, err := tx.Exec(`INSERT INTO job (id, lane, enqueued, redriven, key, body) VALUES (?, ?, ?, ?, ?, ?)`,
		id, lane, now, redriven, []byte(j.ID), j.Body); err != nil {
		return fmt.Errorf("insert job: %w", err)
	}
	return nil
}

package sqlitequeue

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/sqlite"
)

// wakers know, as of the last commit, when each queue will have a job to hand out. They are
// updated in commit order.
type wakers struct {
	mu     sync.Mutex
	queues map[string]*waker
}

type waker struct {
	due     int64         // of the first lane
	opens   int64         // of the queue as a whole
	earlier chan struct{} // closed when due or opens becomes earlier
}

func (w *waker) dueAt() int64 { return max(w.due, w.opens) }

func (ws *wakers) change(name string, fn func(*waker)) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := ws.get(name)
	before := w.dueAt()
	fn(w)
	if w.dueAt() < before {
		close(w.earlier)
		w.earlier = make(chan struct{})
	}
}

func (ws *wakers) get(name string) *waker {
	w := ws.queues[name]
	if w == nil {
		w = &waker{due: never, earlier: make(chan struct{})}
		ws.queues[name] = w
	}
	return w
}

func (ws *wakers) set(name string, due, opens int64) {
	ws.change(name, func(w *waker) { w.due, w.opens = due, opens })
}

func (ws *wakers) current(name string) (at int64, earlier <-chan struct{}) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := ws.get(name)
	return w.dueAt(), w.earlier
}

func (e *Engine) loadWakers(tx *sqlite.Tx) error {
	query := `SELECT ` + rowColumns + `, (SELECT min(due) FROM lane WHERE queue = queue.id) FROM queue`
	return tx.Each(query, nil, func(row *sql.Rows) error {
		r, due := queueRow{}, sql.Null[int64]{}
		if err := row.Scan(append(r.fields(), &due)...); err != nil {
			return err
		}
		if !due.Valid {
			due.V = never
		}
		e.wakers.set(r.Name, due.V, r.opensAt(e.opts.Now().UnixNano()))
		return nil
	})
}

// Wait implements queue.Queue.
func (e *Engine) Wait(ctx context.Context, name string, limit time.Duration) error {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-e.closed:
			return queue.ErrClosed
		default:
		}
		at, earlier := e.wakers.current(name)
		wait := time.Duration(min(at-e.opts.Now().UnixNano(), int64(e.opts.MaxDelay)))
		if wait <= 0 {
			return nil
		}
		due := time.NewTimer(wait)
		select {
		case <-earlier:
		case <-due.C: // checked again: it may have moved meanwhile
		case <-timeout.C:
			due.Stop()
			return nil
		case <-ctx.Done():
		case <-e.closed:
		}
		due.Stop()
	}
}

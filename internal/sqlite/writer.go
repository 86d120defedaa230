package sqlite

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// writer is the only goroutine that writes.
type writer struct {
	conn     *conn
	requests chan *request
	closing  <-chan struct{}
	finished chan struct{}
	patience time.Duration
	idle     time.Duration
	group    int
	pair     pairing
	identity *fileIdentity
	log      *slog.Logger
}

type request struct {
	fn    func(*Tx) error
	taken atomic.Bool // by the writer, or by a caller that gave up
	done  chan struct{}
	err   error
	panic any
}

func newWriter(c *conn, o Options, closing <-chan struct{}) *writer {
	return &writer{
		conn: c, requests: make(chan *request, o.Waiting), closing: closing, finished: make(chan struct{}),
		patience: o.Patience, idle: o.Idle, group: o.Group, log: o.Logger,
	}
}

func (w *writer) do(ctx context.Context, fn func(*Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-w.closing:
		return ErrClosed
	default:
	}
	r := &request{fn: fn, done: make(chan struct{})}
	select {
	case w.requests <- r:
	default:
		if err := w.awaitRoom(ctx, r); err != nil {
			return err
		}
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if r.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		<-r.done
	case <-w.finished:
		if r.taken.CompareAndSwap(false, true) {
			return ErrClosed
		}
		<-r.done
	}
	if r.panic != nil {
		panic(r.panic)
	}
	return r.err
}

func (w *writer) awaitRoom(ctx context.Context, r *request) error {
	patience := time.NewTimer(w.patience)
	defer patience.Stop()
	select {
	case w.requests <- r:
		return nil
	case <-patience.C:
		return ErrBusy
	case <-ctx.Done():
		return ctx.Err()
	case <-w.closing:
		return ErrClosed
	}
}

func (w *writer) run() {
	defer close(w.finished)
	idle := time.NewTimer(w.idle)
	idle.Stop()
	defer idle.Stop()
	for {
		select {
		case r := <-w.requests:
			w.serve(w.gather(r))
			idle.Reset(w.idle)
		case <-idle.C:
			if w.tidy() {
				idle.Reset(w.idle)
			}
		case <-w.closing:
			for {
				select {
				case r := <-w.requests:
					w.serve(w.gather(r))
				default:
					w.tidy()
					return
				}
			}
		}
	}
}

// gather takes the requests that already wait. It adds no delay: requests gather while the
// commit before runs.
func (w *writer) gather(first *request) []*request {
	members := make([]*request, 0, min(w.group, 1+len(w.requests)))
	for r := first; ; {
		if r.taken.CompareAndSwap(false, true) {
			members = append(members, r)
		}
		if len(members) >= w.group {
			return members
		}
		select {
		case r = <-w.requests:
		default:
			return members
		}
	}
}

// serve answers every member. They share one transaction. If one of them spoils it, which is
// rare, each gets its own.
func (w *writer) serve(members []*request) {
	spoiled := !w.runGroup(members)
	full := spoiled && Full(members[0].err)
	if full {
		// A checkpoint lets the WAL be reused, which may be room enough.
		w.pragma("PRAGMA wal_checkpoint(PASSIVE)")
	}
	if full || spoiled && len(members) > 1 {
		for i := range members {
			if w.runGroup(members[i : i+1]); outage(members[i].err) {
				for _, r := range members[i:] {
					r.err = members[i].err
				}
				break
			}
		}
	}
	for _, r := range members {
		close(r.done)
	}
}

// outage reports whether other writes would fail too. A full database still takes writes that
// need no room.
func outage(err error) bool { return err != nil && Unavailable(err) && !Full(err) }

// runGroup runs the members in one transaction. If it returns false nothing was written, and
// every member has an error.
func (w *writer) runGroup(members []*request) bool {
	fail := func(err error) bool {
		if rollback := w.conn.exec("ROLLBACK"); rollback != nil {
			w.log.Debug("roll back", "part", "sqlite", "cause", err, "error", rollback)
		}
		for _, r := range members {
			r.err = err
		}
		return false
	}
	if len(members) == 0 {
		return true
	}
	if err := w.identity.check(); err != nil {
		return fail(err)
	}
	if err := w.conn.exec("BEGIN IMMEDIATE"); err != nil {
		return fail(fmt.Errorf("begin: %w", err))
	}
	tx := &Tx{conn: w.conn, ctx: context.Background()}
	wrote := false
	for _, r := range members {
		tx.wrote = false
		after := len(tx.after)
		if r.panic, r.err = call(r.fn, tx); r.err == nil {
			wrote = wrote || tx.wrote
			continue
		}
		if tx.wrote || Unavailable(r.err) {
			return fail(r.err)
		}
		tx.after = tx.after[:after]
	}
	for _, fn := range tx.before {
		if err := fn(); err != nil {
			return fail(err)
		}
	}
	if wrote {
		if err := w.pair.write(tx); err != nil {
			return fail(fmt.Errorf("mark commit: %w", err))
		}
	}
	if err := w.conn.exec("COMMIT"); err != nil {
		return fail(fmt.Errorf("commit: %w", err))
	}
	if wrote {
		w.pair.commits.Add(1)
	}
	for _, fn := range tx.after {
		fn()
	}
	return true
}

// call turns a panic into an error, so that it reaches the caller that caused it.
func call(fn func(*Tx) error, tx *Tx) (panicked any, err error) {
	defer func() {
		if p := recover(); p != nil {
			tx.wrote = true
			panicked, err = p, fmt.Errorf("panic: %v", p)
		}
	}()
	return nil, fn(tx)
}

// tidy checkpoints the WAL and returns free pages to the file system, a few at a time. It
// reports whether there is more to do.
func (w *writer) tidy() bool {
	const keep, step = 2048, "PRAGMA incremental_vacuum(2048)"
	// A reader must not make the writer wait here.
	w.pragma("PRAGMA busy_timeout(0)")
	defer w.pragma("PRAGMA busy_timeout(5000)")
	free := w.pragma("PRAGMA freelist_count")
	if free > 2*keep {
		w.pragma(step)
	}
	w.pragma("PRAGMA wal_checkpoint(TRUNCATE)")
	return free > 3*keep
}

// pragma runs a pragma and returns its first number. A failed one is tried again later, so its
// error is only logged.
func (w *writer) pragma(query string) (first int64) {
	rows, err := w.conn.QueryContext(context.Background(), query)
	if err != nil {
		w.log.Debug("tidy", "part", "sqlite", "do", query, "error", err)
		return 0
	}
	defer rows.Close()
	for rows.Next() {
		if cols, _ := rows.Columns(); first == 0 && len(cols) == 1 {
			_ = rows.Scan(&first)
		}
	}
	if rows.Err() != nil {
		w.log.Debug("tidy", "part", "sqlite", "do", query, "error", rows.Err())
	}
	return first
}

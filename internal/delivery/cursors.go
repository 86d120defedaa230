package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
)

const (
	// mostCursors is how many one transaction moves.
	mostCursors = 500
	// cursorEvery is how soon one transaction follows another that few wait for. A
	// process that dies meanwhile tells their events twice.
	cursorEvery = 100 * time.Millisecond
	// cursorTries is how often they are tried before the events come again.
	cursorTries   = 3
	cursorTimeout = 5 * time.Second
)

var errCursorsClosed = errors.New("no cursor is written any more")

// cursorWriter moves cursors in groups: while one transaction commits, and soon after,
// the cursors of other lanes gather for the next.
type cursorWriter struct {
	move func(context.Context, []store.Cursor) error
	pace *pace
	most int // as many lanes may wait at once

	mu      sync.Mutex
	waiting []*cursorMove
	closed  bool
	kick    chan struct{}
}

type cursorMove struct {
	cursor store.Cursor
	lease  queue.Lease // of who moves it
	done   chan error
}

func newCursorWriter(lanes int, move func(context.Context, []store.Cursor) error) *cursorWriter {
	return &cursorWriter{move: move, pace: newPace(cursorEvery), most: lanes, kick: make(chan struct{}, 1)}
}

// write returns once the cursor is durable, or cannot be moved: who has lost the lease
// of its conversation moves none.
func (w *cursorWriter) write(ctx context.Context, c store.Cursor) error {
	m := &cursorMove{cursor: c, lease: queue.LeaseOf(ctx), done: make(chan error, 1)}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return errCursorsClosed
	}
	if w.waiting = append(w.waiting, m); len(w.waiting) >= w.most {
		w.pace.enough()
	}
	w.mu.Unlock()
	select {
	case w.kick <- struct{}{}:
	default:
	}
	select {
	case err := <-m.done:
		return err
	case <-ctx.Done():
	}
	// What was posted at the end of the drain gets this much.
	last := time.NewTimer(outageDelay)
	defer last.Stop()
	select {
	case err := <-m.done:
		return err
	case <-last.C:
		return ctx.Err()
	}
}

// run writes until ctx ends.
func (w *cursorWriter) run(ctx context.Context) {
	for {
		w.pace.rest(ctx)
		w.mu.Lock()
		group := w.waiting
		if len(group) > mostCursors {
			group = group[:mostCursors:mostCursors]
		}
		w.waiting = w.waiting[len(group):]
		if ctx.Err() != nil {
			w.closed = true
		}
		w.mu.Unlock()
		if len(group) > 0 {
			w.pace.begin()
			w.group(ctx, group)
			continue
		}
		if ctx.Err() != nil {
			return
		}
		select {
		case <-w.kick:
		case <-ctx.Done():
		}
	}
}

// group moves the cursors of a group.
func (w *cursorWriter) group(ctx context.Context, group []*cursorMove) {
	var err error
	for try := range cursorTries {
		if try > 0 {
			select {
			case <-time.After(outageDelay / 5):
			case <-ctx.Done():
			}
		}
		var all []store.Cursor
		if group, all = stillOurs(group); len(all) == 0 {
			return
		}
		if err = w.once(ctx, all); err == nil {
			break
		}
	}
	for _, m := range group {
		m.done <- err
	}
}

// stillOurs lets those go who have lost their lease, and returns the others' cursors.
func stillOurs(group []*cursorMove) (left []*cursorMove, all []store.Cursor) {
	for _, m := range group {
		if m.lease.Left() <= 0 {
			m.done <- errLeaseOver
			continue
		}
		left, all = append(left, m), append(all, m.cursor)
	}
	return left, all
}

func (w *cursorWriter) once(ctx context.Context, all []store.Cursor) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("move cursors: panic: %v", r)
		}
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cursorTimeout)
	defer cancel()
	return w.move(ctx, all)
}

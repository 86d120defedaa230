package delivery

import (
	"context"
	"time"

	"github.com/psivisionhub/psi-router/internal/batch"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
)

const (
	// mostCursors is how many cursors one transaction moves.
	mostCursors = 500
	// cursorEvery is the shortest time between two transactions that move few cursors. A
	// process that dies in it pushes their events twice.
	cursorEvery = 100 * time.Millisecond
	// cursorTries is how often a move is tried before its events are pushed again.
	cursorTries   = 3
	cursorTimeout = 5 * time.Second
)

// cursorMove moves the cursor of a conversation whose lease we have.
type cursorMove struct {
	cursor store.Cursor
	lease  queue.Lease
}

// cursorBatcher moves the cursors of many lanes with one transaction.
type cursorBatcher = batch.Batcher[cursorMove, struct{}]

func (e *Events) newCursors() *cursorBatcher {
	return batch.New(batch.Options[cursorMove, struct{}]{
		Call: e.moveCursors, Max: mostCursors, Every: cursorEvery, Full: 2 * cap(e.slots),
	})
}

// moveCursor returns once the cursor is durable, or cannot be moved. Without the lease of
// its conversation no cursor is moved.
func (e *Events) moveCursor(ctx context.Context, c store.Cursor) error {
	p := e.cursors.Submit(cursorMove{cursor: c, lease: queue.LeaseOf(ctx)})
	if !answered(ctx, p.Done()) {
		return ctx.Err()
	}
	_, err := p.Wait(ctx)
	return err
}

func (e *Events) moveCursors(ctx context.Context, moves []cursorMove) (results []batch.Result[struct{}], err error) {
	for try := range cursorTries {
		if try > 0 {
			sleep(ctx, outageDelay/5)
		}
		var cursors []store.Cursor
		results = make([]batch.Result[struct{}], len(moves))
		for i, m := range moves {
			if m.lease.Left() <= 0 {
				results[i].Err = errLeaseOver
			} else {
				cursors = append(cursors, m.cursor)
			}
		}
		if len(cursors) == 0 {
			return results, nil
		}
		call, cancel := context.WithTimeout(ctx, cursorTimeout)
		err = e.opts.Store.AdvanceCursors(call, e.opts.Name, cursors)
		cancel()
		if err == nil {
			return results, nil
		}
	}
	return nil, err
}

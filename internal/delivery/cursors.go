package delivery

import (
	"context"
	"time"

	"github.com/psivisionhub/psi-router/internal/batch"
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

// cursorMove moves the cursor of a conversation that we have a lease of.
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

// moveCursor returns once the cursor is durable, or cannot be moved: who has lost the
// lease of its conversation moves none.
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

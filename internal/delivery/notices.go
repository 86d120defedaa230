package delivery

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
)

const (
	// noticesPerLine is how many notices a line's queue holds, one of each conversation,
	// beside those whose first attempt failed. Answers queue behind them: at 80 messages a
	// second that costs a quarter of a second.
	noticesPerLine = 20
	// noticeEvery is how soon more notices follow.
	noticeEvery = 250 * time.Millisecond
	// rewakeAfter is when an untried notice is woken again: its wake-up may have been lost.
	// Each is charged to the line's rate.
	rewakeAfter = 5 * time.Second
)

// runNotices wakes notices whenever a round of the pump has found some, until ctx ends. An
// error is retried with the pump's next round.
func (p *Pump) runNotices(ctx context.Context) {
	woken := map[string]time.Time{} // by message, of untried notices
	wakeMore := func(ctx context.Context) (bool, error) { return p.wakeNotices(ctx, woken) }
	for {
		select {
		case <-p.notices:
		case <-ctx.Done():
			return
		}
		for more := true; more && ctx.Err() == nil; {
			var err error
			if more, err = recoverPanic(ctx, wakeMore); err != nil && ctx.Err() == nil {
				p.opts.Log.Error("notices cannot be woken: trying again with the pump's next round", "error", err)
			}
			sleep(ctx, noticeEvery)
		}
	}
}

// wakeNotices wakes the oldest notices of each line as long as there are any. They have no
// wake-up of their own, so thousands of notices never stand before an answer. A held or
// paused line gets none.
func (p *Pump) wakeNotices(ctx context.Context, woken map[string]time.Time) (more bool, err error) {
	notices, err := p.opts.Store.UntriedNotices(ctx, noticesPerLine)
	if err != nil {
		return false, fmt.Errorf("find notices: %w", err)
	}
	open, err := p.openQueues(ctx, notices)
	if err != nil {
		return false, err
	}
	var jobs []queue.Job
	now, before := p.opts.Now(), maps.Clone(woken)
	clear(woken)
	for _, n := range notices {
		if !open[job.SendQueue(n.Line)] {
			continue
		}
		more = true
		at, known := before[n.MessageID]
		if age := now.Sub(at); !known || age < 0 || age >= rewakeAfter {
			jobs, at = append(jobs, job.WakeSends(n.Line, n.Conversation)), now
		}
		woken[n.MessageID] = at
	}
	if len(jobs) == 0 {
		return more, nil
	}
	if _, err := p.opts.Queue.Enqueue(ctx, jobs); err != nil {
		clear(woken)
		return false, fmt.Errorf("wake notices: %w", err)
	}
	return more, nil
}

// openQueues returns which of the notices' queues hand out jobs now.
func (p *Pump) openQueues(ctx context.Context, notices []store.Notice) (map[string]bool, error) {
	open := map[string]bool{}
	var names []string
	for _, n := range notices {
		if name := job.SendQueue(n.Line); !open[name] {
			open[name] = true
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return open, nil
	}
	stats, err := p.opts.Queue.Stats(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("look for holds: %w", err)
	}
	for _, s := range stats {
		open[s.Name] = !s.Paused && !s.HeldUntil.After(p.opts.Now())
	}
	return open, nil
}

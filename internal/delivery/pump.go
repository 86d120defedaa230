package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
)

// maxBacklogAge is how old waiting input may be when apologies are sent: the team's answer
// may be in the backlog.
const maxBacklogAge = 30 * time.Second

// PumpOptions configure a Pump. Store and Queue are needed.
type PumpOptions struct {
	Store store.Maintenance
	Queue interface {
		enqueuer
		Stats(ctx context.Context, queues ...string) ([]queue.Stats, error)
	}
	// Spools reports whether jobs wait in a spool, as far as is known; unknown counts as
	// waiting. Optional: there are no spools.
	Spools func() bool
	// Every is the pause between rounds (default 1 s).
	Every time.Duration
	Now   func() time.Time
	Log   *slog.Logger
}

// Pump is the housekeeping: it numbers events, fires timers, wakes notices, and wakes rows
// and files again whose wake-up was lost. The store lets one process at a time do it.
type Pump struct {
	opts    PumpOptions
	notices chan struct{} // signals that there are some
}

// NewPump returns the pump. It panics when a needed option is missing.
func NewPump(o PumpOptions) *Pump {
	if o.Store == nil || o.Queue == nil {
		panic("delivery: the pump needs a store and a queue")
	}
	o.Every = positive(o.Every, time.Second)
	if o.Spools == nil {
		o.Spools = func() bool { return false }
	}
	o.Now = clockOr(o.Now)
	o.Log = partLogger(o.Log, "pump")
	return &Pump{opts: o, notices: make(chan struct{}, 1)}
}

// Run pumps until ctx ends. Errors do not end it; it logs when they begin and when they are
// over.
func (p *Pump) Run(ctx context.Context) error {
	var feeding sync.WaitGroup
	feeding.Go(func() { p.runNotices(ctx) })
	defer feeding.Wait()
	return pollLoop{
		every: p.opts.Every, logger: p.opts.Log,
		failed: "the pump fails: event numbers, timers and lost wake-ups wait", recovered: "the pump works again",
	}.run(ctx, p.round)
}

func (p *Pump) round(ctx context.Context) (more bool, err error) {
	done, err := p.opts.Store.Pump(ctx, p.opts.Now())
	if err != nil {
		return false, fmt.Errorf("pump: %w", err)
	}
	if done.Timers > 0 || len(done.Wakes) > 0 {
		p.opts.Log.Info("pumped", "timers", done.Timers, "wakes", len(done.Wakes))
	}
	if len(done.Wakes) > 0 {
		jobs := make([]queue.Job, len(done.Wakes))
		for i, w := range done.Wakes {
			jobs[i] = job.WakeSends(w.Line, w.Conversation)
		}
		if _, err := p.opts.Queue.Enqueue(ctx, jobs); err != nil {
			return false, fmt.Errorf("wake pending sends: %w", err)
		}
	}
	if err := p.requeueMedia(ctx, done.Media); err != nil {
		return false, err
	}
	if done.ApologiesDue {
		if err := p.apologize(ctx); err != nil {
			return false, err
		}
	}
	if done.NoticesPending {
		select {
		case p.notices <- struct{}{}:
		default:
		}
	}
	return done.More, nil
}

// apologize carries out the flow's policy for people who were left, unless there is a
// backlog.
func (p *Pump) apologize(ctx context.Context) error {
	stats, err := p.opts.Queue.Stats(ctx, job.Inbound)
	if err != nil {
		return fmt.Errorf("look for a backlog: %w", err)
	}
	for _, q := range stats {
		if q.Depth > 0 && q.OldestAge >= maxBacklogAge {
			return nil
		}
	}
	if p.opts.Spools() {
		return nil
	}
	n, err := p.opts.Store.Apologize(ctx, p.opts.Now())
	if err != nil {
		return fmt.Errorf("apologize: %w", err)
	}
	if n > 0 {
		p.opts.Log.Info("people who were left without an answer get the message of policies.after_outage", "people", n)
	}
	return nil
}

// requeueMedia enqueues files again that nobody has fetched. The queue ignores those that
// it still has or knows.
func (p *Pump) requeueMedia(ctx context.Context, files []store.MediaRef) error {
	jobs := make([]queue.Job, len(files))
	for i, f := range files {
		var err error
		if jobs[i], err = job.File(f.MessageID, f); err != nil {
			return err
		}
	}
	if len(jobs) == 0 {
		return nil
	}
	added, err := p.opts.Queue.Enqueue(ctx, jobs)
	if err != nil {
		return fmt.Errorf("wake pending files: %w", err)
	}
	lost := 0
	for _, is := range added {
		if is {
			lost++
		}
	}
	if lost > 0 {
		p.opts.Log.Warn("the jobs of files were lost and are enqueued again", "files", lost)
	}
	return nil
}

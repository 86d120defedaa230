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

// maxBacklogAge is how young everything that came has to be before who was left without an
// answer gets an apology: the answer of the team may stand in the backlog.
const maxBacklogAge = 30 * time.Second

// PumpOptions say how the pump works. Store and Queue are needed.
type PumpOptions struct {
	Store store.Maintenance
	Queue interface {
		enqueuer
		Stats(ctx context.Context, queues ...string) ([]queue.Stats, error)
	}
	// Spools reports whether something that came waits on the disk of a door, as far as is
	// known; what is not known is reported as waiting. Optional: there are none.
	Spools func() bool
	// Every is the pause between rounds (default 1 s).
	Every time.Duration
	Now   func() time.Time
	Log   *slog.Logger
}

// Pump does the housekeeping that nobody else does: events get their number,
// timers fire, rows and files whose wake-up was lost are woken again, and notices get
// theirs. The store sees to it that one process at a time does it.
type Pump struct {
	opts    PumpOptions
	notices chan struct{} // there are some
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

// Run pumps until ctx ends. Failures never end it; it says when they begin and
// when they are over.
func (p *Pump) Run(ctx context.Context) error {
	var feeding sync.WaitGroup
	feeding.Go(func() { p.runNotices(ctx) })
	defer feeding.Wait()
	return pollLoop{
		every: p.opts.Every, logger: p.opts.Log,
		failed: "the pump fails: events, timers and lost wake-ups wait", recovered: "the pump works again",
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

// apologize does what the flow says about those who were left, unless there is a
// backlog: then they wait.
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
		p.opts.Log.Info("people who were left without an answer get what policies.after_outage says", "people", n)
	}
	return nil
}

// requeueMedia asks for files again that nobody has fetched. Those that the queue still
// has or knows are duplicates there.
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
		p.opts.Log.Warn("files whose job was lost are fetched", "files", lost)
	}
	return nil
}

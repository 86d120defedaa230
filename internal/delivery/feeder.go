package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
)

const (
	// behindFor is how long an event waits for its hint before it is woken again.
	behindFor = 5 * time.Second
	// behindPage is how many are woken at once. It is small, like the pages of ScanBacklog:
	// those who write share the processors with whoever is behind.
	behindPage = 100
	// leisure is how often a process looks through a page for an endpoint that takes no
	// wake-ups: an outage costs those who write nothing that they would feel, however
	// many they are, and who waits longest is known first.
	leisure = 5 * time.Second
	// anew is how often all that are behind are woken, not only those who just came.
	anew = time.Minute
	// trimEvery is how often cursors are looked through for those that say nothing.
	trimEvery = time.Hour
)

// behinds is what the feeder needs of store.Store.
type behinds interface {
	ScanBacklog(ctx context.Context, endpoint string, wants store.EventFilter) (store.ScanResult, error)
	LaggingConversations(ctx context.Context, endpoint string, after store.Lagging, until time.Time, limit int) ([]store.Lagging, error)
	PruneCursors(ctx context.Context, endpoint, after string) (store.PruneResult, error)
}

// FeederOptions say how the feeder works. Store, Queue, Open and Endpoints are
// needed.
type FeederOptions struct {
	Store behinds
	Queue interface {
		Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error)
	}
	// Open says whether wake-ups of an endpoint are of use now.
	Open      func(endpoint string) bool
	Endpoints []Endpoint
	// Every is the pause between rounds (default 1 s).
	Every time.Duration
	Now   func() time.Time
	Log   *slog.Logger
}

// Feeder is the truth behind the hints: it looks through all numbered events, once,
// and wakes the conversations that an endpoint is behind with. The store sees to it
// that one process at a time looks.
type Feeder struct {
	FeederOptions
	walks map[string]*walk
}

// walk is how far the waking of one endpoint is: what is newly behind comes at its
// end.
type walk struct {
	looked time.Time
	at     store.Lagging
	began  time.Time

	trim    time.Time // the next walk through the cursors begins, or goes on
	trimmed string    // how far that is; "" for the beginning
}

// again begins the waking anew.
func (w *walk) again(now time.Time) { w.at, w.began = store.Lagging{}, now }

// NewFeeder returns the feeder. It panics when a needed option is missing.
func NewFeeder(o FeederOptions) *Feeder {
	if o.Store == nil || o.Queue == nil || o.Open == nil || len(o.Endpoints) == 0 {
		panic("delivery: the feeder needs a store, a queue, to know what is open, and endpoints")
	}
	if o.Every <= 0 {
		o.Every = time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Log = o.Log.With("part", "feeder")
	f := &Feeder{FeederOptions: o, walks: map[string]*walk{}}
	for _, e := range o.Endpoints {
		f.walks[e.Name] = &walk{trim: o.Now().Add(trimEvery)}
	}
	return f
}

// Run feeds until ctx ends. Failures never end it.
func (f *Feeder) Run(ctx context.Context) error {
	return rounds{
		every: f.Every, soon: f.Every / 50, log: f.Log,
		fails: "nobody looks who is behind: endpoints live on hints", works: "the feeder works again",
	}.run(ctx, f.round)
}

// round goes one page on, for every endpoint.
func (f *Feeder) round(ctx context.Context) (more bool, err error) {
	for _, e := range f.Endpoints {
		full, err := f.page(ctx, e)
		if err != nil {
			return false, fmt.Errorf("feed %s: %w", e.Name, err)
		}
		more = more || full
	}
	return more, nil
}

// page looks through a page of what was told since the last time, and wakes a page of
// those that are behind. While the endpoint takes no wake-ups there is no hurry; then
// the waking begins anew: those who wait longest come first.
func (f *Feeder) page(ctx context.Context, e Endpoint) (more bool, err error) {
	w, now, open := f.walks[e.Name], f.Now(), f.Open(e.Name)
	if since := now.Sub(w.looked); !open && since >= 0 && since < leisure {
		return false, nil
	}
	w.looked = now
	noted, err := f.Store.ScanBacklog(ctx, e.Name, e.Wants)
	if err != nil || noted.HeldElsewhere {
		return false, err
	}
	if !open {
		w.again(now)
		return false, nil
	}
	woken, err := f.wake(ctx, e)
	if more = noted.More || woken; err != nil || more {
		return more, err
	}
	return false, f.trim(ctx, e)
}

// wake goes one page on.
func (f *Feeder) wake(ctx context.Context, e Endpoint) (more bool, err error) {
	w, now := f.walks[e.Name], f.Now()
	if now.Sub(w.began) >= anew || now.Before(w.began) {
		w.again(now)
	}
	page, err := f.Store.LaggingConversations(ctx, e.Name, w.at, now.Add(-behindFor), behindPage)
	if err != nil || len(page) == 0 {
		return false, err
	}
	jobs := make([]queue.Job, len(page))
	for i, b := range page {
		jobs[i] = queue.Job{Queue: EventQueue(e.Name), Lane: b.Conversation}
	}
	if _, err := f.Queue.Enqueue(ctx, jobs); err != nil {
		return false, fmt.Errorf("wake: %w", err)
	}
	w.at = page[len(page)-1]
	f.Log.Debug("woken", "endpoint", e.Name, "conversations", len(page))
	return len(page) == behindPage, nil
}

// trim goes one page on through the cursors, when nothing else is to do: so they are
// as many as there are conversations that speak, and not as there ever were.
func (f *Feeder) trim(ctx context.Context, e Endpoint) error {
	w, now := f.walks[e.Name], f.Now()
	if now.Before(w.trim) {
		return nil
	}
	done, err := f.Store.PruneCursors(ctx, e.Name, w.trimmed)
	if err != nil {
		return fmt.Errorf("trim: %w", err)
	}
	if w.trimmed = done.Next; done.Next == "" {
		w.trim = now.Add(trimEvery)
	}
	return nil
}

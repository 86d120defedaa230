package delivery

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
)

const (
	// mostHints is how many commits may wait to be hinted at; what is told beyond is
	// found by the Feeder.
	mostHints = 512
	// mostWaking is how many conversations may wait for one endpoint and more still be
	// woken: who has so many does not need to be told of others, and those who are
	// behind are in the store, not in the queue.
	mostWaking = 500
	// hintEvery is how soon one call follows another.
	hintEvery = 100 * time.Millisecond
	hintTime  = 5 * time.Second
)

// HintOptions say whom to wake. Queue, Stats and Endpoints are needed.
type HintOptions struct {
	Queue interface {
		Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error)
	}
	// Stats tells how many wake-ups wait in queues, and which are held.
	Stats     func(ctx context.Context, queues ...string) ([]queue.Stats, error)
	Endpoints []Endpoint
	Log       *slog.Logger
}

// Hints wakes endpoints at once for what was just committed. It may lose anything:
// the Feeder finds it.
type Hints struct {
	HintOptions
	told chan []store.Event
	pace *pace

	mu     sync.Mutex
	closed map[string]bool // endpoints that are held, or have enough wake-ups
}

// NewHints returns the hints. It panics when a needed option is missing.
func NewHints(o HintOptions) *Hints {
	if o.Queue == nil || o.Stats == nil || len(o.Endpoints) == 0 {
		panic("delivery: hints need a queue, its stats and endpoints")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Log = o.Log.With("part", "events")
	return &Hints{HintOptions: o, told: make(chan []store.Event, mostHints), pace: newPace(hintEvery), closed: map[string]bool{}}
}

// Told hears what was committed. It never blocks.
func (h *Hints) Told(events []store.Event) {
	select {
	case h.told <- events:
	default:
	}
}

// Open says whether wake-ups of the endpoint are of use now.
func (h *Hints) Open(endpoint string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.closed[endpoint]
}

// Run hints until ctx ends.
func (h *Hints) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			h.look(ctx)
		case events := <-h.told:
			h.pace.rest(ctx)
			jobs := h.jobs(h.gather(events))
			if len(jobs) == 0 {
				continue
			}
			h.pace.begin()
			call, cancel := context.WithTimeout(ctx, hintTime)
			_, err := h.Queue.Enqueue(call, jobs)
			cancel()
			if err != nil && !failing && ctx.Err() == nil {
				h.Log.Warn("endpoints are not woken at once: events come a little later", "error", err)
			}
			failing = err != nil
		}
	}
}

// gather adds what else was told meanwhile.
func (h *Hints) gather(events []store.Event) [][]store.Event {
	all := [][]store.Event{events}
	for len(all) < mostHints {
		select {
		case more := <-h.told:
			all = append(all, more)
		default:
			return all
		}
	}
	return all
}

// jobs lists the wake-ups, each once.
func (h *Hints) jobs(all [][]store.Event) (jobs []queue.Job) {
	for _, e := range h.Endpoints {
		if !h.Open(e.Name) {
			continue
		}
		seen := map[string]bool{}
		for _, events := range all {
			for _, ev := range events {
				if !seen[ev.Conversation] && e.Wants.Match(ev) {
					seen[ev.Conversation] = true
					jobs = append(jobs, queue.Job{Queue: EventQueue(e.Name), Lane: ev.Conversation})
				}
			}
		}
	}
	return jobs
}

// look sees which endpoints are open.
func (h *Hints) look(ctx context.Context) {
	call, cancel := context.WithTimeout(ctx, hintTime)
	defer cancel()
	stats, err := h.Stats(call, EventQueues(h.Endpoints)...)
	if err != nil {
		return // who waits for an answer of the queue would not get one either
	}
	now, closed := time.Now(), map[string]bool{}
	for _, s := range stats {
		closed[s.Name] = s.HeldUntil.After(now) || s.Depth > mostWaking
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.Endpoints {
		h.closed[e.Name] = closed[EventQueue(e.Name)]
	}
}

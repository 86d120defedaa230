package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
)

const (
	// lagGrace is how long an event waits for its first wake-up before it is woken again.
	lagGrace = 5 * time.Second
	// wakePage is how many are woken at once. It is small, like the pages of ScanBacklog:
	// those who write share the processors with whoever is behind.
	wakePage = 100
	// heldScanEvery is how often a process looks through a page for an endpoint that takes no
	// wake-ups: an outage costs those who write nothing that they would feel, however
	// many they are, and who waits longest is known first.
	heldScanEvery = 5 * time.Second
	// rescanEvery is how often all that are behind are woken, not only those who just came.
	rescanEvery = time.Minute
	// pruneEvery is how often cursors are looked through for those that say nothing.
	pruneEvery = time.Hour
)

// BacklogScannerOptions say how the scanner works. Store, Queue, Open and Endpoints are
// needed.
type BacklogScannerOptions struct {
	Store store.EventBacklog
	Queue enqueuer
	// Open says whether wake-ups of an endpoint are of use now.
	Open      func(endpoint string) bool
	Endpoints []Endpoint
	// Every is the pause between rounds (default 1 s).
	Every time.Duration
	Now   func() time.Time
	Log   *slog.Logger
}

// BacklogScanner is the truth behind the EventNotifier: it looks through all numbered events, once,
// and wakes the conversations that an endpoint is behind with. The store sees to it
// that one process at a time looks.
type BacklogScanner struct {
	opts  BacklogScannerOptions
	scans map[string]*scanState
}

// scanState is how far the waking of one endpoint is: what is newly behind comes at its
// end.
type scanState struct {
	scannedAt time.Time
	position  store.Lagging
	startedAt time.Time

	nextPrune time.Time // the next walk through the cursors begins, or goes on
	prunedTo  string    // how far that is; "" for the beginning
}

// restart begins the waking anew.
func (scan *scanState) restart(now time.Time) { scan.position, scan.startedAt = store.Lagging{}, now }

// NewBacklogScanner returns the scanner. It panics when a needed option is missing.
func NewBacklogScanner(o BacklogScannerOptions) *BacklogScanner {
	if o.Store == nil || o.Queue == nil || o.Open == nil || len(o.Endpoints) == 0 {
		panic("delivery: the backlog scanner needs a store, a queue, to know what is open, and endpoints")
	}
	o.Every = positive(o.Every, time.Second)
	o.Now = clockOr(o.Now)
	o.Log = partLogger(o.Log, "backlog_scanner")
	s := &BacklogScanner{opts: o, scans: map[string]*scanState{}}
	for _, e := range o.Endpoints {
		s.scans[e.Name] = &scanState{nextPrune: o.Now().Add(pruneEvery)}
	}
	return s
}

// Run scans until ctx ends. Failures never end it.
func (s *BacklogScanner) Run(ctx context.Context) error {
	return pollLoop{
		every: s.opts.Every, moreDelay: s.opts.Every / 50, logger: s.opts.Log,
		failed: "nobody looks which conversations lag: endpoints are woken by commits alone", recovered: "the backlog scanner works again",
	}.run(ctx, s.round)
}

// round goes one page on, for every endpoint.
func (s *BacklogScanner) round(ctx context.Context) (more bool, err error) {
	for _, e := range s.opts.Endpoints {
		full, err := s.scanEndpoint(ctx, e)
		if err != nil {
			return false, fmt.Errorf("feed %s: %w", e.Name, err)
		}
		more = more || full
	}
	return more, nil
}

// scanEndpoint looks through a page of what was committed since the last time, and wakes a page of
// those that are behind. While the endpoint takes no wake-ups there is no hurry; then
// the waking begins anew: those who wait longest come first.
func (s *BacklogScanner) scanEndpoint(ctx context.Context, e Endpoint) (more bool, err error) {
	scan, now, open := s.scans[e.Name], s.opts.Now(), s.opts.Open(e.Name)
	if since := now.Sub(scan.scannedAt); !open && since >= 0 && since < heldScanEvery {
		return false, nil
	}
	scan.scannedAt = now
	noted, err := s.opts.Store.ScanBacklog(ctx, e.Name, e.Wants)
	if err != nil || noted.HeldElsewhere {
		return false, err
	}
	if !open {
		scan.restart(now)
		return false, nil
	}
	woken, err := s.wakeLagging(ctx, e)
	if more = noted.More || woken; err != nil || more {
		return more, err
	}
	return false, s.pruneCursors(ctx, e)
}

// wakeLagging goes one page on.
func (s *BacklogScanner) wakeLagging(ctx context.Context, e Endpoint) (more bool, err error) {
	scan, now := s.scans[e.Name], s.opts.Now()
	if now.Sub(scan.startedAt) >= rescanEvery || now.Before(scan.startedAt) {
		scan.restart(now)
	}
	page, err := s.opts.Store.LaggingConversations(ctx, e.Name, scan.position, now.Add(-lagGrace), wakePage)
	if err != nil || len(page) == 0 {
		return false, err
	}
	jobs := make([]queue.Job, len(page))
	for i, b := range page {
		jobs[i] = job.WakeEvents(e.Name, b.Conversation)
	}
	if _, err := s.opts.Queue.Enqueue(ctx, jobs); err != nil {
		return false, fmt.Errorf("wake: %w", err)
	}
	scan.position = page[len(page)-1]
	s.opts.Log.Debug("woken", "endpoint", e.Name, "conversations", len(page))
	return len(page) == wakePage, nil
}

// pruneCursors goes one page on through the cursors, when nothing else is to do: so they are
// as many as there are conversations that speak, and not as there ever were.
func (s *BacklogScanner) pruneCursors(ctx context.Context, e Endpoint) error {
	scan, now := s.scans[e.Name], s.opts.Now()
	if now.Before(scan.nextPrune) {
		return nil
	}
	done, err := s.opts.Store.PruneCursors(ctx, e.Name, scan.prunedTo)
	if err != nil {
		return fmt.Errorf("trim: %w", err)
	}
	if scan.prunedTo = done.Next; done.Next == "" {
		scan.nextPrune = now.Add(pruneEvery)
	}
	return nil
}

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
	// wakePage is how many conversations are woken at once. It is small, like the pages of
	// ScanBacklog: message processing shares the processors.
	wakePage = 100
	// heldScanEvery is the scan interval for an endpoint that takes no wake-ups. It is
	// long, so that an endpoint's outage does not cost message processing.
	heldScanEvery = 5 * time.Second
	// rescanEvery is how often all lagging conversations are woken, not only the newest.
	rescanEvery = time.Minute
	// pruneEvery is how often cursors are searched for those that say nothing.
	pruneEvery = time.Hour
)

// BacklogScannerOptions say how the scanner works. Store, Queue, Open and Endpoints are
// needed.
type BacklogScannerOptions struct {
	Store store.EventBacklog
	Queue enqueuer
	// Open reports whether wake-ups of an endpoint are of use now.
	Open      func(endpoint string) bool
	Endpoints []Endpoint
	// Every is the pause between rounds (default 1 s).
	Every time.Duration
	Now   func() time.Time
	Log   *slog.Logger
}

// BacklogScanner finds what the EventNotifier missed: it scans all numbered events once and
// wakes the conversations in which an endpoint lags. The store lets one process at a time
// scan.
type BacklogScanner struct {
	opts  BacklogScannerOptions
	scans map[string]*scanState
}

// scanState is the progress for one endpoint. Conversations that start to lag come last.
type scanState struct {
	scannedAt time.Time
	position  store.Lagging
	startedAt time.Time

	nextPrune time.Time // when the next pass over the cursors begins or continues
	prunedTo  string    // its position; "" for the beginning
}

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

// Run scans until ctx ends. Errors do not end it.
func (s *BacklogScanner) Run(ctx context.Context) error {
	return pollLoop{
		every: s.opts.Every, moreDelay: s.opts.Every / 50, logger: s.opts.Log,
		failed: "the backlog scan fails: only commits wake endpoints", recovered: "the backlog scanner works again",
	}.run(ctx, s.round)
}

// round scans one page for each endpoint.
func (s *BacklogScanner) round(ctx context.Context) (more bool, err error) {
	for _, e := range s.opts.Endpoints {
		full, err := s.scanEndpoint(ctx, e)
		if err != nil {
			return false, fmt.Errorf("scan backlog of %s: %w", e.Name, err)
		}
		more = more || full
	}
	return more, nil
}

// scanEndpoint scans a page of newly committed events and wakes a page of lagging
// conversations. For an endpoint that takes no wake-ups it only scans, rarely; afterwards
// the waking starts again with those that have waited longest.
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

// wakeLagging wakes the next page of lagging conversations.
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
	s.opts.Log.Debug("lagging conversations woken", "endpoint", e.Name, "conversations", len(page))
	return len(page) == wakePage, nil
}

// pruneCursors prunes the next page of cursors, when there is nothing else to do. So the
// number of cursors does not grow with the age of the store.
func (s *BacklogScanner) pruneCursors(ctx context.Context, e Endpoint) error {
	scan, now := s.scans[e.Name], s.opts.Now()
	if now.Before(scan.nextPrune) {
		return nil
	}
	done, err := s.opts.Store.PruneCursors(ctx, e.Name, scan.prunedTo)
	if err != nil {
		return fmt.Errorf("prune cursors: %w", err)
	}
	if scan.prunedTo = done.Next; done.Next == "" {
		scan.nextPrune = now.Add(pruneEvery)
	}
	return nil
}

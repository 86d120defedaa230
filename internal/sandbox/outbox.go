package sandbox

import (
	"bytes"
	"container/heap"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

const (
	posters    = 8                  // webhooks posted at once
	batch      = 100                // statuses in one webhook; Meta's limit is 1,000
	maxWaiting = 200_000            // events that wait, or are tried again
	maxBackoff = time.Minute        // between two tries
	maxAge     = 7 * 24 * time.Hour // then WhatsApp gives up
)

var errCrowded = errors.New("too many events wait for the webhook")

// parcel is one event for the webhook.
type parcel struct {
	due  time.Time
	born time.Time
	// lane keeps what one person does in order: the next one is posted after
	// the 200 of the one before. Statuses have none.
	lane    string
	contact *wireContact
	message json.RawMessage // one of message
	status  *wireStatus     // and status
	id      string          // of the message that it is about
	tick    string          // that the status reports
	tries   int
	repeat  bool // post it once more afterwards, as WhatsApp does at times
}

// result is what became of one post, for the page.
type result struct {
	parcels []*parcel
	try     int // of the first one; once settled, its own count may move on
	body    []byte
	code    int
	took    time.Duration
	err     error
}

func (r result) ok() bool { return r.err == nil && r.code == http.StatusOK }

// outbox posts events to the webhook: at their time, statuses in batches, with
// a growing wait after everything that is not a 200.
type outbox struct {
	opt      Options
	envelope func([]*parcel) []byte
	report   func(result)
	log      *slog.Logger

	mu      sync.Mutex
	heap    parcels
	lanes   map[string][]*parcel // the head of each lane is in the heap, or being posted
	waiting int
	wake    chan struct{}
}

func newOutbox(o Options, envelope func([]*parcel) []byte) *outbox {
	return &outbox{opt: o, envelope: envelope, log: o.Log, lanes: map[string][]*parcel{}, wake: make(chan struct{}, 1)}
}

func (o *outbox) add(all ...*parcel) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.waiting+len(all) > maxWaiting {
		return errCrowded
	}
	for _, p := range all {
		o.waiting++
		p.born = p.due
		if p.lane == "" {
			heap.Push(&o.heap, p)
			continue
		}
		o.lanes[p.lane] = append(o.lanes[p.lane], p)
		if len(o.lanes[p.lane]) == 1 {
			heap.Push(&o.heap, p)
		}
	}
	o.nudge()
	return nil
}

// Waiting is how many events the webhook has not taken yet.
func (s *Server) Waiting() int {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return s.out.waiting
}

func (o *outbox) nudge() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// Run posts what people did and what became of messages until ctx ends; then it
// finishes the posts that are under way, and what still waits is forgotten.
func (s *Server) Run(ctx context.Context) error {
	defer s.once.Do(func() { close(s.done) })
	s.out.run(ctx)
	return nil
}

func (o *outbox) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, posters)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		for {
			some, wait := o.take(time.Now())
			if some != nil {
				wg.Go(func() {
					o.post(context.WithoutCancel(ctx), some)
					<-slots
				})
				break
			}
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-o.wake:
			case <-ctx.Done():
				return
			}
		}
	}
}

// take returns what goes into the next post: one thing that a person did, or a
// batch of statuses; or how long nothing is due.
func (o *outbox) take(now time.Time) ([]*parcel, time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var some []*parcel
	for len(o.heap) > 0 && len(some) < batch {
		p := o.heap[0]
		if wait := p.due.Sub(now); wait > 0 {
			if len(some) == 0 {
				return nil, wait
			}
			break
		}
		if p.message != nil {
			if len(some) == 0 {
				heap.Pop(&o.heap)
				some = append(some, p)
			}
			break
		}
		heap.Pop(&o.heap)
		some = append(some, p)
	}
	if len(some) > 0 {
		return some, 0
	}
	return nil, time.Hour
}

func (o *outbox) post(ctx context.Context, some []*parcel) {
	res := result{parcels: some, try: some[0].tries + 1, body: o.envelope(some)}
	start := time.Now()
	res.code, _, res.err = postSigned(ctx, o.opt.HTTPClient, o.opt.WebhookURL(), o.opt.AppSecret, nil, res.body)
	res.took = time.Since(start)
	o.settle(res)
	o.report(res)
}

func (o *outbox) settle(res result) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	for _, p := range res.parcels {
		p.tries++
		switch {
		case !res.ok() && now.Sub(p.born) < maxAge:
			p.due = now.Add(o.backoff(p.tries))
			heap.Push(&o.heap, p)
			continue
		case res.ok() && p.repeat:
			p.repeat = false
			heap.Push(&o.heap, p)
			continue
		}
		o.waiting--
		if p.lane == "" {
			continue
		}
		if rest := o.lanes[p.lane][1:]; len(rest) > 0 {
			o.lanes[p.lane] = rest
			heap.Push(&o.heap, rest[0])
		} else {
			delete(o.lanes, p.lane)
		}
	}
	o.nudge()
}

func (o *outbox) backoff(tries int) time.Duration {
	wait := o.opt.Backoff
	for range tries - 1 {
		if wait *= 2; wait >= maxBackoff {
			return maxBackoff
		}
	}
	return wait
}

// postSigned posts a webhook body as Meta does and returns the answer.
func postSigned(ctx context.Context, client *http.Client, url, secret string, header http.Header, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("webhook request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "facebookexternalua")
	if secret != "" {
		req.Header.Set(whatsapp.SignatureHeader, whatsapp.Sign(secret, body))
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("post webhook: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return resp.StatusCode, answer, fmt.Errorf("webhook answer: %w", err)
	}
	return resp.StatusCode, answer, nil
}

// parcels is a heap by due time.
type parcels []*parcel

func (h parcels) Len() int           { return len(h) }
func (h parcels) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h parcels) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *parcels) Push(x any) { *h = append(*h, x.(*parcel)) }

// Pop implements heap.Interface.
func (h *parcels) Pop() any {
	old := *h
	p := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return p
}

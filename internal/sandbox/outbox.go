package sandbox

import (
	"bytes"
	"container/heap"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

const (
	concurrentPosts = 8                  // webhooks posted at once
	maxBatch        = 100                // statuses in one webhook; Meta's limit is 1,000
	maxPending      = 200_000            // events that wait or are retried
	maxBackoff      = time.Minute        // between two attempts
	maxAge          = 7 * 24 * time.Hour // after which WhatsApp gives up
)

var errTooManyPending = errors.New("too many events wait for the webhook")

// webhookEvent is one event for the webhook.
type webhookEvent struct {
	due  time.Time
	born time.Time
	// lane keeps a person's events in order: the next one is posted after the 200 of the
	// one before. Statuses have no lane.
	lane    string
	contact *wireContact
	message json.RawMessage // either message
	status  *wireStatus     // or status is set
	id      string          // of its message
	tick    string          // of the status
	tries   int
	repeat  bool // post it a second time, as WhatsApp sometimes does
}

// postResult is the result of one post.
type postResult struct {
	events []*webhookEvent
	try    int // of the first event; once settled, its own count may go on
	body   []byte
	code   int
	took   time.Duration
	err    error
}

func (r postResult) ok() bool { return r.err == nil && r.code == http.StatusOK }

// outbox posts events to the webhook when they are due, statuses in batches, and waits
// longer after each answer that is not a 200.
type outbox struct {
	opt    Options
	client *http.Client
	report func(postResult)

	mu      sync.Mutex
	heap    eventHeap
	lanes   map[string][]*webhookEvent // the head of each lane is in the heap, or being posted
	pending int
	wake    chan struct{}
}

func newOutbox(o Options) *outbox {
	client := &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: concurrentPosts, MaxConnsPerHost: 4 * concurrentPosts, IdleConnTimeout: time.Minute},
	}
	return &outbox{opt: o, client: client, lanes: map[string][]*webhookEvent{}, wake: make(chan struct{}, 1)}
}

func (o *outbox) add(all ...*webhookEvent) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pending+len(all) > maxPending {
		return errTooManyPending
	}
	for _, p := range all {
		o.pending++
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
	o.signal()
	return nil
}

// PendingEvents is how many events the webhook has not taken yet.
func (o *outbox) PendingEvents() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.pending
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outbox) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, concurrentPosts)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		for {
			batch, wait := o.take(time.Now())
			if batch != nil {
				wg.Go(func() {
					o.post(context.WithoutCancel(ctx), batch)
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

// take returns the events of the next post, one of a person or a batch of statuses, or the
// time until one is due.
func (o *outbox) take(now time.Time) ([]*webhookEvent, time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var batch []*webhookEvent
	for len(o.heap) > 0 && len(batch) < maxBatch {
		p := o.heap[0]
		if wait := p.due.Sub(now); wait > 0 {
			if len(batch) == 0 {
				return nil, wait
			}
			break
		}
		if p.message != nil {
			if len(batch) == 0 {
				heap.Pop(&o.heap)
				batch = append(batch, p)
			}
			break
		}
		heap.Pop(&o.heap)
		batch = append(batch, p)
	}
	if len(batch) > 0 {
		return batch, 0
	}
	return nil, time.Hour
}

func (o *outbox) post(ctx context.Context, batch []*webhookEvent) {
	res := postResult{events: batch, try: batch[0].tries + 1, body: o.envelope(batch)}
	start := time.Now()
	res.code, _, res.err = postSigned(ctx, o.client, o.opt.WebhookURL(), o.opt.AppSecret, nil, res.body)
	res.took = time.Since(start)
	o.finish(res)
	o.report(res)
}

func (o *outbox) finish(res postResult) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	for _, p := range res.events {
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
		o.pending--
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
	o.signal()
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

// eventHeap is a heap by due time.
type eventHeap []*webhookEvent

func (h eventHeap) Len() int           { return len(h) }
func (h eventHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h eventHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *eventHeap) Push(x any) { *h = append(*h, x.(*webhookEvent)) }

// Pop implements heap.Interface.
func (h *eventHeap) Pop() any {
	old := *h
	p := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return p
}

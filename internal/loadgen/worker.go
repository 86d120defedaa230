package loadgen

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"
)

// worker owns one connection and every Connections-th conversation. It posts one request
// after the other, so message n+1 of a person is posted after the 200 of message n.
type worker struct {
	g      *Generator
	client *client
	random *rand.Rand

	conversations, round, next int    // number of conversations; position in them
	batch                      []item // content of the current request
	reports                    *inbox // statuses not posted yet
	statusesDue                int    // statuses that the messages so far still lack
	lastMessage                item   // the newest message
	body                       []byte
	olderBody                  []byte // an accepted body, to be posted again later
	stamp                      []byte
}

type item struct {
	conversation, n int
	status          string // "" for a message
	id              string // message that a status reports on; "" for an invented one
	ref             string // the router's own id of that message
}

// inbox holds the statuses that a worker has not posted yet.
type inbox struct {
	mu    sync.Mutex
	items []item
}

func (b *inbox) add(items ...item) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.items = append(b.items, items...)
}

func (b *inbox) take(most int, to []item) []item {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(most, len(b.items))
	to = append(to, b.items[:n]...)
	b.items = b.items[n:]
	return to
}

var statusNames = [...]string{"sent", "delivered", "read"}

// ReplyAccepted reports that WhatsApp accepted an answer to a person, with the answer's
// id and biz_opaque_callback_data. It is safe for concurrent use.
func (g *Generator) ReplyAccepted(person, id, ref string) {
	c, ok := g.plan.conversation(person, g.o.Conversations)
	if !ok {
		return
	}
	if newest := g.newest[c].Load(); newest > 0 {
		g.reply.Add(time.Since(g.start) - time.Duration(newest))
	}
	if !g.o.ReportReplies {
		return
	}
	var reports []item
	for i := range g.o.Statuses {
		reports = append(reports, item{conversation: c, status: statusNames[i%len(statusNames)], id: id, ref: ref})
	}
	g.inboxes[c%g.o.Connections].add(reports...)
}

func newWorker(g *Generator, id int) *worker {
	return &worker{
		g: g, client: newClient(g.target, g.o.Timeout),
		random:  rand.New(rand.NewPCG(g.o.Seed, uint64(id))),
		reports: &g.inboxes[id],
		next:    id, conversations: (g.o.Conversations - id + g.o.Connections - 1) / g.o.Connections,
	}
}

func (w *worker) run(ctx context.Context) error {
	defer w.client.close()
	stop := context.AfterFunc(ctx, w.client.expire)
	defer stop()
	for ctx.Err() == nil && w.nextRequest() {
		due := w.g.nextDue()
		if !Sleep(ctx, time.Until(due)) {
			return nil
		}
		w.markPosted(due)
		if err := w.deliver(ctx, due); err != nil {
			return err
		}
	}
	return nil
}

// markPosted records that the messages of the request are about to be posted.
func (w *worker) markPosted(due time.Time) {
	for _, it := range w.batch {
		if it.status == "" {
			at := due.Sub(w.g.start)
			w.g.tried[it.conversation] = it.n + 1
			w.g.due[it.conversation] = append(w.g.due[it.conversation], at)
			w.g.newest[it.conversation].Store(max(1, int64(at)))
		}
	}
}

// Sleep waits for d; it returns false if ctx ends first.
func Sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// nextRequest builds the next request; it returns false if none is left.
func (w *worker) nextRequest() bool {
	w.batch = w.batch[:0]
	// Statuses come first, except now and then those of answers: otherwise all people would
	// write at the same time, and then all statuses would follow.
	messagesFirst := w.g.o.ReportReplies && w.random.IntN(w.g.o.Statuses+1) == 0
	if !messagesFirst {
		w.addReports()
	}
	for turns := 0; len(w.batch) < w.g.o.Batch && turns < w.conversations; turns++ { // at most one of each person
		c, n := w.next, w.round
		if w.g.o.Messages > 0 && n*w.g.o.Conversations+c >= w.g.o.Messages {
			break
		}
		if w.next += w.g.o.Connections; w.next >= w.g.o.Conversations {
			w.next %= w.g.o.Connections
			w.round++
		}
		if !w.g.stuck[c] {
			w.batch = append(w.batch, item{conversation: c, n: n})
		}
	}
	if messagesFirst {
		w.addReports()
	}
	if len(w.batch) == 0 {
		return false
	}
	w.stamp = strconv.AppendInt(w.stamp[:0], time.Now().Unix(), 10)
	w.body = append(w.body[:0], bodyHead...)
	for i, it := range w.batch {
		if i > 0 {
			w.body = append(w.body, ',')
		}
		if it.status == "" {
			w.body = w.g.plan.message(w.body, it.conversation, it.n, w.stamp)
		} else {
			w.body = w.g.plan.status(w.body, it, w.stamp)
		}
	}
	w.body = append(w.body, bodyTail...)
	if w.g.o.RawValue {
		w.body = append(w.body[:0], changeValue(w.body[len(bodyHead):len(w.body)-len(bodyTail)])...)
	}
	return true
}

// addReports fills the request with statuses.
func (w *worker) addReports() {
	w.batch = w.reports.take(w.g.o.Batch-len(w.batch), w.batch)
	for w.g.o.SyntheticStatuses && len(w.batch) < w.g.o.Batch && w.statusesDue > len(w.batch) {
		w.batch = append(w.batch, item{conversation: w.lastMessage.conversation, n: w.lastMessage.n, status: statusNames[w.statusesDue%len(statusNames)]})
	}
}

// deliver posts the request until it gets a 200, as Meta does. An error ends the run: the
// receiver will never accept the request.
func (w *worker) deliver(ctx context.Context, due time.Time) error {
	ok, err := w.postUntilAccepted(ctx, w.body)
	switch {
	case err != nil:
		return err
	case !ok && ctx.Err() == nil:
		for _, it := range w.batch {
			if it.status == "" {
				w.g.stuck[it.conversation] = true
				w.g.gaveUp.Add(1)
			}
		}
		return nil
	case !ok:
		return nil // the run was cancelled
	}
	if w.g.measured(due.Sub(w.g.start)) {
		w.g.latency.Add(time.Since(due))
	}
	for _, it := range w.batch {
		if it.status != "" {
			w.statusesDue--
			w.g.statuses.Add(1)
			continue
		}
		w.statusesDue, w.lastMessage = w.statusesDue+w.g.o.Statuses, it
		w.g.messages.Add(1)
		w.g.accepted[it.conversation] = it.n + 1
		for i := 0; i < w.g.o.Statuses && !w.g.o.ReportReplies; i++ {
			w.reports.add(item{conversation: it.conversation, n: it.n, status: statusNames[i%len(statusNames)]})
		}
	}
	if w.g.o.Duplicates == 0 || w.random.Float64() >= w.g.o.Duplicates {
		return nil
	}
	again := w.body
	if w.random.IntN(2) == 0 && len(w.olderBody) > 0 {
		again = w.olderBody
	}
	w.g.duplicates.Add(1)
	_, err = w.postUntilAccepted(ctx, again)
	w.olderBody = append(w.olderBody[:0], w.body...)
	return err
}

// postUntilAccepted returns false if the body was not accepted in time.
func (w *worker) postUntilAccepted(ctx context.Context, body []byte) (bool, error) {
	signature := w.g.signature.Sign(body)
	pause := 10 * time.Millisecond
	for begun := time.Now(); ; {
		status, wait, err := w.client.post(ctx, signature, body)
		if err == nil && status == 200 {
			w.g.requests.Add(1)
			return true, nil
		}
		if err != nil {
			status = 0
		}
		w.g.refused(status)
		if status >= 400 && status < 500 && status != 408 && status != 429 {
			return false, fmt.Errorf("the webhook answers %d: %s", status, hint(status))
		}
		pause = min(2*pause, time.Second)
		if wait = min(max(wait, 0), 2*time.Second); wait == 0 {
			wait = pause
		}
		if time.Since(begun)+wait > w.g.o.RetryFor || !Sleep(ctx, wait) {
			return false, nil
		}
		w.g.retried.Add(1)
	}
}

func hint(status int) string {
	switch status {
	case 401, 403:
		return "compare the app secret with the line's"
	case 404, 405:
		return "the address should end in /webhook"
	case 413:
		return "use smaller batches"
	default:
		return "the receiver refuses requests as Meta sends them"
	}
}

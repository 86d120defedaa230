package loadgen

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// worker owns one connection and every Connections-th conversation: what it
// posts it posts one after the other, so message n+1 of a person leaves after
// the 200 of n.
type worker struct {
	g      *Generator
	client *client
	random *rand.Rand

	mine, round, at int    // conversations that are mine; whose turn it is
	batch           []item // what the request in hand carries
	reports         []item // statuses that are still to be posted
	body            []byte
	older           []byte // an accepted body, to be posted again later
	stamp           []byte
}

type item struct {
	conversation, n int
	word            string // of a status; "" for a message
}

func newWorker(g *Generator, id int) *worker {
	return &worker{
		g: g, client: newClient(g.target, g.o.Timeout),
		random: rand.New(rand.NewPCG(g.o.Seed, uint64(id))),
		at:     id, mine: (g.o.Conversations - id + g.o.Connections - 1) / g.o.Connections,
	}
}

func (w *worker) run(ctx context.Context) error {
	defer w.client.close()
	stop := context.AfterFunc(ctx, w.client.hurry)
	defer stop()
	for ctx.Err() == nil && w.fill() {
		due := w.g.due()
		if !sleep(ctx, time.Until(due)) {
			return nil
		}
		if err := w.deliver(ctx, due); err != nil {
			return err
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) bool {
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

// fill makes the next request; false when there is nothing left to say.
func (w *worker) fill() bool {
	w.batch = w.batch[:0]
	for len(w.batch) < w.g.o.Batch && len(w.reports) > 0 {
		w.batch = append(w.batch, w.reports[0])
		w.reports = w.reports[1:]
	}
	for turns := 0; len(w.batch) < w.g.o.Batch && turns < w.mine; turns++ { // one of each person at most
		c, n := w.at, w.round
		if w.g.o.Messages > 0 && n*w.g.o.Conversations+c >= w.g.o.Messages {
			break
		}
		if w.at += w.g.o.Connections; w.at >= w.g.o.Conversations {
			w.at %= w.g.o.Connections
			w.round++
		}
		if !w.g.stuck[c] {
			w.batch = append(w.batch, item{conversation: c, n: n})
		}
	}
	if len(w.batch) == 0 {
		return false
	}
	w.stamp = strconv.AppendInt(w.stamp[:0], w.g.o.Now().Unix(), 10)
	w.body = append(w.body[:0], bodyHead...)
	for i, it := range w.batch {
		if i > 0 {
			w.body = append(w.body, ',')
		}
		if it.word == "" {
			w.g.tried[it.conversation] = it.n + 1
			w.body = w.g.plan.message(w.body, it.conversation, it.n, w.stamp)
		} else {
			w.body = w.g.plan.status(w.body, it.conversation, it.n, it.word, w.stamp)
		}
	}
	w.body = append(w.body, bodyTail...)
	if w.g.o.Bare {
		w.body = append(w.body[:0], bare(w.body[len(bodyHead):len(w.body)-len(bodyTail)])...)
	}
	return true
}

// deliver posts the request until it gets its 200, as Meta does. An error ends
// the run: the receiver says that it will never take this.
func (w *worker) deliver(ctx context.Context, due time.Time) error {
	ok, err := w.insist(ctx, w.body)
	switch {
	case err != nil:
		return err
	case !ok && ctx.Err() == nil:
		for _, it := range w.batch {
			if it.word == "" {
				w.g.stuck[it.conversation] = true
				w.g.gaveUp.Add(1)
			}
		}
		return nil
	case !ok:
		return nil // cut short
	}
	w.g.latency.add(time.Since(due))
	for _, it := range w.batch {
		if it.word != "" {
			w.g.statuses.Add(1)
			continue
		}
		w.g.messages.Add(1)
		w.g.accepted[it.conversation] = it.n + 1
		for i := range w.g.o.Statuses {
			w.reports = append(w.reports, item{it.conversation, it.n, [...]string{"sent", "delivered", "read"}[i%3]})
		}
	}
	if w.g.o.Duplicates == 0 || w.random.Float64() >= w.g.o.Duplicates {
		return nil
	}
	again := w.body
	if w.random.IntN(2) == 0 && len(w.older) > 0 {
		again = w.older
	}
	w.g.duplicates.Add(1)
	_, err = w.insist(ctx, again)
	w.older = append(w.older[:0], w.body...)
	return err
}

// insist returns false when nobody took the body in time.
func (w *worker) insist(ctx context.Context, body []byte) (bool, error) {
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
			return false, fmt.Errorf("the webhook answers %d: %s", status, cure(status))
		}
		pause = min(2*pause, time.Second)
		if wait = min(max(wait, 0), 2*time.Second); wait == 0 {
			wait = pause
		}
		if time.Since(begun)+wait > w.g.o.GiveUp || !sleep(ctx, wait) {
			return false, nil
		}
		w.g.retried.Add(1)
	}
}

func cure(status int) string {
	switch status {
	case 401, 403:
		return "compare the app secret with the line's"
	case 404, 405:
		return "the address should end in /webhook"
	case 413:
		return "use smaller batches"
	default:
		return "it does not take what Meta sends"
	}
}

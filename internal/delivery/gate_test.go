package delivery_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/delivery"
	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/queuetest"
	"github.com/psivisionhub/psi-router/internal/store"
)

// connection is a provider to which each message takes a while to connect. A caller that
// waits there ignores everything, like a stalled process.
type connection struct {
	mu       sync.Mutex
	connects map[string]time.Duration // by message, before its bytes leave
	answers  map[string]func() error  // by message, once they have left
	left     []string                 // messages whose bytes have left, in order
	receipts []string
}

func (c *connection) connect(ctx context.Context, id string) error {
	c.mu.Lock()
	takes := c.connects[id]
	delete(c.connects, id)
	c.mu.Unlock()
	time.Sleep(takes)
	if err := httpcall.CheckGate(ctx); err != nil {
		return &outbound.Failure{Class: outbound.NotBegun, Detail: "too late", Err: err}
	}
	return nil
}

func (c *connection) Send(ctx context.Context, p outbound.Post) (outbound.Accepted, error) {
	if err := c.connect(ctx, p.ID); err != nil {
		return outbound.Accepted{}, err
	}
	c.mu.Lock()
	c.left = append(c.left, p.ID)
	answer := c.answers[p.ID]
	delete(c.answers, p.ID)
	c.mu.Unlock()
	if answer != nil {
		if err := answer(); err != nil {
			return outbound.Accepted{}, err
		}
	}
	return outbound.Accepted{ID: "wamid." + p.ID}, nil
}

func (c *connection) MarkRead(ctx context.Context, id string) error {
	if err := c.connect(ctx, id); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.receipts = append(c.receipts, id)
	return nil
}

func (c *connection) Fetch(ctx context.Context, m inbound.Media) (io.ReadCloser, string, error) {
	if _, err := c.Send(ctx, outbound.Post{ID: m.ID}); err != nil {
		return nil, "", err
	}
	return io.NopCloser(strings.NewReader("text")), "text/plain", nil
}

// sends is one process of a line.
func sends(model *queuetest.Model, sendStore *fakeSendStore, c *connection, logger *slog.Logger) *delivery.Sends {
	return delivery.NewSends(delivery.SendOptions{
		Line: "wsp4", Store: sendStore, Queue: model, Sender: c, Marker: c,
		Log: logger, Backoff: queue.Backoff{Rand: func() float64 { return 1 }},
	})
}

// TestTooLate: a message whose time is over does not leave, whatever delayed it. It is no
// attempt, holds nobody, and goes in its turn, unless another process has begun to decide
// about it.
func TestTooLate(t *testing.T) {
	const standstill = 40 * second // the lease is 30 s
	no := func(wait time.Duration, class outbound.Class) func() error {
		return func() error { time.Sleep(wait); return fail(class, 0) }
	}
	for name, c := range map[string]struct {
		connects map[string]time.Duration
		answers  map[string]func() error
		other    bool // another process serves the line too
		states   []string
		left     []string // of conversation 1
		receipts []string // of conversation 1
		held     bool
	}{
		"nothing is late": {
			states: []string{"a sent", "b sent"}, left: []string{"a", "b"}, receipts: []string{"in-a", "in-b"},
		},
		"it stood still before the bytes": {
			connects: map[string]time.Duration{"a": standstill},
			states:   []string{"a sent", "b sent"}, left: []string{"a", "b"}, receipts: []string{"in-a", "in-a", "in-b"},
		},
		"it stood still before the receipt": {
			connects: map[string]time.Duration{"in-a": standstill},
			states:   []string{"a sent", "b sent"}, left: []string{"a", "b"}, receipts: []string{"in-a", "in-b"},
		},
		"it would not end within the lease": {
			connects: map[string]time.Duration{"a": 20 * second},
			states:   []string{"a sent", "b sent"}, left: []string{"a", "b"}, receipts: []string{"in-a", "in-a", "in-b"},
		},
		"another process found its row": {
			connects: map[string]time.Duration{"a": standstill}, other: true,
			states: []string{"a uncertain", "b sent"}, left: []string{"b"}, receipts: []string{"in-a", "in-b"},
		},
		"it stood still while the answer came": {
			answers: map[string]func() error{"a": func() error { time.Sleep(standstill); return nil }},
			states:  []string{"a sent", "b sent"}, left: []string{"a", "b"}, receipts: []string{"in-a", "in-b"},
		},
		"it stood still, and heard no answer": {
			answers: map[string]func() error{
				"a": no(standstill, outbound.Uncertain), "x1": no(standstill, outbound.Uncertain), "x2": no(standstill, outbound.Uncertain), "x3": no(standstill, outbound.Uncertain),
			},
			states: []string{"a uncertain", "b sent", "x1 uncertain", "x2 uncertain", "x3 uncertain"}, left: []string{"a", "b"}, receipts: []string{"in-a", "in-b"},
		},
		"it stood still for less than the lease": {
			answers: map[string]func() error{
				"a": no(20*second, outbound.Uncertain), "x1": no(20*second, outbound.Uncertain), "x2": no(20*second, outbound.Uncertain), "x3": no(20*second, outbound.Uncertain),
			},
			states: []string{"a uncertain", "b sent", "x1 uncertain", "x2 uncertain", "x3 uncertain"}, left: []string{"a", "b"}, receipts: []string{"in-a", "in-b"},
		},
		"it stood still, and could not connect": {
			answers: map[string]func() error{"a": no(standstill, outbound.Throttle)},
			states:  []string{"a sent", "b sent"}, left: []string{"a", "a", "b"}, receipts: []string{"in-a", "in-a", "in-b"},
		},
		"the line was held meanwhile": {
			connects: map[string]time.Duration{"a": 1300 * time.Millisecond},
			answers:  map[string]func() error{"x1": no(second, outbound.Throttle)},
			states:   []string{"a sent", "b sent", "x1 sent"}, left: []string{"a", "b"}, receipts: []string{"in-a", "in-a", "in-b"}, held: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				model, sendStore, logs := queuetest.NewModel(time.Now), &fakeSendStore{}, &bytes.Buffer{}
				logger := slog.New(slog.NewTextHandler(logs, nil)) // one for all processes, as it locks
				conn := &connection{connects: c.connects, answers: c.answers}
				r := &rig{T: t, model: model, store: sendStore}
				r.run(sends(model, sendStore, conn, logger))
				stop := r.stop
				r.say("1", "a", "b")
				for _, s := range c.states[2:] {
					id, _, _ := strings.Cut(s, " ")
					r.say(id, id)
				}
				pass(second / 2)
				if c.other {
					r.run(sends(model, sendStore, conn, logger))
					defer r.stop()
				}
				pass(3 * time.Minute)
				stop()
				if diff := cmp.Diff(sendStore.states(), c.states); diff != "" {
					t.Error(diff)
				}
				of := func(list []string, prefix string) []string {
					return slices.DeleteFunc(slices.Clone(list), func(id string) bool { return strings.HasPrefix(id, prefix) })
				}
				if diff := cmp.Diff(of(conn.left, "x"), c.left); diff != "" {
					t.Errorf("left: %s", diff)
				}
				if diff := cmp.Diff(of(conn.receipts, "in-x"), c.receipts); diff != "" {
					t.Errorf("receipts: %s", diff)
				}
				for _, m := range sendStore.rows {
					if m.attempts != 1 && (!c.held || m.id != "x1") { // x1 was refused by WhatsApp
						t.Errorf("%s had %d attempts", m.id, m.attempts)
					}
				}
				if got := strings.Contains(logs.String(), "queue is held"); got != c.held {
					t.Errorf("held: %v, want %v\n%s", got, c.held, logs)
				}
				if got := r.stats(); got.Retried != 0 || got.Depth != 0 {
					t.Errorf("got %+v", got)
				}
			})
		})
	}
}

// TestSlotBeforeClaim: however posts, receipts and the store behave, a claimed row leaves
// within two seconds, or is given back unchanged.
func TestSlotBeforeClaim(t *testing.T) {
	random := func(most time.Duration) func(string) time.Duration {
		return func(string) time.Duration { return rand.N(most) }
	}
	for name, c := range map[string]struct {
		store   time.Duration
		receipt time.Duration
		took    func(id string) time.Duration
		backs   bool // some rows are claimed for nothing: nobody could know
	}{
		"all is quick":            {0, 0, random(100 * time.Millisecond), false},
		"the store is slow":       {600 * time.Millisecond, 0, random(200 * time.Millisecond), false},
		"receipts hang":           {0, time.Hour, random(200 * time.Millisecond), false},
		"posts hang":              {0, 0, func(string) time.Duration { return 14 * second }, false},
		"posts take what they do": {100 * time.Millisecond, 100 * time.Millisecond, random(14 * second), true},
		"posts begin to hang": {0, 0, func(id string) time.Duration {
			if id < "m050" {
				return 50 * time.Millisecond
			}
			return 14 * second
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				model, sendStore := queuetest.NewModel(time.Now), &fakeSendStore{slow: c.store}
				w := &fakeSender{at: map[string][]time.Duration{}, start: time.Now(), took: c.took}
				slow := marker(c.receipt)
				r := &rig{T: t, model: model, store: sendStore, sender: w}
				waited := map[string]time.Duration{}
				var mu sync.Mutex
				w.began = func(id string) {
					mu.Lock()
					defer mu.Unlock()
					waited[id] = time.Since(sendStore.find(id).claimed)
				}
				r.run(delivery.NewSends(delivery.SendOptions{Line: "wsp4", Store: sendStore, Queue: model, Sender: w, Marker: slow, Posts: 4}))
				var want []string
				for n := range 100 {
					id := fmt.Sprintf("m%03d", n)
					r.say(id, id)
					want = append(want, id+" sent")
				}
				pass(20 * time.Minute)
				r.stop()
				if diff := cmp.Diff(sendStore.states(), want); diff != "" {
					t.Error(diff)
				}
				for id, d := range waited {
					if d > 2*second {
						t.Errorf("%s left %v after it was claimed", id, d)
					}
				}
				claims := 0
				for _, m := range sendStore.rows {
					claims += m.claims
					if m.attempts != 1 {
						t.Errorf("%s had %d attempts", m.id, m.attempts)
					}
				}
				if back := claims - 100; back > 0 && !c.backs || back > 50 {
					t.Errorf("%d of %d claims were for nothing", back, claims)
				}
			})
		})
	}
}

// marker takes so long for a receipt.
type marker time.Duration

func (m marker) MarkRead(ctx context.Context, _ string) error {
	select {
	case <-time.After(time.Duration(m)):
	case <-ctx.Done():
	}
	return nil
}

// TestEventsTooLate: without a conversation's lease nothing more of it is pushed, and no
// cursor moves: events that got through come again.
func TestEventsTooLate(t *testing.T) {
	const standstill = time.Minute // the lease is 46 s
	for name, c := range map[string]struct {
		conn *connection
		left []string
	}{
		"nothing is late": {&connection{}, []string{"1", "2"}},
		"it stood still before the bytes": {
			&connection{connects: map[string]time.Duration{"1": standstill}}, []string{"1", "2"},
		},
		"it stood still while the answer came": {
			&connection{answers: map[string]func() error{"1": func() error { time.Sleep(standstill); return nil }}}, []string{"1", "1", "2"},
		},
		"it stood still, and could not connect": {
			&connection{answers: map[string]func() error{"1": func() error { time.Sleep(standstill); return fail(outbound.Throttle, 0) }}}, []string{"1", "1", "2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newEventRig(t, delivery.EventOptions{})
				d.crm.conn = c.conn
				d.all()
				d.say("hola", 1)
				pass(10 * time.Minute)
				d.stop()
				if diff := cmp.Diff(c.conn.left, c.left); diff != "" {
					t.Error(diff)
				}
				if got := d.stats(); got.Retried != 0 || got.Depth != 0 {
					t.Errorf("got %+v", got)
				}
				if strings.Contains(d.logs.String(), "queue is held") {
					t.Errorf("the endpoint was held:\n%s", d.logs)
				}
				if err := d.store.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// fakeEventStore is a store of one conversation with one event, which records the cursors.
type fakeEventStore struct {
	mu      sync.Mutex
	cursors []store.Cursor
}

func (d *fakeEventStore) RegisterEndpoint(context.Context, time.Time, string) error { return nil }

func (d *fakeEventStore) PendingEvents(context.Context, string, []string, int) ([]store.Event, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.cursors) > 0 {
		return nil, nil
	}
	return []store.Event{{ID: "e", Conversation: "c", Type: store.EventReceived, Seq: 1, Pos: 1}}, nil
}

func (d *fakeEventStore) AdvanceCursors(_ context.Context, _ string, moved []store.Cursor) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cursors = append(d.cursors, moved...)
	return nil
}

// TestCursorOfWhoLostTheLease: the process that pushed the event again moves the cursor;
// the stalled one, whose push got through after all, does not.
func TestCursorOfWhoLostTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		model, d := queuetest.NewModel(time.Now), &fakeEventStore{}
		to := newCRM()
		to.conn = &connection{answers: map[string]func() error{"1": func() error { time.Sleep(time.Minute); return nil }}}
		if _, err := model.Enqueue(t.Context(), []queue.Job{{Queue: "events:crm", Lane: "c"}}); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		events := delivery.NewEvents(delivery.EventOptions{Endpoint: delivery.Endpoint{Name: "crm"}, Store: d, Queue: model, Pusher: to})
		go func() { done <- events.Run(ctx) }()
		pass(5 * time.Minute)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if to.total() != 2 || len(d.cursors) != 1 {
			t.Errorf("pushed %d times, cursors %v: want 2 pushes and one cursor", to.total(), d.cursors)
		}
	})
}

// TestMediaTooLate: a file is neither fetched nor its state changed without the lease; that
// is no attempt.
func TestMediaTooLate(t *testing.T) {
	const standstill = 6 * time.Minute // the lease is 5
	for name, c := range map[string]struct {
		conn *connection
		left []string
	}{
		"nothing is late": {&connection{}, []string{"1"}},
		"it stood still before the bytes": {
			&connection{connects: map[string]time.Duration{"1": standstill}}, []string{"1"},
		},
		"it stood still, and is refused": {
			&connection{answers: map[string]func() error{"1": func() error { time.Sleep(standstill); return fail(outbound.Permanent, 404) }}}, []string{"1", "1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cab := newMediaRig(t, t.TempDir(), delivery.MediaOptions{Fetchers: map[string]delivery.Fetcher{"wsp4": c.conn}})
				cab.ask("m", inbound.Media{ID: "1"})
				pass(20 * time.Minute)
				cab.stop()
				if diff := cmp.Diff(c.conn.left, c.left); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(cab.store.log, []string{"m ready"}); diff != "" {
					t.Error(diff)
				}
				if got := cab.stats(); got.Retried != 0 || got.Depth != 0 || got.Dead != 0 {
					t.Errorf("got %+v", got)
				}
			})
		})
	}
}

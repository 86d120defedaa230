package delivery_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/delivery"
	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/queuetest"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlitestore"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// fakeCRM is an endpoint that records what it took.
type fakeCRM struct {
	mu     sync.Mutex
	posts  int
	most   int // at once
	now    int
	taken  map[string][]int64 // seqs by conversation, in order of arrival
	types  map[string]int
	script func(store.Event) error
	took   time.Duration
	conn   *connection // the way to it; nil: immediate
}

func (c *fakeCRM) Push(ctx context.Context, e store.Event) error {
	if c.conn != nil {
		if _, err := c.conn.Send(ctx, outbound.Post{ID: fmt.Sprint(e.Seq)}); err != nil {
			return err
		}
	}
	c.mu.Lock()
	c.posts++
	c.now++
	c.most = max(c.most, c.now)
	took, script := c.took, c.script
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.now--
	}()
	if took > 0 {
		select {
		case <-time.After(took):
		case <-ctx.Done():
			return &outbound.Failure{Class: outbound.Retry, Detail: "it does not answer in time"}
		}
	}
	if script != nil {
		if err := script(e); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken[e.Conversation] = append(c.taken[e.Conversation], e.Seq)
	c.types[e.Type]++
	return nil
}

func (c *fakeCRM) set(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *fakeCRM) total() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.posts
}

// eventRig is the events of one endpoint over a real store and the model of the queue, in a
// bubble.
type eventRig struct {
	*testing.T
	store    *sqlitestore.Store
	model    *queuetest.Model
	crm      *fakeCRM
	logs     *bytes.Buffer
	notifier *delivery.EventNotifier
	scanner  *delivery.BacklogScanner
	events   *delivery.Events
	n        int
	stop     func()
}

func newCRM() *fakeCRM { return &fakeCRM{taken: map[string][]int64{}, types: map[string]int{}} }

func newEventRig(t *testing.T, o delivery.EventOptions) *eventRig {
	t.Helper()
	f, err := flow.Parse("psi.yaml", flowSource(t))
	if err != nil {
		t.Fatal(err)
	}
	d := &eventRig{T: t, model: queuetest.NewModel(time.Now), crm: newCRM(), logs: &bytes.Buffer{}}
	o.Name = "crm"
	log := slog.New(slog.NewTextHandler(d.logs, nil))
	endpoints := []delivery.Endpoint{o.Endpoint}
	d.notifier = delivery.NewEventNotifier(delivery.EventNotifierOptions{Queue: d.model, Stats: d.model.Stats, Endpoints: endpoints, Log: log})
	d.store, err = sqlitestore.Open(t.Context(), sqlitestore.Options{
		Path: filepath.Join(t.TempDir(), "store.db"), Relaxed: true,
		Settings: unit.Settings{OnEvents: d.notifier.OnEvents, Rules: router.Rules{Flow: f, HandoffTimeout: 24 * time.Hour, Window: 24 * time.Hour}},
	})
	if err != nil {
		t.Fatal(err)
	}
	o.Store, o.Queue, o.Pusher, o.Log = d.store, d.model, d.crm, log
	o.Backoff.Rand = func() float64 { return 1 }
	d.events = delivery.NewEvents(o)
	d.scanner = delivery.NewBacklogScanner(delivery.BacklogScannerOptions{
		Store: d.store, Queue: d.model, Open: d.notifier.Open, Endpoints: endpoints, Log: log,
	})
	return d
}

// run runs parts until stop.
func (d *eventRig) run(parts ...func(context.Context) error) {
	ctx, cancel := context.WithCancel(d.Context())
	var wg sync.WaitGroup
	for _, run := range parts {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				d.Error(err)
			}
		})
	}
	d.stop = func() {
		cancel()
		wg.Wait()
	}
	synctest.Wait()
}

func (d *eventRig) all() { d.run(d.notifier.Run, d.scanner.Run, d.events.Run) }

// end stops everything, and checks that all events were taken in order.
func (d *eventRig) end() {
	d.Helper()
	d.stop()
	d.settled()
	if err := d.store.Close(); err != nil {
		d.Error(err)
	}
}

// say lets people write.
func (d *eventRig) say(text string, people ...int) {
	d.Helper()
	var batch []inbound.Arrival
	for _, p := range people {
		d.n++
		batch = append(batch, inbound.Arrival{
			Kind: inbound.Message, ID: fmt.Sprintf("wamid.%d", d.n), Line: "wsp4", LineRef: "1", Provider: "cloud",
			Person: inbound.Person{Phone: fmt.Sprintf("54911%08d", p)}, SentAt: time.Now(), ReceivedAt: time.Now(),
			Content: &inbound.Content{Type: "text", Text: text},
		})
	}
	if _, err := d.store.Turn(context.WithoutCancel(d.Context()), time.Now(), batch); err != nil {
		d.Fatal(err)
	}
}

func people(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// settled checks that every event was taken, and each conversation's in order: an event may
// repeat, but not first come after a later one.
func (d *eventRig) settled() {
	d.Helper()
	want := map[string][]int64{}
	conversations, err := d.store.Conversations(context.WithoutCancel(d.Context()), store.Filter{Limit: 200})
	if err != nil {
		d.Fatal(err)
	}
	for _, conversation := range conversations {
		for seq := int64(1); seq <= conversation.Seq; seq++ {
			want[conversation.ID] = append(want[conversation.ID], seq)
		}
	}
	if diff := cmp.Diff(d.once(), want); diff != "" {
		d.Errorf("taken (-got +want):\n%s\n%s", diff, d.logs)
	}
}

// once returns what the endpoint took, without repeats.
func (d *eventRig) once() map[string][]int64 {
	d.crm.mu.Lock()
	defer d.crm.mu.Unlock()
	out := map[string][]int64{}
	for id, seqs := range d.crm.taken {
		for _, seq := range seqs {
			if !slices.Contains(out[id], seq) {
				out[id] = append(out[id], seq)
			}
		}
	}
	return out
}

func (d *eventRig) stats() queue.Stats {
	d.Helper()
	all, err := d.model.Stats(context.WithoutCancel(d.Context()))
	if err != nil {
		d.Fatal(err)
	}
	for _, s := range all {
		if s.Name == "events:crm" {
			return s
		}
	}
	return queue.Stats{}
}

func refuse(class outbound.Class, code int) func(store.Event) error {
	return func(store.Event) error { return fail(class, code) }
}

// TestEventsInOrder: events are pushed at once, conversations side by side, each
// conversation's events in order and once.
func TestEventsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newEventRig(t, delivery.EventOptions{Posts: 4})
		d.crm.took = 100 * time.Millisecond
		d.all()
		for _, text := range []string{"hola", "1", "11", "gracias"} {
			d.say(text, people(12)...)
			pass(50 * time.Millisecond)
		}
		pass(time.Minute)
		for id, seqs := range d.crm.taken {
			if !slices.IsSorted(seqs) || len(slices.Compact(slices.Clone(seqs))) != len(seqs) {
				t.Errorf("%s: got %v", id, seqs)
			}
		}
		if d.crm.most != 4 {
			t.Errorf("%d posts at once, want 4", d.crm.most)
		}
		if got := d.stats(); got.Depth != 0 || got.Retried != 0 {
			t.Errorf("got %+v", got)
		}
		d.say("hola?", 3)
		pass(time.Second) // the notifier is enough; the scanner takes longer
		d.end()
	})
}

// TestEventsWaitForSlots: more conversations are in hand than posts run at once, and a
// conversation that waits too long for a slow endpoint steps back, so that no lease runs
// out.
func TestEventsWaitForSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newEventRig(t, delivery.EventOptions{Posts: 1})
		d.crm.took = 12 * time.Second
		d.all()
		d.say("hola", people(8)...)
		pass(10 * time.Minute)
		if got := d.stats(); d.crm.most != 1 || got.Depth != 0 || got.Stalled != 0 || got.Retried != 0 {
			t.Errorf("%d posts at once, %+v", d.crm.most, got)
		}
		d.end()
	})
}

// TestEventsWithoutNotifier: the scanner finds lost wake-ups.
func TestEventsWithoutNotifier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newEventRig(t, delivery.EventOptions{})
		d.run(d.scanner.Run, d.events.Run)
		d.say("hola", people(40)...)
		pass(10 * time.Second)
		d.end()
	})
}

// TestManyWithoutNotifier: pages are small, but a full one is followed soon: the second
// does not wait for the next round.
func TestManyWithoutNotifier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newEventRig(t, delivery.EventOptions{})
		d.run(d.scanner.Run, d.events.Run)
		d.say("hola", people(190)...)
		pass(5900 * time.Millisecond) // five are the notifier's
		d.end()
	})
}

// TestEventsOfTroubledEndpoint: whatever it answers, for however long, everything arrives
// in order once it works, few posts are made meanwhile, the queue stays small, and the
// trouble is logged once.
func TestEventsOfTroubledEndpoint(t *testing.T) {
	for name, x := range map[string]struct {
		script func(store.Event) error
		took   time.Duration
		say    string
	}{
		"answers 500":  {script: refuse(outbound.Retry, 500), say: "takes no event"},
		"is gone":      {script: refuse(outbound.Throttle, 0), say: "cannot be reached"},
		"answers 401":  {script: refuse(outbound.Auth, 401), say: "refuses us"},
		"answers 400":  {script: refuse(outbound.Permanent, 400), say: "takes no event"},
		"hangs":        {took: time.Hour, say: "takes no event"},
		"panics":       {script: func(store.Event) error { panic("a bug") }, say: "takes no event"},
		"says nothing": {script: func(store.Event) error { return fmt.Errorf("?") }, say: "takes no event"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newEventRig(t, delivery.EventOptions{})
				d.all()
				d.say("hola", people(5)...)
				pass(time.Second)
				before := d.crm.total()
				d.crm.set(func() { d.crm.script, d.crm.took = x.script, x.took })
				for minute := range 8 {
					d.say("1", people(5+minute)...)
					pass(time.Minute)
				}
				// At most one wake-up runs and one waits for each conversation.
				if got := d.stats(); !strings.Contains(d.logs.String(), x.say) || got.Depth > 2*13 {
					t.Errorf("got %+v", got)
				}
				if n := d.crm.total() - before; n > 60 {
					t.Errorf("%d posts in eight minutes", n)
				}
				if n := strings.Count(d.logs.String(), "queue is held"); n != 1 {
					t.Errorf("told %d times", n)
				}
				d.crm.set(func() { d.crm.script, d.crm.took = nil, 0 })
				pass(5 * time.Minute)
				if got := d.stats(); got.HeldUntil.After(time.Now()) || got.Depth != 0 || got.Dead != 0 {
					t.Errorf("got %+v", got)
				}
				d.end()
			})
		})
	}
}

// TestPoisonEvent: a refused event delays its own conversation and no other, for as long as
// it takes.
func TestPoisonEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newEventRig(t, delivery.EventOptions{})
		d.all()
		d.say("hola", 0)
		pass(time.Second)
		poison := ""
		for id := range d.once() {
			poison = id
		}
		var waits []time.Duration
		worst := time.Duration(0)
		d.crm.set(func() {
			d.crm.script = func(e store.Event) error {
				if e.Conversation == poison {
					return fail(outbound.Permanent, 422)
				}
				d.crm.set(func() { worst = max(worst, time.Since(e.CreatedAt)) }) // posts run concurrently
				return nil
			}
		})
		d.say("1", people(10)...)
		for range 20 {
			d.say("11", 1, 2, 3)
			pass(20 * time.Second)
			d.crm.set(func() { waits = append(waits, worst) })
		}
		if worst > 2*time.Second {
			t.Errorf("others waited for %v", slices.Max(waits))
		}
		if got := len(d.once()[poison]); got != 2 {
			t.Errorf("%d events of it were taken: want those of before", got)
		}
		d.crm.set(func() { d.crm.script = nil })
		pass(11 * time.Minute)
		d.end()
	})
}

// TestEventRate: a rate counts events, for all conversations together.
func TestEventRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newEventRig(t, delivery.EventOptions{Rate: queue.Limit{Rate: 5, Burst: 1}})
		d.all()
		d.say("hola", people(20)...) // two events each
		pass(4100 * time.Millisecond)
		if got := d.crm.total(); got < 18 || got > 22 {
			t.Errorf("%d posts in 4 s at 5/s", got)
		}
		pass(time.Minute)
		d.end()
	})
}

// TestWantedEvents: unwanted events are passed over, and cost no post.
func TestWantedEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newEventRig(t, delivery.EventOptions{Endpoint: delivery.Endpoint{
			Wants: store.EventFilter{Types: []string{store.EventHandedOff}, Areas: []string{"admin"}},
		}})
		d.all()
		for _, text := range []string{"hola", "1", "0", "1", "0", "1", "0", "1", "0", "1", "0", "1", "11"} {
			d.say(text, people(6)...)
			pass(time.Second)
		}
		pass(time.Minute)
		d.stop()
		if diff := cmp.Diff(d.crm.types, map[string]int{store.EventHandedOff: 6}); diff != "" || d.crm.posts != 6 {
			t.Errorf("%d posts, got %v", d.crm.posts, d.crm.types)
		}
		if err := d.store.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestHeldEndpointFillsNothing: while it is held, events stay in the store and wake-ups out
// of the queue.
func TestHeldEndpointFillsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newEventRig(t, delivery.EventOptions{})
		d.crm.script = refuse(outbound.Throttle, 503)
		d.all()
		d.say("hola", 0)
		pass(time.Minute)
		for k := range 11 {
			list := make([]int, 100)
			for i := range list {
				list[i] = 1 + k*100 + i
			}
			d.say("hola", list...)
			pass(time.Second)
		}
		pass(time.Minute) // a held endpoint is scanned slowly
		if got := d.stats(); got.Depth > 300 {
			t.Errorf("%d wake-ups wait for 1,101 conversations", got.Depth)
		}
		backlogs, err := d.store.Backlogs(t.Context(), []string{"crm"})
		if err != nil || backlogs["crm"].Conversations != store.MaxBacklogCount || time.Since(backlogs["crm"].Oldest) < time.Minute {
			t.Errorf("got %+v, %v", backlogs, err)
		}
		d.crm.set(func() { d.crm.script = nil })
		pass(2 * time.Minute)
		d.stop()
		if got := len(d.once()); got != 1101 {
			t.Errorf("%d conversations arrived, want 1101", got)
		}
		if backlogs, err := d.store.Backlogs(t.Context(), []string{"crm"}); err != nil || len(backlogs) != 0 {
			t.Errorf("got %+v, %v", backlogs, err)
		}
		if err := d.store.Close(); err != nil {
			t.Error(err)
		}
	})
}

// mortalFeed is a store whose process may die at any call.
type mortalFeed struct {
	*sqlitestore.Store
	*life
}

func (s mortalFeed) PendingEvents(ctx context.Context, endpoint string, ids []string, n int) ([]store.Event, error) {
	return live(s.life, func() ([]store.Event, error) { return s.Store.PendingEvents(ctx, endpoint, ids, n) })
}

func (s mortalFeed) AdvanceCursors(ctx context.Context, endpoint string, cursors []store.Cursor) error {
	_, err := live(s.life, func() (int, error) { return 0, s.Store.AdvanceCursors(ctx, endpoint, cursors) })
	return err
}

func (s mortalFeed) ScanBacklog(ctx context.Context, endpoint string, wants store.EventFilter) (store.ScanResult, error) {
	return live(s.life, func() (store.ScanResult, error) { return s.Store.ScanBacklog(ctx, endpoint, wants) })
}

type mortalCRM struct {
	*fakeCRM
	*life
}

func (c mortalCRM) Push(ctx context.Context, e store.Event) error {
	_, err := live(c.life, func() (int, error) { return 0, c.fakeCRM.Push(ctx, e) })
	return err
}

// TestEventDeaths: a process that is killed between a post and its cursor posts again;
// nothing is lost, whenever it dies.
func TestEventDeaths(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 7))
			d := newEventRig(t, delivery.EventOptions{})
			d.crm.took = 20 * time.Millisecond
			if err := d.store.RegisterEndpoint(t.Context(), time.Now(), "crm"); err != nil {
				t.Fatal(err)
			}
			died, repeats := 0, 0
			for n := range 40 {
				l := &life{left: 1 + random.IntN(30), dead: make(chan struct{})}
				if n == 39 {
					l.left = -1
				}
				q := mortalEvents{d.model, l}
				s := mortalFeed{d.store, l}
				endpoint := delivery.Endpoint{Name: "crm"}
				events := delivery.NewEvents(delivery.EventOptions{
					Endpoint: endpoint, Store: s, Queue: q, Pusher: mortalCRM{d.crm, l}, Drain: time.Millisecond,
				})
				scanner := delivery.NewBacklogScanner(delivery.BacklogScannerOptions{
					Store: s, Queue: q, Open: func(string) bool { return true }, Endpoints: []delivery.Endpoint{endpoint},
				})
				if n < 30 {
					d.say([]string{"hola", "1", "11", "gracias"}[n%4], people(5+n%7)...)
				}
				ctx, kill := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				for _, run := range []func(context.Context) error{events.Run, scanner.Run} {
					wg.Go(func() { _ = run(ctx) }) // errors of the dead do not matter
				}
				idle := time.Minute
				if n == 39 {
					idle = 30 * time.Minute
				}
				select {
				case <-l.dead:
					died++
				case <-time.After(idle):
				}
				kill()
				wg.Wait()
			}
			for id, seqs := range d.crm.taken {
				repeats += len(seqs) - len(d.once()[id])
			}
			if died < 20 || repeats == 0 {
				t.Errorf("%d deaths, %d repeats: nothing was shown", died, repeats)
			}
			d.stop = func() {}
			d.end()
		})
	}
}

type mortalEvents struct {
	queue.Queue
	*life
}

func (q mortalEvents) Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error) {
	return live(q.life, func() ([]bool, error) { return q.Queue.Enqueue(ctx, jobs) })
}

func (q mortalEvents) Exchange(ctx context.Context, name string, o []queue.Outcome, want int, lease time.Duration) (queue.Batch, error) {
	return live(q.life, func() (queue.Batch, error) { return q.Queue.Exchange(ctx, name, o, want, lease) })
}

// TestStoreAwayAfterAPost: the cursor could not be moved, so the event comes again.
func TestStoreAwayAfterAPost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newEventRig(t, delivery.EventOptions{})
		away := &awayStore{Store: d.store}
		d.events = delivery.NewEvents(delivery.EventOptions{
			Endpoint: delivery.Endpoint{Name: "crm"}, Store: away, Queue: d.model, Pusher: d.crm,
			Log: slog.New(slog.NewTextHandler(d.logs, nil)),
		})
		d.all()
		away.set(true)
		d.say("hola", people(3)...)
		pass(time.Minute)
		if !strings.Contains(d.logs.String(), "the store cannot be reached") {
			t.Errorf("nobody was told: %s", d.logs)
		}
		if n := d.crm.total(); n < 6 || n > 300 {
			t.Errorf("%d posts while no cursor moves", n)
		}
		away.set(false)
		pass(time.Minute)
		d.end()
	})
}

type awayStore struct {
	*sqlitestore.Store
	mu   sync.Mutex
	away bool
}

func (s *awayStore) set(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

func (s *awayStore) AdvanceCursors(ctx context.Context, endpoint string, cursors []store.Cursor) error {
	s.mu.Lock()
	away := s.away
	s.mu.Unlock()
	if away {
		return fmt.Errorf("down: %w", store.ErrUnavailable)
	}
	return s.Store.AdvanceCursors(ctx, endpoint, cursors)
}

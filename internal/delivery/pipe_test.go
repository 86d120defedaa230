package delivery_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/psivisionhub/psi-router/flows"
	"github.com/psivisionhub/psi-router/internal/delivery"
	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/sqlitequeue"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlitestore"
	"github.com/psivisionhub/psi-router/internal/store/unit"
	"github.com/psivisionhub/psi-router/internal/worker"
)

// life is how many more calls a process makes before it dies. The last one may be carried
// out and not answered.
type life struct {
	mu   sync.Mutex
	left int // below 0: for ever
	dead chan struct{}
	now  func() time.Time // its machine's clock; nil is time.Now
}

var errDead = errors.New("the process is dead")

func (l *life) step() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.dead:
		return errDead
	default:
	}
	if l.left > 0 {
		if l.left--; l.left == 0 {
			close(l.dead)
			return errDead
		}
	}
	return nil
}

// live does a call of a process that may die before or after it.
func live[T any](l *life, call func() (T, error)) (T, error) {
	var none T
	if l.step() != nil {
		return none, errDead
	}
	v, err := call()
	if l.step() != nil {
		return none, errDead
	}
	return v, err
}

type mortalQueue struct {
	queue.Engine
	*life
}

func (q mortalQueue) Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error) {
	return live(q.life, func() ([]bool, error) { return q.Engine.Enqueue(ctx, jobs) })
}

func (q mortalQueue) Exchange(ctx context.Context, name string, o []queue.Outcome, want int, lease time.Duration) (queue.Batch, error) {
	return live(q.life, func() (queue.Batch, error) { return q.Engine.Exchange(ctx, name, o, want, lease) })
}

type mortalStore struct {
	store.Store
	*life
}

func (s mortalStore) Turn(ctx context.Context, now time.Time, batch []inbound.Arrival) ([]store.Result, error) {
	return live(s.life, func() ([]store.Result, error) { return s.Store.Turn(ctx, now, batch) })
}

func (s mortalStore) ClaimSends(ctx context.Context, now time.Time, token string, of []string) ([]store.SendClaim, error) {
	return live(s.life, func() ([]store.SendClaim, error) { return s.Store.ClaimSends(ctx, now, token, of) })
}

func (s mortalStore) RecordSends(ctx context.Context, now time.Time, r []store.SendResult) ([]store.Recorded, error) {
	return live(s.life, func() ([]store.Recorded, error) { return s.Store.RecordSends(ctx, now, r) })
}

type mortalSender struct {
	delivery.Sender
	*life
}

func (s mortalSender) Send(ctx context.Context, p outbound.Post) (outbound.Accepted, error) {
	return live(s.life, func() (outbound.Accepted, error) { return s.Sender.Send(ctx, p) })
}

// process is everything between the inbound queue and WhatsApp on the files in dir, until
// it dies or stop is closed. It is killed, not drained.
func process(t *testing.T, dir string, l *life, w *fakeSender, idle time.Duration) {
	t.Helper()
	f, err := flow.Parse("psi.yaml", flowSource(t))
	if err != nil {
		t.Fatal(err)
	}
	q, err := sqlitequeue.Open(t.Context(), sqlitequeue.Options{Path: filepath.Join(dir, "queue.db"), Relaxed: true, Now: l.now})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	s, err := sqlitestore.Open(t.Context(), sqlitestore.Options{
		Path: filepath.Join(dir, "store.db"), Relaxed: true,
		Settings: unit.Settings{ReplyTTL: -1, Rules: router.Rules{Flow: f, HandoffTimeout: 24 * time.Hour, Window: 24 * time.Hour}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()

	mq, ms := mortalQueue{q, l}, mortalStore{s, l}
	work := queue.NewRunner(queue.RunnerOptions{
		Queue: mq, Name: job.Inbound, Handler: worker.New(worker.Options{Store: ms, Queue: mq, Now: l.now}).Inbound(),
		Slots: 2, Batch: 20, Drain: time.Millisecond,
	})
	sends := delivery.NewSends(delivery.SendOptions{
		Line: "wsp4", Store: ms, Queue: mq, Sender: mortalSender{w, l}, Posts: 8, Drain: time.Millisecond, Now: l.now,
	})
	pump := delivery.NewPump(delivery.PumpOptions{Store: ms, Queue: mq, Now: l.now})
	ctx, kill := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{work.Run, sends.Run, pump.Run} {
		wg.Go(func() { _ = run(ctx) }) // errors of the dead do not matter
	}
	select {
	case <-l.dead:
	case <-time.After(idle):
	}
	kill()
	wg.Wait()
}

func flowSource(t *testing.T) []byte {
	t.Helper()
	f, err := flows.FS.Open("psi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	src, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// TestDeaths runs conversations through a process that dies again and again at random
// calls, before or after they are carried out. Every message is stored once and decided
// once and in order, every reply is posted at most once, and none is forgotten: a message
// whose post was under way is uncertain.
func TestDeaths(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) { deaths(t, dir, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func deaths(t *testing.T, dir string, random *rand.Rand) {
	const people, lives = 12, 12
	said := []string{"hola", "1", "11", "gracias", "hola?"}
	write(t, dir, people, said)
	w := &fakeSender{at: map[string][]time.Duration{}, start: time.Now(), took: func(string) time.Duration { return 100 * time.Millisecond }}
	died := 0
	for range lives {
		l := &life{left: 1 + random.IntN(60), dead: make(chan struct{})}
		process(t, dir, l, w, time.Minute)
		select {
		case <-l.dead:
			died++
		default:
		}
	}
	process(t, dir, &life{left: -1, dead: make(chan struct{})}, w, 20*time.Minute)
	if died < 5 {
		t.Errorf("only %d deaths: nothing was shown", died)
	}
	verify(t, dir, w, people, said)
}

// write adds messages of people to the queue.
func write(t *testing.T, dir string, people int, said []string) {
	t.Helper()
	q, err := sqlitequeue.Open(t.Context(), sqlitequeue.Options{Path: filepath.Join(dir, "queue.db"), Relaxed: true})
	if err != nil {
		t.Fatal(err)
	}
	for n, text := range said {
		for p := range people {
			time.Sleep(time.Millisecond)
			a := inbound.Arrival{
				Kind: inbound.Message, ID: fmt.Sprintf("wamid.%d.%d", p, n), Line: "wsp4", LineRef: "1", Provider: "cloud",
				Person: inbound.Person{Phone: fmt.Sprintf("54911000000%02d", p)}, SentAt: time.Now(), ReceivedAt: time.Now(),
				Content: &inbound.Content{Type: "text", Text: text},
			}
			j, err := job.Arrival(a)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := q.Enqueue(t.Context(), []queue.Job{j}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
}

func verify(t *testing.T, dir string, w *fakeSender, people int, said []string) {
	t.Helper()
	s, err := sqlitestore.Open(t.Context(), sqlitestore.Options{Path: filepath.Join(dir, "store.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	conversations, err := s.Conversations(t.Context(), store.Filter{Limit: 200})
	if err != nil || len(conversations) != people {
		t.Fatalf("%d conversations, want %d (%v)", len(conversations), people, err)
	}
	statuses := map[store.Status]int{}
	for _, conversation := range conversations {
		if conversation.State != router.StateHandedOff || conversation.Area != "admin" {
			t.Errorf("conversation ended %s %s", conversation.State, conversation.Area)
		}
		all, err := s.Messages(t.Context(), conversation.ID, "", 100)
		if err != nil {
			t.Fatal(err)
		}
		var received []string
		replies := 0
		for _, m := range all {
			if m.Direction == "inbound" {
				received = append(received, m.Text)
				continue
			}
			replies++
			statuses[m.Status]++
			posts := w.count(m.ID)
			switch {
			case posts > 1:
				t.Errorf("a reply was posted %d times", posts)
			case m.Status == store.Sent && (posts != 1 || m.ProviderID != "wamid."+m.ID):
				t.Errorf("sent with %d posts as %q", posts, m.ProviderID)
			case m.Status == store.Failed && m.Reason == router.Superseded && posts == 0: // the hand-off was quicker
			case m.Status != store.Sent && m.Status != store.Uncertain:
				t.Errorf("a reply ended %s (%s, %s) after %d posts", m.Status, m.Reason, cmp.Or(m.ErrorDetail, "no detail"), posts)
			}
		}
		if fmt.Sprint(received) != fmt.Sprint(said) {
			t.Errorf("heard %v, want %v", received, said)
		}
		if replies != 3 { // menu, sub-menu, confirmation; then a person answers
			t.Errorf("%d replies, want 3", replies)
		}
	}
	t.Logf("statuses: %v, %d posts", statuses, len(w.posts))
}

package delivery_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/psivisionhub/psi-router/internal/delivery"
	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/sqlitequeue"
	"github.com/psivisionhub/psi-router/internal/racetest"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlitestore"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// noticeRig is a line with everything that delivers on it, in a bubble.
type noticeRig struct {
	*testing.T
	store store.Store
	queue queue.Engine

	mu     sync.Mutex
	sent   map[string]time.Time // by our id: when its post began
	order  []string
	refuse func(outbound.Post) error
}

func (m *noticeRig) Send(_ context.Context, p outbound.Post) (outbound.Accepted, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuse != nil {
		if err := m.refuse(p); err != nil {
			return outbound.Accepted{}, err
		}
	}
	if _, twice := m.sent[p.ID]; twice {
		m.Errorf("%s was sent twice", p.ID)
	}
	m.sent[p.ID] = time.Now()
	m.order = append(m.order, p.ID)
	return outbound.Accepted{ID: "wamid." + p.ID}, nil
}

func (m *noticeRig) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.sent)
}

func (m *noticeRig) when(id string) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sent[id]
}

// newNoticeRig starts a line at the rate that lines of the Cloud API have.
func newNoticeRig(t *testing.T) *noticeRig {
	t.Helper()
	dir := t.TempDir()
	f, err := flow.Parse("psi.yaml", flowSource(t))
	if err != nil {
		t.Fatal(err)
	}
	m := &noticeRig{T: t, sent: map[string]time.Time{}}
	if m.queue, err = sqlitequeue.Open(t.Context(), sqlitequeue.Options{Path: filepath.Join(dir, "queue.db"), Relaxed: true}); err != nil {
		t.Fatal(err)
	}
	if m.store, err = sqlitestore.Open(t.Context(), sqlitestore.Options{
		Path: filepath.Join(dir, "store.db"), Relaxed: true, Settings: unit.Settings{Rules: router.Rules{Flow: f, HandoffTimeout: 24 * time.Hour, Window: 24 * time.Hour}},
	}); err != nil {
		t.Fatal(err)
	}
	sends := delivery.NewSends(delivery.SendOptions{
		Line: "wsp4", Store: m.store, Queue: m.queue, Sender: m, Rate: queue.Limit{Rate: 80, Burst: 8}, Drain: time.Second,
	})
	pump := delivery.NewPump(delivery.PumpOptions{Store: m.store, Queue: m.queue})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{sends.Run, pump.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		stop()
		running.Wait()
		_ = m.store.Close()
		_ = m.queue.Close()
	})
	return m
}

func someone(i int) inbound.Person { return inbound.Person{Phone: fmt.Sprintf("54911%08d", i)} }

// remind writes a notice to a person and returns its id.
func (m *noticeRig) remind(i int) string {
	m.Helper()
	body := json.RawMessage(`{"type":"template","template":{"name":"recordatorio","language":{"code":"es_AR"}}}`)
	done, err := m.store.Command(m.Context(), time.Now(), store.Command{
		To: &store.Recipient{Line: "wsp4", Person: someone(i)}, Command: router.Command{Kind: router.CommandAgentSent}, Actor: "campus",
		Draft: &store.Draft{Type: "template", Text: "recordatorio", Body: body, Notice: true},
	})
	if err != nil {
		m.Fatal(err)
	}
	return done.Message.ID
}

// hear lets a person write, and returns the id of the answer.
func (m *noticeRig) hear(i int, text string) string {
	m.Helper()
	now := time.Now()
	results, err := m.store.Turn(m.Context(), now, []inbound.Arrival{{
		Kind: inbound.Message, ID: fmt.Sprintf("in-%d-%d", i, now.UnixNano()), Line: "wsp4", LineRef: "1", Provider: "cloud",
		Person: someone(i), SentAt: now, ReceivedAt: now, Content: &inbound.Content{Type: "text", Text: text}, Raw: json.RawMessage(`{}`),
	}})
	if err != nil {
		m.Fatal(err)
	}
	if _, err := m.queue.Enqueue(m.Context(), []queue.Job{job.WakeSends("wsp4", results[0].Conversation)}); err != nil {
		m.Fatal(err)
	}
	all, err := m.store.Messages(m.Context(), results[0].Conversation, "", 100)
	if err != nil {
		m.Fatal(err)
	}
	return all[len(all)-1].ID
}

// TestNoticesDelayNobody: thousands of reminders wait, and a person gets an answer as if
// there were none.
func TestNoticesDelayNobody(t *testing.T) {
	racetest.Skip(t)
	synctest.Test(t, func(t *testing.T) {
		m := newNoticeRig(t)
		const reminders = 5000
		for i := range reminders {
			m.remind(i)
		}
		time.Sleep(5 * time.Second) // they are on their way
		before := m.count()
		if before == 0 || before > 500 {
			t.Fatalf("%d reminders left in five seconds", before)
		}
		slowest := time.Duration(0)
		for i := range 30 { // half of them have a reminder of their own before the answer
			asked, who := time.Now(), 10*reminders+i
			if i%2 == 0 {
				who = reminders - 1 - i
			}
			id := m.hear(who, "hola")
			time.Sleep(1500 * time.Millisecond)
			at := m.when(id)
			if at.IsZero() {
				t.Fatalf("answer %d waits behind the reminders", i)
			}
			slowest = max(slowest, at.Sub(asked))
		}
		if slowest > time.Second {
			t.Errorf("the slowest answer took %s", slowest)
		}
		time.Sleep(80 * time.Second)
		if got := m.count(); got != reminders+30 {
			t.Errorf("%d messages left, want %d", got, reminders+30)
		}
		t.Logf("the slowest answer took %s beside %d reminders", slowest, reminders)
	})
}

// TestNoticesWaitForAHeldLine: none is in the queue of a line that cannot send, and an
// answer leaves before the refused ones.
func TestNoticesWaitForAHeldLine(t *testing.T) {
	racetest.Skip(t)
	synctest.Test(t, func(t *testing.T) {
		m := newNoticeRig(t)
		down := true
		m.refuse = func(outbound.Post) error {
			if down {
				return fail(outbound.Auth, 190)
			}
			return nil
		}
		for i := range 300 {
			m.remind(i)
		}
		time.Sleep(time.Hour)
		stats, err := m.queue.Stats(t.Context(), job.SendQueue("wsp4"))
		if err != nil || len(stats) != 1 || stats[0].Depth > 60 {
			t.Errorf("what stands in the queue after an hour: %+v, %v", stats, err)
		}
		id := m.hear(999, "hola")
		m.mu.Lock()
		down = false
		m.mu.Unlock()
		time.Sleep(15 * time.Minute)
		if m.count() != 301 {
			t.Errorf("%d of 301 left", m.count())
		}
		for place, sent := range m.order {
			if sent == id && place > 60 {
				t.Errorf("the answer left as number %d", place)
			}
		}
	})
}

// TestANoticeThatFailsLetsGo: the wait of one notice delays no answer.
func TestANoticeThatFailsLetsGo(t *testing.T) {
	for _, class := range []outbound.Class{outbound.Retry, outbound.Pair} {
		synctest.Test(t, func(t *testing.T) {
			m := newNoticeRig(t)
			var tries []time.Time
			var notice string
			m.refuse = func(p outbound.Post) error {
				if p.ID == notice && len(tries) < 3 {
					tries = append(tries, time.Now())
					return fail(class, 131056)
				}
				return nil
			}
			m.mu.Lock()
			notice = m.remind(1)
			m.mu.Unlock()
			time.Sleep(10 * time.Second)
			asked := time.Now()
			id := m.hear(1, "hola")
			time.Sleep(2 * time.Second)
			if at := m.when(id); at.IsZero() || at.Sub(asked) > time.Second {
				t.Errorf("%s: the answer waits behind the notice", class)
			}
			time.Sleep(10 * time.Minute)
			if m.when(notice).IsZero() || len(tries) != 3 || tries[2].Sub(tries[0]) < time.Minute {
				t.Errorf("%s: the notice was tried %v", class, tries)
			}
		})
	}
}

// TestAFailingNoticeStrandsNobody: one wake-up is for an untried notice and the answer
// behind it. The notice fails alone, and the answer leaves all the same.
func TestAFailingNoticeStrandsNobody(t *testing.T) {
	for _, class := range []outbound.Class{outbound.Retry, outbound.Pair} {
		synctest.Test(t, func(t *testing.T) {
			m := newNoticeRig(t)
			var notice string
			m.refuse = func(p outbound.Post) error {
				if p.ID == notice {
					return fail(class, 131056)
				}
				return nil
			}
			time.Sleep(2100 * time.Millisecond) // between two rounds of the pump
			m.mu.Lock()
			notice = m.remind(1)
			m.mu.Unlock()
			asked := time.Now()
			id := m.hear(1, "hola")
			time.Sleep(5 * time.Second)
			if at := m.when(id); at.IsZero() || at.Sub(asked) > time.Second {
				t.Errorf("%s: the answer waits behind the notice", class)
			}
		})
	}
}

// TestManyNoticesToFewPeople: a person's notices are sent one after the other without a
// pause, and delay nobody else's.
func TestManyNoticesToFewPeople(t *testing.T) {
	racetest.Skip(t)
	synctest.Test(t, func(t *testing.T) {
		m := newNoticeRig(t)
		for i := range 400 {
			m.remind(i % 20)
		}
		for range 30 {
			m.remind(99)
		}
		other := m.remind(100)
		asked := time.Now()
		time.Sleep(12 * time.Second)
		if got := m.count(); got < 425 {
			t.Errorf("%d of 431 left in 12 s", got)
		}
		if at := m.when(other); at.IsZero() || at.Sub(asked) > 10*time.Second {
			t.Errorf("somebody else's left after %s", at.Sub(asked))
		}
		var ids []string
		for range 4 {
			ids = append(ids, m.remind(1))
		}
		asked = time.Now()
		time.Sleep(20 * time.Second)
		for i, id := range ids {
			if at := m.when(id); at.IsZero() || at.Sub(asked) > 4*time.Second {
				t.Errorf("number %d left after %s", i, at.Sub(asked))
			}
		}
	})
}

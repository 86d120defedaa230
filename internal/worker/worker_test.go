package worker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/psivisionhub/psi-router/internal/bubbletest"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/queuetest"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/worker"
)

func TestMain(m *testing.M) {
	bubbletest.UseOneProcessor()
	goleak.VerifyTestMain(m)
}

// fakeStore is a store that keeps each arrival once, a row to send for each message until it is
// taken, and the rejected messages.
type fakeStore struct {
	mu       sync.Mutex
	seen     map[string]bool
	order    []string
	pending  map[string]int // conversation → rows to send
	rejected []string
	statuses []string
	late     []string
	records  []inbound.Arrival
	busy     map[string]int // id → how many times its contact is locked
	turns    []int

	down   error
	broken int // calls in which the process is suspended, which then fail
	poison map[string]error
}

func newFakeStore() *fakeStore {
	return &fakeStore{seen: map[string]bool{}, pending: map[string]int{}, busy: map[string]int{}, poison: map[string]error{}}
}

// failNow reports whether this call fails.
func (l *fakeStore) failNow() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken--
	return l.broken >= 0
}

func (l *fakeStore) Turn(ctx context.Context, _ time.Time, batch []inbound.Arrival) ([]store.Result, error) {
	if l.failNow() {
		time.Sleep(11 * time.Second)
		return nil, fmt.Errorf("broken pipe: %w", store.ErrUnavailable)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if l.down != nil {
		return nil, l.down
	}
	for _, a := range batch {
		if strings.HasPrefix(a.ID, "panic") {
			panic("a bug")
		}
		if err := l.poison[a.ID]; err != nil {
			return nil, err
		}
	}
	l.turns = append(l.turns, len(batch))
	results := make([]store.Result, len(batch))
	for i, a := range batch {
		if a.Quarantine != "" {
			l.records = append(l.records, a)
			results[i].Reason = router.Reason(a.Quarantine)
			continue
		}
		if l.busy[a.ID] > 0 {
			l.busy[a.ID]--
			results[i].Busy = true
			continue
		}
		conversation := "c-" + a.Person.Ref()
		r := store.Result{MessageID: "m-" + a.ID, Conversation: conversation, Reason: router.FirstContact, State: router.StateMenu, Replies: 1}
		if l.seen[a.Key()] {
			r.Duplicate = true
		} else {
			l.seen[a.Key()] = true
			l.order = append(l.order, a.ID)
			if a.Late {
				l.late = append(l.late, a.ID)
			} else {
				l.pending[conversation]++
			}
		}
		if l.pending[conversation] > 0 {
			r.Wake = &store.Wake{Line: a.Line, Conversation: conversation}
		}
		if a.Content != nil && a.Content.Media != nil {
			r.Media = &store.MediaRef{MessageID: r.MessageID, Line: a.Line, Media: *a.Content.Media}
		}
		results[i] = r
	}
	return results, nil
}

func (l *fakeStore) Reject(_ context.Context, _ time.Time, a inbound.Arrival, why string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down != nil {
		return l.down
	}
	if err := l.poison["reject "+a.ID]; err != nil && a.Raw != nil {
		return err
	}
	l.rejected = append(l.rejected, a.ID+": "+why)
	return nil
}

func (l *fakeStore) Statuses(_ context.Context, _ time.Time, batch []inbound.Arrival) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down != nil {
		return l.down
	}
	for _, a := range batch {
		if err := l.poison[a.ID]; err != nil {
			return err
		}
	}
	for _, a := range batch {
		l.statuses = append(l.statuses, a.ID+" "+a.Report.Status)
	}
	return nil
}

func (l *fakeStore) set(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// rig is a worker over the model, in a bubble.
type rig struct {
	*testing.T
	model *queuetest.Model
	store *fakeStore
	logs  *bytes.Buffer
	start time.Time
	stop  func()
}

func newRig(t *testing.T, q worker.Options, o queue.RunnerOptions) *rig {
	t.Helper()
	r := &rig{T: t, model: queuetest.NewModel(time.Now), store: newFakeStore(), logs: &bytes.Buffer{}, start: time.Now()}
	q.Store = r.store
	if q.Queue == nil {
		q.Queue = r.model
	}
	q.Log = slog.New(slog.NewJSONHandler(r.logs, nil))
	w := worker.New(q)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for name, h := range map[string]queue.Handler{job.Inbound: w.Inbound(), job.Status: w.Status()} {
		o.Queue, o.Name, o.Handler = r.model, name, h
		o.Backoff.Rand = func() float64 { return 1 }
		if o.Batch == 0 {
			o.Batch = 100
		}
		runner := queue.NewRunner(o)
		wg.Go(func() {
			if err := runner.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	r.stop = func() { cancel(); wg.Wait() }
	return r
}

func text(id, person string, at time.Time) inbound.Arrival {
	return inbound.Arrival{
		Kind: inbound.Message, ID: id, Line: "wsp4", LineRef: "1", Provider: "cloud",
		Person: inbound.Person{Phone: person}, ReceivedAt: at,
		Content: &inbound.Content{Type: "text", Text: "secreto"}, Raw: json.RawMessage(`{"a":1}`),
	}
}

func (r *rig) arrive(arrivals ...inbound.Arrival) {
	r.Helper()
	var jobs []queue.Job
	for _, a := range arrivals {
		j, err := job.Arrival(a)
		if err != nil {
			r.Fatal(err)
		}
		jobs = append(jobs, j)
	}
	if _, err := r.model.Enqueue(r.Context(), jobs); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) stats(name string) queue.Stats {
	r.Helper()
	all, err := r.model.Stats(context.WithoutCancel(r.Context()))
	if err != nil {
		r.Fatal(err)
	}
	for _, s := range all {
		if s.Name == name {
			return s
		}
	}
	return queue.Stats{}
}

func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestTurnThenWakesThenDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, worker.Options{}, queue.RunnerOptions{})
		photo := text("3", "5491100000002", r.start.Add(3))
		photo.Content.Media = &inbound.Media{ID: "media-1", MIME: "image/jpeg"}
		r.arrive(text("1", "5491100000001", r.start.Add(1)), text("2", "5491100000001", r.start.Add(2)), photo)
		pass(time.Second)
		r.stop()

		slices.Sort(r.store.order)
		if diff := cmp.Diff(r.store.order, []string{"1", "2", "3"}); diff != "" {
			t.Error(diff)
		}
		// Two messages of one lane take two turns, of two lanes one.
		if diff := cmp.Diff(r.store.turns, []int{2, 1}); diff != "" {
			t.Error(diff)
		}
		if got := r.stats("inbound"); got.Done != 3 || got.Depth != 0 {
			t.Errorf("inbound: %+v", got)
		}
		// One wake-up per conversation, and one file to fetch.
		if got := r.stats("send:wsp4"); got.Depth != 2 {
			t.Errorf("sends: %+v", got)
		}
		b, err := r.model.Exchange(t.Context(), "media", nil, 10, time.Minute)
		if err != nil || len(b.Claims) != 1 {
			t.Fatalf("media jobs: %v %v", b.Claims, err)
		}
		var ref store.MediaRef
		if err := json.Unmarshal(b.Claims[0].Body, &ref); err != nil {
			t.Fatal(err)
		}
		want := store.MediaRef{MessageID: "m-3", Line: "wsp4", Media: *photo.Content.Media}
		if diff := cmp.Diff(ref, want); diff != "" {
			t.Error(diff)
		}
	})
}

// TestOneLineForEachMessage: it has everything that an operator needs, and nothing that must not
// be logged.
func TestOneLineForEachMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, worker.Options{}, queue.RunnerOptions{})
		r.arrive(text("1", "5491100000001", r.start))
		pass(time.Second)
		r.stop()
		if got := strings.Count(r.logs.String(), `"msg":"message"`); got != 1 {
			t.Fatalf("%d lines:\n%s", got, r.logs)
		}
		var line map[string]any
		if err := json.Unmarshal(r.logs.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		delete(line, "time")
		want := map[string]any{
			"level": "INFO", "msg": "message", "part": "worker", "id": "m-1", "line": "wsp4", "kind": "message",
			"reason": "first_contact", "conversation": "c-5491100000001", "state": "menu", "replies": 1.0,
			"ms": 0.0, "age_ms": 0.0, "phone": "***001",
		}
		if diff := cmp.Diff(line, want); diff != "" {
			t.Error(diff)
		}
		if strings.Contains(r.logs.String(), "secreto") {
			t.Error("a message text is in the log")
		}
	})
}

// TestBatchIsInArrivalOrder: lanes of one batch may lead to one contact.
func TestBatchIsInArrivalOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, worker.Options{}, queue.RunnerOptions{})
		var all []inbound.Arrival
		for i := range 30 { // in another order than they arrived
			all = append(all, text(fmt.Sprintf("%02d", 29-i), fmt.Sprint(1000+i), r.start.Add(time.Duration(29-i))))
		}
		r.arrive(all...)
		pass(time.Second)
		r.stop()
		if !slices.IsSorted(r.store.order) || len(r.store.order) != 30 || len(r.store.turns) != 1 {
			t.Errorf("got %v in %v turns", r.store.order, r.store.turns)
		}
	})
}

func TestRedrivenIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, worker.Options{}, queue.RunnerOptions{MaxAttempts: 1})
		r.store.poison["1"] = errors.New("not yet")
		r.arrive(text("1", "549", r.start))
		pass(time.Second)
		dead, err := r.model.Dead(t.Context(), "inbound", 0, 10)
		if err != nil || len(dead) != 1 {
			t.Fatalf("dead: %v %v", dead, err)
		}
		r.store.set(func() { delete(r.store.poison, "1") })
		if n, err := r.model.Redrive(t.Context(), []int64{dead[0].ID}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		pass(time.Second)
		r.stop()
		if diff := cmp.Diff(r.store.late, []string{"1"}); diff != "" {
			t.Error(diff)
		}
		if got := r.stats("send:wsp4").Depth; got != 0 {
			t.Errorf("a late message woke %d sends", got)
		}
	})
}

func TestBusyComesBackSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, worker.Options{}, queue.RunnerOptions{})
		r.store.busy["1"] = 3
		r.arrive(text("1", "1", r.start), text("2", "2", r.start))
		pass(140 * time.Millisecond)
		r.store.set(func() {
			if diff := cmp.Diff(r.store.order, []string{"2"}); diff != "" {
				t.Error(diff)
			}
		})
		pass(20 * time.Millisecond)
		r.stop()
		if got := r.stats("inbound"); got.Done != 2 || got.Retried != 0 {
			t.Errorf("got %+v", got)
		}
	})
}

// TestLockedRowCountsNoAttempt: a message that waits for a locked row costs no attempt and delays
// no other.
func TestLockedRowCountsNoAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, worker.Options{}, queue.RunnerOptions{MaxAttempts: 2})
		held := fmt.Errorf("statuses: %w", store.ErrBusy)
		report := func(id string) inbound.Arrival {
			return inbound.Arrival{Kind: inbound.Status, ID: id, Line: "wsp4", Report: &inbound.Report{Status: "read"}}
		}
		r.store.set(func() {
			for i := range 5 {
				r.store.poison[fmt.Sprint("held", i)] = held
			}
			r.store.poison["turn"] = held
		})
		for i := range 5 {
			r.arrive(report(fmt.Sprint("held", i)), report(fmt.Sprint("free", i)))
		}
		r.arrive(text("turn", "1", r.start), text("free", "2", r.start))
		pass(time.Minute)
		r.store.set(func() {
			if len(r.store.statuses) != 5 || len(r.store.order) != 1 {
				t.Errorf("the others waited: %v, %v", r.store.statuses, r.store.order)
			}
			clear(r.store.poison)
		})
		pass(5 * time.Second)
		r.stop()
		if got := r.stats("status"); got.Done != 10 || got.Retried != 0 || got.Dead != 0 {
			t.Errorf("status: %+v", got)
		}
		if got := r.stats("inbound"); got.Done != 2 || got.Retried != 0 || got.Dead != 0 {
			t.Errorf("inbound: %+v", got)
		}
	})
}

// TestLockedRowIsNotBuried: a message to be stored as invalid waits for its locked contact.
func TestLockedRowIsNotBuried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, worker.Options{}, queue.RunnerOptions{MaxAttempts: 1})
		r.store.poison["bad"] = errors.New("column too small")
		r.store.poison["reject bad"] = fmt.Errorf("reject: %w", store.ErrBusy)
		r.arrive(text("bad", "1", r.start))
		pass(10 * time.Minute)
		if got := r.stats("inbound"); got.Dead != 0 || got.Depth != 1 {
			t.Errorf("while it is held: %+v", got)
		}
		r.store.set(func() { delete(r.store.poison, "reject bad") })
		pass(20 * time.Minute)
		r.stop()
		if got := r.stats("inbound"); got.Dead != 1 || len(r.store.rejected) != 1 {
			t.Errorf("got %+v, rejected %v", got, r.store.rejected)
		}
	})
}

// TestOnlyTheCulpritCounts: the members of a failed batch are tried one by one, and a message
// that is given up is stored before its job is dead.
func TestOnlyTheCulpritCounts(t *testing.T) {
	for name, id := range map[string]string{"error": "bad", "panic": "panic"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, worker.Options{}, queue.RunnerOptions{MaxAttempts: 3})
				r.store.poison["bad"] = errors.New("column too small")
				for i := range 10 {
					r.arrive(text(fmt.Sprint(i), fmt.Sprint(i), r.start))
				}
				r.arrive(text(id, "99", r.start), text("after", "99", r.start))
				pass(time.Minute)
				r.stop()
				got := r.stats("inbound")
				if got.Done != 11 || got.Dead != 1 || got.Retried != 2 || got.Depth != 0 {
					t.Errorf("got %+v", got)
				}
				if len(r.store.rejected) != 1 || !strings.HasPrefix(r.store.rejected[0], id+": ") {
					t.Errorf("rejected: %v", r.store.rejected)
				}
				if !slices.Contains(r.store.order, "after") {
					t.Error("the lane did not go on")
				}
			})
		})
	}
}

func TestRejectedWithoutContentIfNeedBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, worker.Options{}, queue.RunnerOptions{MaxAttempts: 1})
		r.store.poison["bad"] = errors.New("no")
		r.store.poison["reject bad"] = errors.New("raw is no JSON")
		r.arrive(text("bad", "99", r.start))
		pass(time.Minute)
		r.stop()
		if got := r.stats("inbound"); got.Dead != 1 || len(r.store.rejected) != 1 {
			t.Errorf("got %+v, rejected %v", got, r.store.rejected)
		}
	})
}

// TestUnreadableIsKept: an unreadable job costs no attempt, delays no other, and is stored with
// its bytes and the reason. As a dead letter it would fail again with each redrive.
func TestUnreadableIsKept(t *testing.T) {
	deep := `{"kind":"unknown","raw":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`
	bodies := map[string]string{"wsp4:1": "{", "wsp4:2": "{}", "?999:3": "null", "wsp4:4": deep, "wsp4:5": "\xff"}
	for _, name := range []string{job.Inbound, job.Status} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, worker.Options{}, queue.RunnerOptions{})
				for lane, body := range bodies {
					if _, err := r.model.Enqueue(t.Context(), []queue.Job{{Queue: name, Lane: lane, ID: lane, Body: []byte(body)}}); err != nil {
						t.Fatal(err)
					}
				}
				r.arrive(text("1", "1", r.start), inbound.Arrival{Kind: inbound.Status, ID: "w", Line: "wsp4", Report: &inbound.Report{Status: "read"}})
				pass(time.Second)
				r.stop()
				if got := r.stats(name); got.Dead != 0 || got.Done != int64(len(bodies))+1 || got.Retried != 0 {
					t.Errorf("got %+v", got)
				}
				if len(r.store.order) != 1 || len(r.store.statuses) != 1 || len(r.store.records) != len(bodies) {
					t.Errorf("got %v, %v and %d records", r.store.order, r.store.statuses, len(r.store.records))
				}
				kept := map[string]string{}
				for _, a := range r.store.records {
					if a.Kind != inbound.Unknown || a.Quarantine != "unknown_shape" || !a.ReceivedAt.Equal(r.start) ||
						!strings.HasPrefix(a.Detail, "decode arrival: ") {
						t.Errorf("got %+v", a)
					}
					kept[string(a.Raw)] = a.Line
				}
				want := map[string]string{`"{"`: "wsp4", `"{}"`: "wsp4", `"null"`: "", mustJSON(t, deep): "wsp4", `{"base64":"/w=="}`: "wsp4"}
				if diff := cmp.Diff(want, kept); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			})
		})
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestRedrivenUnreadableIsStored: a dead letter that an earlier version could not read is stored once
// it is redriven.
func TestRedrivenUnreadableIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := queuetest.NewModel(time.Now)
		if _, err := m.Enqueue(t.Context(), []queue.Job{{Queue: "inbound", Lane: "wsp4:1", ID: "1", Body: []byte("{")}}); err != nil {
			t.Fatal(err)
		}
		b, err := m.Exchange(t.Context(), "inbound", nil, 1, time.Minute)
		if err != nil || len(b.Claims) != 1 {
			t.Fatal(b, err)
		}
		outcome := queue.Outcome{Lane: "wsp4:1", Token: b.Claims[0].Token, Verdict: queue.Dead, Err: "decode arrival: unexpected end of JSON input"}
		if _, err := m.Exchange(t.Context(), "inbound", []queue.Outcome{outcome}, 0, time.Minute); err != nil {
			t.Fatal(err)
		}
		dead, err := m.Dead(t.Context(), "inbound", 0, 10)
		if err != nil || len(dead) != 1 {
			t.Fatal(dead, err)
		}
		if n, err := m.Redrive(t.Context(), []int64{dead[0].ID}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		s := newFakeStore()
		runner := queue.NewRunner(queue.RunnerOptions{Queue: m, Name: "inbound", Handler: worker.New(worker.Options{Store: s, Queue: m}).Inbound(), Batch: 100})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- runner.Run(ctx) }()
		pass(time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		dead, err = m.Dead(t.Context(), "inbound", 0, 10)
		if err != nil || len(dead) != 0 || len(s.records) != 1 {
			t.Errorf("dead %v, %v; records %v", dead, err, s.records)
		}
	})
}

// TestStoreOutage: the queue is held and probed, no attempt is counted, and it recovers by
// itself.
func TestStoreOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, worker.Options{}, queue.RunnerOptions{MaxAttempts: 1})
		r.store.down = fmt.Errorf("disk is full: %w", store.ErrUnavailable)
		for i := range 50 {
			r.arrive(text(fmt.Sprint(i), fmt.Sprint(i), r.start))
		}
		r.arrive(inbound.Arrival{Kind: inbound.Status, ID: "w", Line: "wsp4", Report: &inbound.Report{Status: "read"}})
		pass(500 * time.Millisecond)
		held := r.stats("inbound")
		if !held.HeldUntil.After(time.Now()) || !strings.Contains(held.HeldReason, "disk is full") {
			t.Errorf("not held: %+v", held)
		}
		pass(2 * time.Hour)
		r.store.set(func() { r.store.down = nil })
		pass(31 * time.Second)
		r.stop()
		got := r.stats("inbound")
		if got.Done != 50 || got.Retried != 0 || got.Dead != 0 || got.Stalled != 0 {
			t.Errorf("got %+v", got)
		}
		if got := r.stats("status"); got.Done != 1 || got.Retried != 0 {
			t.Errorf("status: %+v", got)
		}
		if n := strings.Count(r.logs.String(), "queue is held"); n != 2 { // one per queue
			t.Errorf("the outage was logged %d times", n)
		}
	})
}

// TestSuspensionIsNoOutage: after a suspension in a call the server has closed the connection.
// The queue is not held unless the second try fails too.
func TestSuspensionIsNoOutage(t *testing.T) {
	for name, c := range map[string]struct {
		broken, holds int
	}{"once": {1, 0}, "again": {2, 1}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, worker.Options{}, queue.RunnerOptions{MaxAttempts: 1})
				r.store.set(func() { r.store.broken = c.broken })
				r.arrive(text("1", "1", r.start))
				pass(time.Minute)
				r.stop()
				if got := r.stats("inbound"); got.Done != 1 || got.Retried != 0 || got.Dead != 0 {
					t.Errorf("got %+v", got)
				}
				if n := strings.Count(r.logs.String(), "queue is held"); n != c.holds {
					t.Errorf("held %d times, want %d", n, c.holds)
				}
			})
		})
	}
}

// TestFaultOfAllIsOurs: if no message of a batch can be handled the fault is ours, even if the store
// does not say so.
func TestFaultOfAllIsOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, worker.Options{}, queue.RunnerOptions{MaxAttempts: 2})
		r.store.down = errors.New("no such column: x")
		var all []inbound.Arrival
		for i := range 5 {
			all = append(all, text(fmt.Sprint(i), fmt.Sprint(i), r.start))
		}
		r.arrive(all...) // together: one or two alone do not show whose fault it is
		pass(time.Hour)
		r.store.set(func() { r.store.down = nil })
		pass(time.Minute)
		r.stop()
		if got := r.stats("inbound"); got.Done != 5 || got.Retried != 0 || got.Dead != 0 {
			t.Errorf("got %+v", got)
		}
	})
}

// failingQueue is a queue whose Enqueue fails a few times.
type failingQueue struct {
	queue.Queue
	mu    sync.Mutex
	times int
	calls [][]queue.Job
}

func (d *failingQueue) Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, jobs)
	if d.times > 0 {
		d.times--
		return nil, fmt.Errorf("enqueue: %w", queue.ErrUnavailable)
	}
	return d.Queue.Enqueue(ctx, jobs)
}

// TestWakeIsNeverLost: the turn is committed but its wake-ups are not enqueued, as that failed or
// the process died. The message comes again as a duplicate and asks for them again.
func TestWakeIsNeverLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &failingQueue{times: 3}
		m := queuetest.NewModel(time.Now)
		d.Queue = m
		r := &rig{T: t, model: m, store: newFakeStore(), logs: &bytes.Buffer{}, start: time.Now()}
		w := worker.New(worker.Options{Store: r.store, Queue: d})
		runner := queue.NewRunner(queue.RunnerOptions{Queue: m, Name: "inbound", Handler: w.Inbound(), Batch: 100})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		r.arrive(text("1", "1", r.start), text("2", "2", r.start))
		go func() { done <- runner.Run(ctx) }()
		pass(time.Minute)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := r.stats("inbound"); got.Done != 2 || got.Retried != 0 {
			t.Errorf("got %+v", got)
		}
		if got := r.stats("send:wsp4").Depth; got != 2 {
			t.Errorf("%d wake-ups, want 2", got)
		}
		if len(r.store.order) != 2 || r.store.pending["c-1"] != 1 {
			t.Errorf("decided twice: %v %v", r.store.order, r.store.pending)
		}
		if len(d.calls) != 4 || len(d.calls[0]) != 2 {
			t.Errorf("%d enqueues, want one for each batch", len(d.calls))
		}
	})
}

// TestKilledBetweenTurnAndEnqueue: the lease of the dead worker expires, and its successor
// enqueues the wake-up.
func TestKilledBetweenTurnAndEnqueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := queuetest.NewModel(time.Now)
		r := &rig{T: t, model: m, store: newFakeStore(), start: time.Now()}
		r.arrive(text("1", "1", r.start))
		b, err := m.Exchange(t.Context(), "inbound", nil, 1, 30*time.Second)
		if err != nil || len(b.Claims) != 1 {
			t.Fatal(b, err)
		}
		if _, err := r.store.Turn(t.Context(), r.start, []inbound.Arrival{text("1", "1", r.start)}); err != nil {
			t.Fatal(err)
		}
		// Here it dies. Its successor:
		w := worker.New(worker.Options{Store: r.store, Queue: m})
		runner := queue.NewRunner(queue.RunnerOptions{Queue: m, Name: "inbound", Handler: w.Inbound(), Batch: 100})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- runner.Run(ctx) }()
		pass(31 * time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := r.stats("send:wsp4").Depth; got != 1 {
			t.Errorf("%d wake-ups, want 1", got)
		}
		if r.store.pending["c-1"] != 1 {
			t.Errorf("decided twice: %v", r.store.pending)
		}
		// A late verdict of the dead worker is refused.
		b, err = m.Exchange(t.Context(), "inbound", []queue.Outcome{{Lane: b.Claims[0].Lane, Token: b.Claims[0].Token, Verdict: queue.Done}}, 0, time.Minute)
		if err != nil || len(b.Refused) != 1 {
			t.Errorf("a stale verdict was taken: %+v %v", b, err)
		}
	})
}

func TestStatuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, worker.Options{}, queue.RunnerOptions{MaxAttempts: 2})
		r.store.poison["bad"] = errors.New("no")
		status := func(id, s string) inbound.Arrival {
			return inbound.Arrival{Kind: inbound.Status, ID: id, Line: "wsp4", Person: inbound.Person{Phone: "549"}, Report: &inbound.Report{Status: s}}
		}
		r.arrive(status("a", "sent"), status("a", "read"), status("b", "delivered"), status("bad", "sent"))
		pass(time.Minute)
		r.stop()
		slices.Sort(r.store.statuses)
		if diff := cmp.Diff(r.store.statuses, []string{"a read", "a sent", "b delivered"}); diff != "" {
			t.Error(diff)
		}
		if got := r.stats("status"); got.Done != 3 || got.Dead != 1 {
			t.Errorf("got %+v", got)
		}
	})
}

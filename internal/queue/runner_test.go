package queue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/psivisionhub/psi-router/internal/bubbletest"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/queuetest"
)

func TestMain(m *testing.M) {
	bubbletest.UseOneProcessor()
	goleak.VerifyTestMain(m)
}

// bench is a runner over the model, in a synctest bubble.
type bench struct {
	*testing.T
	model *queuetest.Model
	done  chan error
	stop  context.CancelFunc
}

// counter is a queue that counts its calls and can fail some of them.
type counter struct {
	queue.Queue
	mu        sync.Mutex
	exchanges int
	wants     []int
	lose      int // exchanges whose answer is lost
}

func (c *counter) Exchange(ctx context.Context, name string, o []queue.Outcome, want int, lease time.Duration) (queue.Batch, error) {
	b, err := c.Queue.Exchange(ctx, name, o, want, lease)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.exchanges++
	c.wants = append(c.wants, want)
	if c.lose > 0 {
		c.lose--
		return queue.Batch{}, fmt.Errorf("answer lost: %w", queue.ErrUnavailable)
	}
	return b, err
}

func start(t *testing.T, o queue.RunnerOptions) *bench {
	t.Helper()
	b := &bench{T: t, done: make(chan error, 1)}
	if o.Queue == nil {
		b.model = queuetest.NewModel(time.Now)
		o.Queue = b.model
	}
	o.Name = "q"
	if o.Backoff.Rand == nil {
		o.Backoff.Rand = func() float64 { return 1 }
	}
	ctx, stop := context.WithCancel(t.Context())
	b.stop = stop
	r := queue.NewRunner(o)
	go func() { b.done <- r.Run(ctx) }()
	return b
}

// finish stops the runner and returns Run's error.
func (b *bench) finish() error {
	b.stop()
	return <-b.done
}

func jobs(lane string, n int) []queue.Job {
	var all []queue.Job
	for i := range n {
		all = append(all, queue.Job{Queue: "q", Lane: lane, ID: fmt.Sprintf("%s%d", lane, i), Body: []byte{byte(i)}})
	}
	return all
}

func enqueue(t *testing.T, q queue.Queue, jobs ...queue.Job) {
	t.Helper()
	if _, err := q.Enqueue(t.Context(), jobs); err != nil {
		t.Fatal(err)
	}
}

// pass lets time go by until everything in it has settled.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func stats(t *testing.T, m *queuetest.Model) queue.Stats {
	t.Helper()
	all, err := m.Stats(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Name == "q" {
			return s
		}
	}
	return queue.Stats{}
}

// diary records what a handler saw.
type diary struct {
	mu    sync.Mutex
	lines []string
	at    []time.Duration
	start time.Time
}

func newDiary() *diary { return &diary{start: time.Now()} }

func (d *diary) add(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
	d.at = append(d.at, time.Since(d.start))
}

func ids(batch []queue.Claim) string {
	var all []string
	for _, c := range batch {
		all = append(all, c.ID)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func settleAll(batch []queue.Claim, settle func(int, queue.Outcome), v queue.Verdict) {
	for i := range batch {
		settle(i, queue.Outcome{Verdict: v})
	}
}

func TestRunnerHandlesLanesInOrderAndInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		c := &counter{Queue: queuetest.NewModel(time.Now)}
		for _, lane := range []string{"a", "b", "c"} {
			enqueue(t, c, jobs(lane, 3)...)
		}
		b := start(t, queue.RunnerOptions{Queue: c, Batch: 10, Handler: queue.HandlerFunc(
			func(_ context.Context, batch []queue.Claim, settle func(int, queue.Outcome)) {
				d.add("%s", ids(batch))
				settleAll(batch, settle, queue.Done)
			},
		)})
		pass(time.Second)
		synctest.Wait()
		if diff := cmp.Diff(d.lines, []string{"a0 b0 c0", "a1 b1 c1", "a2 b2 c2"}); diff != "" {
			t.Error(diff)
		}
		// One exchange claims the first batch; three more each settle three outcomes and
		// claim the next three jobs. Nothing polls.
		if c.exchanges > 4 {
			t.Errorf("got %d exchanges, want at most 4", c.exchanges)
		}
		before := c.exchanges
		pass(3 * time.Second)
		if c.exchanges != before {
			t.Errorf("idle runner made %d exchanges", c.exchanges-before)
		}
		// A job in an idle queue is handled at once.
		begin := time.Now()
		enqueue(t, c, jobs("d", 1)...)
		synctest.Wait()
		if got := time.Since(begin); got != 0 || len(d.lines) != 4 {
			t.Errorf("woken after %v, %d batches", got, len(d.lines))
		}
		if err := b.finish(); err != nil {
			t.Error(err)
		}
	})
}

func TestRunnerClaimsOnlyForFreeSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		running, most := 0, 0
		b := start(t, queue.RunnerOptions{Slots: 2, Batch: 3, Handler: queue.HandlerFunc(
			func(_ context.Context, batch []queue.Claim, settle func(int, queue.Outcome)) {
				mu.Lock()
				running += len(batch)
				most = max(most, running)
				mu.Unlock()
				time.Sleep(time.Second)
				mu.Lock()
				running -= len(batch)
				mu.Unlock()
				settleAll(batch, settle, queue.Done)
			},
		)})
		for lane := range 20 {
			enqueue(t, b.model, jobs(string(rune('a'+lane)), 1)...)
		}
		pass(500 * time.Millisecond)
		if got := stats(t, b.model).InFlight; got > 6 {
			t.Errorf("%d claimed, room for 6", got)
		}
		pass(10 * time.Second)
		if most != 6 {
			t.Errorf("at most %d ran at once, want 6", most)
		}
		if got := stats(t, b.model); got.Done != 20 || got.Depth != 0 {
			t.Errorf("got %+v", got)
		}
		if err := b.finish(); err != nil {
			t.Error(err)
		}
	})
}

// TestRunnerGather: jobs that come soon after an exchange share the next one. A job that
// comes to an idle runner is handled at once, and a slow batch delays no other.
func TestRunnerGather(t *testing.T) {
	ms := time.Millisecond
	for _, c := range []struct {
		name  string
		rand  float64
		lines []string
		at    []time.Duration
	}{
		{"whole", 1, []string{"a0", "b0 c0", "d0", "e0"}, []time.Duration{0, 50 * ms, 100 * ms, 5080 * ms}},
		{"half", 0, []string{"a0", "b0", "c0", "d0", "e0"}, []time.Duration{0, 25 * ms, 50 * ms, 75 * ms, 5080 * ms}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDiary()
				b := start(t, queue.RunnerOptions{
					Slots: 4, Batch: 10, Gather: 50 * ms, Backoff: queue.Backoff{Rand: func() float64 { return c.rand }},
					Handler: queue.HandlerFunc(func(_ context.Context, batch []queue.Claim, settle func(int, queue.Outcome)) {
						d.add("%s", ids(batch))
						time.Sleep(time.Second)
						settleAll(batch, settle, queue.Done)
					}),
				})
				for _, lane := range []string{"a", "b", "c", "d"} {
					enqueue(t, b.model, jobs(lane, 1)...)
					synctest.Wait()
					time.Sleep(20 * ms)
				}
				pass(5 * time.Second)
				enqueue(t, b.model, jobs("e", 1)...)
				pass(2 * time.Second)
				if diff := cmp.Diff(d.lines, c.lines); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(d.at, c.at); diff != "" {
					t.Error(diff)
				}
				if err := b.finish(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestRunnerGatherBacklog: a claim that gets all it asked for is followed at once; one long
// lane advances once per exchange.
func TestRunnerGatherBacklog(t *testing.T) {
	ms := time.Millisecond
	for _, c := range []struct {
		name  string
		jobs  []queue.Job
		lines []string
		at    []time.Duration
	}{
		{"many lanes", slices.Concat(jobs("a", 2), jobs("b", 2), jobs("c", 2), jobs("d", 2)), []string{"a0 b0", "a1 b1", "c0 d0", "c1 d1"}, []time.Duration{0, 0, 0, 0}},
		{"one lane", jobs("a", 3), []string{"a0", "a1", "a2"}, []time.Duration{0, 50 * ms, 100 * ms}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDiary()
				model := queuetest.NewModel(time.Now)
				enqueue(t, model, c.jobs...)
				b := start(t, queue.RunnerOptions{Queue: model, Batch: 2, Gather: 50 * ms, Handler: queue.HandlerFunc(
					func(_ context.Context, batch []queue.Claim, settle func(int, queue.Outcome)) {
						d.add("%s", ids(batch))
						settleAll(batch, settle, queue.Done)
					},
				)})
				pass(time.Second)
				if diff := cmp.Diff(d.lines, c.lines); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(d.at, c.at); diff != "" {
					t.Error(diff)
				}
				if err := b.finish(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestRunnerInFlight: each outcome makes room for a claim, so one slow job delays no other.
func TestRunnerInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		b := start(t, queue.RunnerOptions{Slots: 4, Batch: 4, InFlight: 4, Handler: queue.HandlerFunc(
			func(_ context.Context, batch []queue.Claim, settle func(int, queue.Outcome)) {
				var wg sync.WaitGroup
				for i, c := range batch {
					wg.Go(func() {
						if c.ID == "a0" {
							time.Sleep(20 * time.Second)
						}
						settle(i, queue.Outcome{Verdict: queue.Done})
						d.add("%s", c.ID)
					})
				}
				wg.Wait()
			},
		)})
		var all []queue.Job
		for lane := range 50 {
			all = append(all, jobs(string(rune('a'+lane)), 1)...)
		}
		enqueue(t, b.model, all...)
		pass(time.Second)
		if got := stats(t, b.model).Done; got != 49 {
			t.Errorf("%d done beside the slow one, want 49", got)
		}
		if err := b.finish(); err != nil {
			t.Error(err)
		}
		if got := stats(t, b.model); got.Done != 50 {
			t.Errorf("drain did not wait for the slow one: %+v", got)
		}
	})
}

func TestRunnerBacksOffAndGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		b := start(t, queue.RunnerOptions{MaxAttempts: 4, Handler: queue.HandlerFunc(
			func(_ context.Context, batch []queue.Claim, settle func(int, queue.Outcome)) {
				d.add("%s.%d", batch[0].ID, batch[0].Attempt)
				if batch[0].ID == "a0" {
					settle(0, queue.Outcome{Verdict: queue.Retry, Err: "no"})
					return
				}
				settle(0, queue.Outcome{Verdict: queue.Done})
			},
		)})
		enqueue(t, b.model, jobs("a", 2)...)
		pass(time.Minute)
		want := []string{"a0.1", "a0.2", "a0.3", "a0.4", "a1.1"}
		if diff := cmp.Diff(d.lines, want); diff != "" {
			t.Error(diff)
		}
		s := time.Second
		if diff := cmp.Diff(d.at, []time.Duration{0, 2 * s, 6 * s, 14 * s, 14 * s}); diff != "" {
			t.Error(diff)
		}
		dead, _ := b.model.Dead(t.Context(), "q", 0, 10)
		if len(dead) != 1 || dead[0].Err != "no" || dead[0].Attempts != 4 {
			t.Errorf("dead letters: %+v", dead)
		}
		if err := b.finish(); err != nil {
			t.Error(err)
		}
	})
}

type burier struct {
	queue.HandlerFunc
	bury func(c queue.Claim, why string) error
}

func (b burier) Bury(_ context.Context, c queue.Claim, why string) error { return b.bury(c, why) }

// TestRunnerBuries: a job is buried only once the handler's Bury succeeds.
func TestRunnerBuries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		b := start(t, queue.RunnerOptions{MaxAttempts: 1, Handler: burier{
			func(_ context.Context, _ []queue.Claim, settle func(int, queue.Outcome)) {
				settle(0, queue.Outcome{Verdict: queue.Retry, Err: "no"})
			},
			func(c queue.Claim, why string) error {
				if calls++; calls < 3 {
					return errors.New("store is down")
				}
				if c.ID != "a0" || why != "no" {
					t.Errorf("buried %s: %s", c.ID, why)
				}
				return nil
			},
		}})
		enqueue(t, b.model, jobs("a", 1)...)
		pass(time.Minute)
		if got := stats(t, b.model); calls != 3 || got.Dead != 1 || got.Retried != 0 {
			t.Errorf("%d calls, %+v", calls, got)
		}
		if err := b.finish(); err != nil {
			t.Error(err)
		}
	})
}

// TestRunnerPanic: of a batch that panics, only the culprit has an attempt counted.
func TestRunnerPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, queue.RunnerOptions{Batch: 10, MaxAttempts: 2, Handler: queue.HandlerFunc(
			func(_ context.Context, batch []queue.Claim, settle func(int, queue.Outcome)) {
				if strings.Contains(ids(batch), "c0") {
					panic("boom")
				}
				settleAll(batch, settle, queue.Done)
			},
		)})
		for _, lane := range []string{"a", "b", "c", "d"} {
			enqueue(t, b.model, jobs(lane, 1)...)
		}
		pass(time.Minute)
		got := stats(t, b.model)
		if got.Done != 3 || got.Dead != 1 || got.Retried != 1 {
			t.Errorf("got %+v", got)
		}
		dead, _ := b.model.Dead(t.Context(), "q", 0, 10)
		if len(dead) != 1 || dead[0].Err != "panic: boom" {
			t.Errorf("dead letters: %+v", dead)
		}
		if err := b.finish(); err != nil {
			t.Error(err)
		}
	})
}

// TestRunnerAbandonsAHungHandler: a handler hangs past its deadline.
func TestRunnerAbandonsAHungHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		b := start(t, queue.RunnerOptions{Batch: 10, Lease: 30 * time.Second, Handler: queue.HandlerFunc(
			func(ctx context.Context, batch []queue.Claim, settle func(int, queue.Outcome)) {
				d.add("%s", ids(batch))
				for i, c := range batch {
					if c.Lane != "a" {
						settle(i, queue.Outcome{Verdict: queue.Done})
						settle(i, queue.Outcome{Verdict: queue.Dead}) // too late
					}
				}
				<-ctx.Done()
			},
		)})
		enqueue(t, b.model, append(jobs("a", 1), jobs("b", 1)...)...)
		pass(26 * time.Second)
		synctest.Wait()
		if got := stats(t, b.model).Done; got != 1 {
			t.Errorf("%d done, want 1", got)
		}
		pass(50 * time.Second)
		b.stop()
		if err := <-b.done; err != nil {
			t.Error(err)
		}
		got := stats(t, b.model)
		// Two claims timed out together, so no attempt was counted; alone, the slow one
		// counts.
		if got.Dead != 0 || got.Retried != 2 || got.Stalled != 0 || got.Refused != 0 || d.lines[0] != "a0 b0" || d.lines[1] != "a0" {
			t.Errorf("%v %+v", d.lines, got)
		}
	})
}

func TestRunnerDrain(t *testing.T) {
	for name, tt := range map[string]struct {
		work time.Duration
		want queue.Stats
		took time.Duration
	}{
		"finishes":    {work: 4 * time.Second, want: queue.Stats{Done: 1, Depth: 1}, took: 3 * time.Second},
		"is cut":      {work: 20 * time.Second, want: queue.Stats{Depth: 2}, took: 10 * time.Second},
		"was at once": {work: 0, want: queue.Stats{Done: 2}, took: 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := start(t, queue.RunnerOptions{Drain: 10 * time.Second, Handler: queue.HandlerFunc(
					func(ctx context.Context, _ []queue.Claim, settle func(int, queue.Outcome)) {
						select {
						case <-time.After(tt.work):
							settle(0, queue.Outcome{Verdict: queue.Done})
						case <-ctx.Done():
							settle(0, queue.Outcome{Verdict: queue.Retry, Err: ctx.Err().Error()})
						}
					},
				)})
				enqueue(t, b.model, jobs("a", 2)...)
				time.Sleep(time.Second)
				stop := time.Now()
				if err := b.finish(); err != nil {
					t.Error(err)
				}
				if got := time.Since(stop); got != tt.took {
					t.Errorf("drained in %v, want %v", got, tt.took)
				}
				got := stats(t, b.model)
				if got.Done != tt.want.Done || got.Depth != tt.want.Depth || got.Retried != 0 || got.InFlight != 0 {
					t.Errorf("got %+v", got)
				}
			})
		})
	}
}

// TestRunnerOutage: nothing is lost, no attempt is counted, and the runner goes on by
// itself.
func TestRunnerOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		b := start(t, queue.RunnerOptions{Slots: 2, Handler: queue.HandlerFunc(
			func(_ context.Context, batch []queue.Claim, settle func(int, queue.Outcome)) {
				d.add("%s.%d", batch[0].ID, batch[0].Attempt)
				time.Sleep(2 * time.Second)
				settle(0, queue.Outcome{Verdict: queue.Done})
			},
		)})
		enqueue(t, b.model, jobs("a", 2)...)
		pass(time.Second)
		b.model.Break(fmt.Errorf("down: %w", queue.ErrUnavailable))
		pass(10 * time.Second)
		b.model.Break(nil)
		pass(8 * time.Second)
		// The outcome was kept: the lane went on long before its lease ended.
		if diff := cmp.Diff(d.lines, []string{"a0.1", "a1.1"}); diff != "" {
			t.Error(diff)
		}
		if got := stats(t, b.model); got.Done != 2 || got.Stalled != 0 {
			t.Errorf("got %+v", got)
		}
		if err := b.finish(); err != nil {
			t.Error(err)
		}
	})
}

// TestRunnerLostAnswer: an exchange took effect, but its answer did not arrive.
func TestRunnerLostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		m := queuetest.NewModel(time.Now)
		c := &counter{Queue: m}
		b := start(t, queue.RunnerOptions{Queue: c, Handler: queue.HandlerFunc(
			func(_ context.Context, batch []queue.Claim, settle func(int, queue.Outcome)) {
				d.add("%s.%d.%t", batch[0].ID, batch[0].Attempt, batch[0].Suspect)
				if batch[0].ID == "a0" {
					c.mu.Lock()
					c.lose = 1
					c.mu.Unlock()
				}
				settle(0, queue.Outcome{Verdict: queue.Done})
			},
		)})
		enqueue(t, m, jobs("a", 2)...)
		pass(40 * time.Second)
		// a1 was claimed in the lost answer, so its lease has to run out first.
		if diff := cmp.Diff(d.lines, []string{"a0.1.false", "a1.1.true"}); diff != "" {
			t.Error(diff)
		}
		if got := stats(t, m); got.Done != 2 || got.Stalled != 1 || got.Refused != 1 {
			t.Errorf("got %+v", got)
		}
		if err := b.finish(); err != nil {
			t.Error(err)
		}
	})
}

func TestRunnerEndsWithItsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, queue.RunnerOptions{Handler: queue.HandlerFunc(
			func(_ context.Context, batch []queue.Claim, settle func(int, queue.Outcome)) {
				settleAll(batch, settle, queue.Done)
			},
		)})
		synctest.Wait()
		b.model.Close()
		pass(time.Second)
		if err := <-b.done; !errors.Is(err, queue.ErrClosed) {
			t.Errorf("got %v, want %v", err, queue.ErrClosed)
		}
		b.stop()
	})
}

// TestRunnerSuspects: after a crash every job in flight is a suspect. Suspects run one at a
// time, and soon; only the killer has attempts counted, not the jobs that died with it.
func TestRunnerSuspects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := queuetest.NewModel(time.Now)
		var all []queue.Job
		for i := range 60 {
			all = append(all, queue.Job{Queue: "q", Lane: fmt.Sprint(i), ID: fmt.Sprint(i)})
		}
		enqueue(t, m, all...)
		crash := func() { time.Sleep(31 * time.Second) }
		if _, err := m.Exchange(t.Context(), "q", nil, 100, 30*time.Second); err != nil {
			t.Fatal(err)
		}
		crash()
		d := newDiary()
		attempts := map[string]int{}
		var mu sync.Mutex
		suspects, most := 0, 0
		die := make(chan struct{}, 1)
		handler := queue.HandlerFunc(func(_ context.Context, batch []queue.Claim, settle func(int, queue.Outcome)) {
			if !batch[0].Suspect {
				settleAll(batch, settle, queue.Done)
				return
			}
			if len(batch) != 1 {
				t.Errorf("%d suspects in one batch", len(batch))
			}
			mu.Lock()
			suspects++
			most = max(most, suspects)
			attempts[batch[0].ID] = max(attempts[batch[0].ID], batch[0].Attempt)
			mu.Unlock()
			d.add("%s", batch[0].ID)
			time.Sleep(time.Millisecond)
			mu.Lock()
			suspects-- // once it is settled the next one may run
			mu.Unlock()
			settle(0, queue.Outcome{Verdict: queue.Done})
		})
		// A process that dies is modelled as a runner whose queue stops answering.
		for range 4 {
			gate := &severed{Queue: m}
			ctx, stop := context.WithCancel(t.Context())
			r := queue.NewRunner(queue.RunnerOptions{Queue: gate, Name: "q", Slots: 4, Batch: 50, Drain: time.Millisecond, Handler: queue.HandlerFunc(
				func(ctx context.Context, batch []queue.Claim, settle func(int, queue.Outcome)) {
					for _, c := range batch {
						if c.ID == "7" && c.Attempt < 4 {
							mu.Lock()
							attempts[c.ID] = c.Attempt
							mu.Unlock()
							gate.cut()
							die <- struct{}{}
							<-ctx.Done()
							return
						}
					}
					handler(ctx, batch, settle)
				},
			)})
			done := make(chan error, 1)
			go func() { done <- r.Run(ctx) }()
			select {
			case <-die:
			case <-time.After(2 * time.Second):
			}
			stop()
			<-done
			crash()
		}
		for id, n := range attempts {
			if want := 1; id != "7" && n != want {
				t.Errorf("job %s had %d attempts counted: it is innocent", id, n)
			}
		}
		if most != 1 {
			t.Errorf("%d suspects ran side by side", most)
		}
		if got := stats(t, m); got.Done != 60 || got.Depth != 0 {
			t.Errorf("got %+v; attempts %v", got, attempts)
		}
	})
}

// severed is the queue of a process that dies: from then on no call of it arrives.
type severed struct {
	queue.Queue
	mu   sync.Mutex
	dead bool
}

func (s *severed) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = true
}

func (s *severed) Exchange(ctx context.Context, name string, o []queue.Outcome, want int, lease time.Duration) (queue.Batch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return queue.Batch{}, queue.ErrUnavailable
	}
	return s.Queue.Exchange(ctx, name, o, want, lease)
}

func TestBackoff(t *testing.T) {
	half := queue.Backoff{Rand: func() float64 { return 0 }}
	full := queue.Backoff{Rand: func() float64 { return 1 }}
	for n, want := range map[int]time.Duration{
		0: 2 * time.Second, 1: 2 * time.Second, 2: 4 * time.Second, 5: 32 * time.Second,
		9: 512 * time.Second, 10: 10 * time.Minute, 12: 10 * time.Minute, 1 << 30: 10 * time.Minute,
	} {
		if got := full.Delay(n); got != want {
			t.Errorf("after %d: got %v, want %v", n, got, want)
		}
		if got := half.Delay(n); got != want/2 {
			t.Errorf("after %d, half: got %v, want %v", n, got, want/2)
		}
	}
}

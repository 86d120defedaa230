package queue_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/sqlitequeue"
)

func open(t testing.TB) *sqlitequeue.Engine {
	t.Helper()
	e, err := sqlitequeue.Open(t.Context(), sqlitequeue.Options{Path: filepath.Join(t.TempDir(), "queue.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func fill(t testing.TB, q queue.Queue, lanes, each int) {
	t.Helper()
	for n := range each {
		batch := make([]queue.Job, 0, lanes)
		for lane := range lanes {
			batch = append(batch, queue.Job{
				Queue: "q", Lane: fmt.Sprint(lane), ID: fmt.Sprintf("%d/%d", lane, n), Body: []byte(fmt.Sprint(n)),
			})
		}
		if _, err := q.Enqueue(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRunnersOverSQLite: three runners share an engine; jobs fail, are postponed and panic,
// and answers get lost. Each lane is handled in order, one job at a time, and a done job
// does not run again.
func TestRunnersOverSQLite(t *testing.T) {
	t.Parallel()
	const lanes, each = 60, 20
	e := open(t)
	fill(t, e, lanes, each)
	var mu sync.Mutex
	next, running := map[string]int{}, map[string]bool{}
	left := lanes * each
	done := make(chan struct{})
	handler := queue.HandlerFunc(func(_ context.Context, batch []queue.Claim, settle func(int, queue.Outcome)) {
		if rand.IntN(40) == 0 {
			panic("now and then")
		}
		for i, c := range batch {
			mu.Lock()
			if running[c.Lane] {
				t.Errorf("lane %s is handled twice at once", c.Lane)
			}
			running[c.Lane] = true
			mu.Unlock()
			o := queue.Outcome{Verdict: queue.Done}
			switch rand.IntN(12) {
			case 0:
				o = queue.Outcome{Verdict: queue.Retry, Delay: time.Millisecond, Err: "no"}
			case 1:
				o = queue.Outcome{Verdict: queue.Postpone}
			}
			mu.Lock()
			running[c.Lane] = false
			var n int
			if _, err := fmt.Sscan(string(c.Body), &n); err != nil || n != next[c.Lane] {
				t.Errorf("lane %s: got job %d, want %d", c.Lane, n, next[c.Lane])
			}
			if o.Verdict == queue.Done {
				next[c.Lane]++
				if left--; left == 0 {
					close(done)
				}
			}
			mu.Unlock()
			settle(i, o)
		}
	})
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 3 {
		r := queue.NewRunner(queue.RunnerOptions{
			Queue: e, Name: "q", Handler: handler, Slots: 2, Batch: 10, MaxAttempts: -1,
			Backoff: queue.Backoff{Base: time.Millisecond, Cap: 10 * time.Millisecond},
		})
		wg.Go(func() {
			if err := r.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Error("not all jobs were handled")
	}
	stop()
	wg.Wait()
	all, err := e.Stats(context.WithoutCancel(t.Context()))
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	if got := all[0]; got.Done != lanes*each || got.Depth != 0 || got.InFlight != 0 || got.Stalled != 0 || got.Refused != 0 {
		t.Errorf("got %+v", got)
	}
	if wrong, err := e.Check(context.WithoutCancel(t.Context())); err != nil || len(wrong) > 0 {
		t.Errorf("check: %v %v", wrong, err)
	}
}

// BenchmarkRunner empties a backlog on disk with each batch synced.
func BenchmarkRunner(b *testing.B) {
	e := open(b)
	const lanes = 1000
	fill(b, e, lanes, b.N/lanes+1)
	total := (b.N/lanes + 1) * lanes
	var mu sync.Mutex
	batches, handled := 0, 0
	ctx, stop := context.WithCancel(b.Context())
	r := queue.NewRunner(queue.RunnerOptions{Queue: e, Name: "q", Slots: 4, Batch: 100, Handler: queue.HandlerFunc(
		func(_ context.Context, batch []queue.Claim, settle func(int, queue.Outcome)) {
			for i := range batch {
				settle(i, queue.Outcome{Verdict: queue.Done})
			}
			mu.Lock()
			defer mu.Unlock()
			batches++
			if handled += len(batch); handled == total {
				stop()
			}
		},
	)})
	b.ResetTimer()
	if err := r.Run(ctx); err != nil {
		b.Error(err)
	}
	b.ReportMetric(float64(handled)/b.Elapsed().Seconds(), "jobs/s")
	b.ReportMetric(float64(handled)/float64(batches), "jobs/batch")
}

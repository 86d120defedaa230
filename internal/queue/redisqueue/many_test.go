package redisqueue

import (
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/queuetest"
)

// TestLimitHoldsForEightProcesses gives eight engines one clock that stands still during a
// call, as the server's does, so that the time of each claim is known exactly.
func TestLimitHoldsForEightProcesses(t *testing.T) {
	t.Parallel()
	const processes, jobs = 8, 400
	shared := must(shared.single())(t)
	prefix := rand.Text()
	clock := queuetest.NewClock()
	limit := queue.Limit{Rate: 80, Burst: 10}
	var mu sync.Mutex // one call at a time, in any order of processes
	var moments []time.Time
	left := jobs
	var wg sync.WaitGroup
	for i := range processes {
		e := open(t, Options{URL: shared.URL(), Prefix: prefix, Now: clock.Now})
		if i == 0 {
			if err := e.SetLimit(t.Context(), "q", limit); err != nil {
				t.Fatal(err)
			}
			var all []queue.Job
			for n := range jobs {
				all = append(all, job(fmt.Sprint("lane", n), 0))
			}
			enqueue(t, e, all...)
			clock.Advance(time.Minute)
		}
		wg.Go(func() {
			var out []queue.Outcome
			for {
				mu.Lock()
				b, err := e.Exchange(t.Context(), "q", out, 7, time.Minute)
				if err != nil {
					mu.Unlock()
					t.Error(err)
					return
				}
				out = done(b.Claims...)
				for range b.Claims {
					moments = append(moments, clock.Now())
				}
				left -= len(b.Claims)
				over := left == 0
				clock.Advance(time.Millisecond)
				mu.Unlock()
				if over && len(out) == 0 {
					return
				}
			}
		})
	}
	begin := clock.Now()
	wg.Wait()
	slices.SortFunc(moments, time.Time.Compare)
	if len(moments) != jobs {
		t.Fatalf("%d jobs were handed out, want %d", len(moments), jobs)
	}
	for i := int(limit.Rate); i < len(moments); i++ {
		if d := moments[i].Sub(moments[i-int(limit.Rate)]); d < time.Second {
			t.Errorf("%v jobs within %v", limit.Rate+1, d)
		}
	}
	if took, most := moments[jobs-1].Sub(begin), jobs*time.Second/40; took > most {
		t.Errorf("%d jobs took %v, more than %v", jobs, took, most)
	}
}

// TestQuietLanesDoNotWait: lanes with one job each, behind a flood and behind lanes that
// always fail, are all served within the first 600 jobs.
func TestQuietLanesDoNotWait(t *testing.T) {
	t.Parallel()
	e := open(t, Options{URL: must(shared.single())(t).URL()})
	var jobs []queue.Job
	for n := range 5000 {
		jobs = append(jobs, job("flood", n))
	}
	for n := range 20 {
		jobs = append(jobs, job(fmt.Sprint("failing", n), 0))
	}
	for n := range 500 {
		jobs = append(jobs, job(fmt.Sprint("quiet", n), 0))
	}
	enqueue(t, e, jobs...)
	quiet, handled := 500, 0
	var out []queue.Outcome
	for quiet > 0 && handled < 2000 {
		b := exchange(t, e, 8, out...)
		out = nil
		for _, c := range b.Claims {
			handled++
			o := done(c)[0]
			switch c.Lane[:3] {
			case "qui":
				quiet--
			case "fai":
				o.Verdict, o.Delay = queue.Retry, 50*time.Millisecond
			}
			out = append(out, o)
		}
	}
	if handled > 600 {
		t.Errorf("the last quiet lane was served as job %d", handled)
	}
	check(t, e)
}

// TestWakesAcrossProcesses: a job added by one process wakes another, and a process that
// ends puts back the wake-up that it had taken.
func TestWakesAcrossProcesses(t *testing.T) {
	t.Parallel()
	o := Options{URL: must(shared.single())(t).URL(), Prefix: rand.Text()}
	door, a, b := open(t, o), open(t, o), open(t, o)
	a.longestBlock, b.longestBlock = time.Minute, time.Minute
	for i := range 10 {
		wokeA, wokeB := waiting(t, a), waiting(t, b)
		enqueue(t, door, job("x", i))
		e := a
		select {
		case <-wokeA:
		case <-wokeB:
			e, wokeB = b, wokeA
		}
		// One was woken. The job that it leaves wakes the other.
		enqueue(t, door, job("y", i))
		got := exchange(t, e, 1).Claims
		if err := <-wokeB; err != nil {
			t.Errorf("wait: %v", err)
		}
		for _, left := range []*Engine{a, b} {
			got = append(got, exchange(t, left, 5).Claims...)
		}
		if len(got) != 2 {
			t.Fatalf("claims %+v", got)
		}
		exchange(t, e, 0, done(got...)...)
	}
	check(t, door)
}

// TestConcurrentCallersShareRoundTrips: jobs that arrive while a batch is under way share
// the next one.
func TestConcurrentCallersShareRoundTrips(t *testing.T) {
	t.Parallel()
	p := newProxy(t, must(shared.single())(t).Addr)
	e := open(t, Options{URL: p.url()})
	enqueue(t, e, job("first", 0))
	p.slow(20 * time.Millisecond) // each way, so a batch takes 40 ms
	const callers = 200
	began := time.Now()
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() { enqueue(t, e, job("a", i), job(fmt.Sprint("lane", i), 0)) })
	}
	wg.Wait()
	if took := time.Since(began); took > callers*40*time.Millisecond/4 {
		t.Errorf("%d callers took %v: one after the other?", callers, took)
	}
	if s := stats(t, e); s.Enqueued != 2*callers+1 {
		t.Errorf("stats %+v", s)
	}
	check(t, e)
}

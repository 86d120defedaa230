package queuetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
)

var limitCases = []testCase{
	{"never more than the limit in any second", Options{}, func(f *fixture) {
		for _, limit := range []queue.Limit{{Rate: 20, Burst: 5}, {Rate: 7}, {Rate: 10, Burst: 100}, {Rate: 1, Burst: 1}, {Rate: 0.5}} {
			f.checkLimit(limit)
		}
	}},
	{"the limit is charged for jobs handed out", Options{}, func(f *fixture) {
		f.mustLimit(queue.Limit{Rate: 10, Burst: 1})
		for range 5 {
			f.claimNone()
		}
		f.enqueue(job("a", 0), job("b", 0))
		f.claimOne()
		if got, want := f.claimNone(), 100*time.Millisecond; got != want {
			f.Errorf("next in %v, want %v", got, want)
		}
		f.clock.Advance(100 * time.Millisecond)
		f.claimOne()
	}},
	{"a new limit counts at once", Options{}, func(f *fixture) {
		for i := range 20 {
			f.enqueue(job(fmt.Sprint("lane", i), 0))
		}
		f.mustLimit(queue.Limit{Rate: 0.01, Burst: 1})
		f.claimOne()
		f.claimNone()
		f.mustLimit(queue.Limit{Rate: 1000, Burst: 1})
		f.clock.Advance(time.Millisecond)
		f.claimOne()
		f.mustLimit(queue.Limit{})
		if b := f.exchange(100); len(b.Claims) != 18 {
			f.Errorf("without a limit: %d claims, want the rest", len(b.Claims))
		}
	}},
	{"a held queue hands nothing out until the hold ends", Options{}, func(f *fixture) {
		f.enqueue(job("a", 0), job("b", 0))
		running := f.claimOne()
		until := f.clock.Now().Add(10 * time.Second)
		f.mustHold(until, "token rejected")
		if got := f.exchange(5, retry(running, 0)); len(got.Claims) != 0 || got.Next != 10*time.Second {
			f.Errorf("claims %v, next %v", ids(got.Claims), got.Next)
		}
		if s := f.stats(); !s.HeldUntil.Equal(until) || s.HeldReason != "token rejected" {
			f.Errorf("stats %+v", s)
		}
		f.restart()
		f.claimNone()
		f.clock.Advance(10 * time.Second)
		if s := f.stats(); !s.HeldUntil.IsZero() || s.HeldReason != "" {
			f.Errorf("after its end: %+v", s)
		}
		f.claimOne()
		f.mustHold(f.clock.Now().Add(time.Hour), "again")
		f.claimNone()
		f.mustHold(time.Time{}, "")
		f.claimOne()
	}},
	{"a paused queue hands nothing out, running jobs finish", Options{}, func(f *fixture) {
		f.enqueue(job("a", 0), job("b", 0))
		running := f.claimOne()
		if err := f.Pause(f.ctx, name); err != nil {
			f.Fatal(err)
		}
		f.settle(done(running)...)
		f.restart()
		f.claimNone()
		if s := f.stats(); !s.Paused || s.Depth != 1 {
			f.Errorf("stats %+v", s)
		}
		if err := f.Resume(f.ctx, name); err != nil {
			f.Fatal(err)
		}
		f.claimOne()
		if err := f.Pause(f.ctx, "nowhere"); !errors.Is(err, queue.ErrNotFound) {
			f.Errorf("pause of no queue: %v, want ErrNotFound", err)
		}
	}},
	{"a wait ends when something is enqueued", Options{}, func(f *fixture) {
		f.wakesOn(func() { f.enqueue(job("a", 0)) })
	}},
	{"a wait ends when a queue is resumed", Options{}, func(f *fixture) {
		f.enqueue(job("a", 0))
		if err := f.Pause(f.ctx, name); err != nil {
			f.Fatal(err)
		}
		f.wakesOn(func() {
			if err := f.Resume(f.ctx, name); err != nil {
				f.Error(err)
			}
		})
	}},
	{"a wait ends when a hold is released", Options{}, func(f *fixture) {
		f.enqueue(job("a", 0))
		f.mustHold(f.clock.Now().Add(time.Hour), "outage")
		f.wakesOn(func() { f.mustHold(time.Time{}, "") })
	}},
	{"a wait ends when a limit is lifted", Options{}, func(f *fixture) {
		f.enqueue(job("a", 0), job("b", 0))
		f.mustLimit(queue.Limit{Rate: 0.001, Burst: 1})
		f.claimOne()
		f.wakesOn(func() { f.mustLimit(queue.Limit{}) })
	}},
	{"a wait ends when a lane is free again", Options{}, func(f *fixture) {
		f.enqueue(job("a", 0), job("a", 1))
		c := f.claimOne()
		f.wakesOn(func() { f.settle(done(c)...) })
	}},
	{"a wait ends when a dead letter comes back", Options{}, func(f *fixture) {
		f.enqueue(job("a", 0))
		f.settle(outcome(f.claimOne(), queue.Dead))
		f.wakesOn(func() {
			if n, err := f.Redrive(f.ctx, []int64{f.dead()[0].ID}); n != 1 || err != nil {
				f.Errorf("redrive: %d, %v", n, err)
			}
		})
	}},
	{"a wait does not sleep past a due job", Options{}, func(f *fixture) {
		f.enqueue(job("a", 0))
		f.restart()
		if err := f.Wait(f.ctx, name, time.Hour); err != nil {
			f.Error(err)
		}
	}},
	{"no wake-up is lost in a crowd", Options{}, manyWaiters},
}

func (f *fixture) mustLimit(l queue.Limit) {
	f.Helper()
	if err := f.SetLimit(f.ctx, name, l); err != nil {
		f.Fatalf("set limit: %v", err)
	}
	if got := f.stats().Limit; got != l {
		f.Errorf("stats show limit %v, want %v", got, l)
	}
}

func (f *fixture) mustHold(until time.Time, why string) {
	f.Helper()
	if err := f.Hold(f.ctx, name, until, why); err != nil {
		f.Errorf("hold: %v", err)
	}
}

// checkLimit empties a backlog as fast as the engine allows and checks each second of it.
func (f *fixture) checkLimit(l queue.Limit) {
	f.Helper()
	var jobs []queue.Job
	for i := range 60 {
		jobs = append(jobs, job(fmt.Sprintf("%v lane %d", l, i), 0))
	}
	f.mustLimit(l)
	f.enqueue(jobs...)
	f.clock.Advance(time.Minute) // an idle time must not save up more than the burst
	var out []time.Time
	begin := f.clock.Now()
	for len(out) < 60 {
		b := f.exchange(100)
		for range b.Claims {
			out = append(out, f.clock.Now())
		}
		f.settle(done(b.Claims...)...)
		f.clock.Advance(max(b.Next, 1))
	}
	most := max(1, int(l.Rate))
	for i := range out {
		n := 0
		for _, at := range out[i:] {
			if at.Before(out[i].Add(time.Second)) {
				n++
			}
		}
		if n > most {
			f.Errorf("limit %v: %d jobs within a second", l, n)
		}
	}
	// At least half the rate must come out, with any burst.
	if took, limit := out[59].Sub(begin), time.Duration(60/l.Rate*2*float64(time.Second)); took > limit {
		f.Errorf("limit %v: 60 jobs took %v, more than %v", l, took, limit)
	}
}

// wakesOn checks that a wait blocks until fn ends it.
func (f *fixture) wakesOn(fn func()) {
	f.Helper()
	if err := f.Wait(f.ctx, name, time.Millisecond); err != nil {
		f.Fatalf("wait: %v", err)
	}
	woke := make(chan error)
	go func() { woke <- f.Wait(f.ctx, name, 10*time.Minute) }()
	select {
	case err := <-woke:
		f.Fatalf("wait ended before anything was due: %v", err)
	case <-time.After(10 * time.Millisecond):
	}
	fn()
	if err := <-woke; err != nil {
		f.Errorf("wait: %v", err)
	}
	f.claimOne()
}

// manyWaiters checks that every job is found by workers that only wake-ups bring out of
// Wait.
func manyWaiters(f *fixture) {
	const jobs = 300
	var wg, doors sync.WaitGroup
	var mu sync.Mutex
	left := jobs
	finished := make(chan struct{})
	for range 6 {
		wg.Go(func() {
			for {
				b := f.exchange(1)
				f.settle(done(b.Claims...)...)
				mu.Lock()
				if left -= len(b.Claims); left == 0 && len(b.Claims) > 0 {
					close(finished)
				}
				mu.Unlock()
				select {
				case <-finished:
					return
				default:
				}
				if len(b.Claims) > 0 {
					continue
				}
				woke := make(chan error, 1)
				go func() { woke <- f.Wait(f.ctx, name, 10*time.Second) }()
				select {
				case <-finished:
					return
				case err := <-woke:
					if err != nil {
						f.Error(err)
					}
				}
			}
		})
	}
	for d := range 3 {
		doors.Go(func() {
			for i := range jobs / 3 {
				f.enqueue(job(fmt.Sprintf("%d-%d", d, i), 0))
			}
		})
	}
	doors.Wait()
	wg.Wait()
}

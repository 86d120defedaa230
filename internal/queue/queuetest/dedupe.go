package queuetest

import (
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
)

var dedupeCases = []testCase{
	{"duplicates inside a batch and against earlier ones", Options{}, func(f *fixture) {
		got := f.enqueue(job("a", 0), job("a", 1), job("a", 0), job("b", 0))
		if want := []bool{true, true, false, true}; !slices.Equal(got, want) {
			f.Errorf("got %v, want %v", got, want)
		}
		// The answer got lost, so the whole batch comes again.
		got = f.enqueue(job("a", 0), job("a", 1), job("a", 2))
		if want := []bool{false, false, true}; !slices.Equal(got, want) {
			f.Errorf("got %v, want %v", got, want)
		}
		// The queue is part of a job's identity, the lane is not.
		other := job("a", 0)
		other.Lane = "elsewhere"
		if f.enqueue(other)[0] {
			f.Error("the same id in another lane was added")
		}
		other.Queue = "status"
		if !f.enqueue(other)[0] {
			f.Error("the same id in another queue was not added")
		}
		if s := f.stats(); s.Enqueued != 4 || s.Duplicates != 4 || s.Depth != 4 {
			f.Errorf("stats %+v", s)
		}
	}},
	{"an id is remembered for its window, also when done", Options{Window: 24 * time.Hour}, func(f *fixture) {
		f.enqueue(job("a", 0))
		f.settle(done(f.claimOne())...)
		f.clock.Advance(24*time.Hour - time.Second)
		if f.restart(); f.enqueue(job("a", 0))[0] {
			f.Error("an id was forgotten within its window")
		}
		f.clock.Advance(37 * time.Hour)
		if !f.enqueue(job("a", 0))[0] {
			f.Error("an id is remembered for too long")
		}
		f.settle(done(f.claimOne())...)
	}},
	{"wake-ups are coalesced", Options{}, func(f *fixture) {
		for i, want := range []bool{true, false} {
			if got := f.enqueue(wakeup("a"))[0]; got != want {
				f.Errorf("wake-up %d: added %v, want %v", i, got, want)
			}
		}
		c := f.claimOne()
		if got := f.enqueue(wakeup("a"), wakeup("a"), wakeup("b")); !slices.Equal(got, []bool{true, false, true}) {
			f.Errorf("while one runs: %v, want one more and the other lane", got)
		}
		f.settle(retry(c, time.Second))
		if f.enqueue(wakeup("a"))[0] {
			f.Error("a wake-up was added to a lane that has one waiting")
		}
		if s := f.stats(); s.Depth != 3 || s.Duplicates != 3 {
			f.Errorf("stats %+v", s)
		}
	}},
	{"a wake-up behind a job with an id", Options{}, func(f *fixture) {
		f.enqueue(job("a", 0))
		if f.enqueue(wakeup("a"))[0] {
			f.Error("a wake-up was added behind a waiting job")
		}
		f.claimOne()
		if !f.enqueue(wakeup("a"))[0] {
			f.Error("a wake-up was refused while a job runs")
		}
	}},
	{"a body needs an id", Options{}, func(f *fixture) {
		if _, err := f.Enqueue(f.ctx, []queue.Job{{Queue: name, Lane: "a", Body: []byte("x")}}); err == nil {
			f.Error("a body that coalescing would lose was accepted")
		}
		if _, err := f.Enqueue(f.ctx, []queue.Job{{Lane: "a", ID: "x"}}); err == nil {
			f.Error("a job without a queue was accepted")
		}
	}},
}

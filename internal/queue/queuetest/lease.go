package queuetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
)

var leaseCases = []testCase{
	{"a lease that runs out makes a suspect, then counts", Options{}, func(f *fixture) {
		f.enqueue(job("a", 0), job("a", 1))
		for i, want := range []queue.Claim{
			{Attempt: 1, Suspect: false}, {Attempt: 1, Suspect: true}, {Attempt: 2, Suspect: true}, {Attempt: 3, Suspect: true},
		} {
			c := f.claimOne()
			if c.ID != "a-0" || c.Attempt != want.Attempt || c.Suspect != want.Suspect {
				f.Errorf("claim %d: %s, attempt %d, suspect %v; want a-0, %d, %v", i, c.ID, c.Attempt, c.Suspect, want.Attempt, want.Suspect)
			}
			if got := f.claimNone(); got != lease {
				f.Errorf("next in %v, want the lease", got)
			}
			f.clock.Advance(lease)
		}
		c := f.claimOne()
		if s := f.stats(); s.Stalled != 4 || s.InFlight != 1 {
			f.Errorf("stats %+v", s)
		}
		f.settle(retry(c, 0))
		if c = f.claimOne(); !c.Suspect || c.Attempt != 5 {
			f.Errorf("after a retry: %+v", c)
		}
		f.settle(done(c)...)
		if c = f.claimOne(); c.ID != "a-1" || c.Suspect || c.Attempt != 1 {
			f.Errorf("the next job inherited %+v", c)
		}
	}},
	{"a stale lease changes nothing", Options{}, func(f *fixture) {
		f.enqueue(job("a", 0))
		stale := f.claimOne()
		f.clock.Advance(lease)
		owner := f.claimOne()
		refuse := func(when string) {
			f.Helper()
			for _, v := range []queue.Verdict{queue.Done, queue.Retry, queue.Postpone, queue.Dead} {
				if b := f.exchange(0, outcome(stale, v)); !slices.Equal(b.Refused, []string{"a"}) {
					f.Errorf("%s: verdict %d of a stale lease: refused %q", when, v, b.Refused)
				}
			}
		}
		refuse("while another holds it")
		f.settle(done(owner)...)
		refuse("after the lane emptied")
		f.enqueue(job("a", 1))
		refuse("after it was filled again")
		again := f.claimOne()
		refuse("after it was claimed again")
		f.settle(done(again)...)
		if s := f.stats(); s.Refused != 16 || s.Done != 2 || s.Stalled != 1 {
			f.Errorf("stats %+v", s)
		}
	}},
	{"a token settles once, its own lane only", Options{}, func(f *fixture) {
		f.enqueue(job("a", 0), job("a", 1), job("b", 0))
		claims := f.exchange(2).Claims
		crossed := outcome(claims[0], queue.Done)
		crossed.Lane = "b"
		for what, o := range map[string]queue.Outcome{
			"another lane's": crossed,
			"no":             {Lane: "a", Verdict: queue.Done},
			"an odd":         {Lane: "a", Token: "1.1.x\x00", Verdict: queue.Done},
		} {
			if b := f.exchange(0, o); len(b.Refused) != 1 {
				f.Errorf("%s token was accepted", what)
			}
		}
		b := f.exchange(0, append(done(claims...), done(claims...)...)...)
		if !slices.Equal(b.Refused, []string{"a", "b"}) {
			f.Errorf("refused %q, want each once", b.Refused)
		}
		other, err := f.Exchange(f.ctx, "nowhere", done(claims[0]), 1, lease)
		if err != nil || len(other.Refused) != 1 || len(other.Claims) != 0 {
			f.Errorf("a queue that is not there: %+v, %v", other, err)
		}
	}},
	{"a late settlement counts until another worker claims the job", Options{}, func(f *fixture) {
		f.enqueue(job("a", 0))
		c := f.claimOne()
		f.clock.Advance(2 * lease)
		f.settle(done(c)...)
		f.claimNone()
	}},
	{"postpone costs no attempt", Options{}, func(f *fixture) {
		f.enqueue(job("a", 0))
		o := outcome(f.claimOne(), queue.Postpone)
		o.Delay = time.Second
		f.settle(o)
		f.clock.Advance(time.Second)
		if c := f.claimOne(); c.Attempt != 1 || c.Suspect {
			f.Errorf("got %+v", c)
		}
		if s := f.stats(); s.Retried != 0 {
			f.Errorf("stats %+v", s)
		}
	}},
	{"leases of a dead process are due at once, and suspect", Options{}, func(f *fixture) {
		f.enqueue(job("a", 0), job("a", 1), job("b", 0))
		left := f.claimOne()
		if !f.restart() {
			return
		}
		b := f.exchange(10)
		if got := ids(b.Claims); !slices.Equal(got, []string{"a-0", "b-0"}) && !slices.Equal(got, []string{"b-0", "a-0"}) {
			f.Fatalf("got %q", got)
		}
		for _, c := range b.Claims {
			if c.Suspect != (c.Lane == "a") || c.Attempt != 1 {
				f.Errorf("got %+v", c)
			}
		}
		if b := f.exchange(0, done(left)...); len(b.Refused) != 1 {
			f.Error("a lease of the dead process was accepted")
		}
	}},
	{"poison that kills its process is counted", Options{}, func(f *fixture) {
		f.enqueue(job("a", 0))
		for i := range 5 {
			if c := f.claimOne(); c.Attempt != max(1, i) {
				f.Errorf("start %d: attempt %d", i, c.Attempt)
			}
			if !f.restart() {
				return
			}
		}
		o := outcome(f.claimOne(), queue.Dead)
		o.Err = "killed its process"
		f.settle(o)
		if d := f.dead(); len(d) != 1 || d[0].Attempts != 5 {
			f.Errorf("dead letters %+v", d)
		}
	}},
	{"a claim needs a lease, an outcome a verdict", Options{}, func(f *fixture) {
		f.enqueue(job("a", 0))
		if _, err := f.Exchange(f.ctx, name, nil, 1, 0); err == nil {
			f.Error("a claim without a lease")
		}
		if _, err := f.Exchange(f.ctx, name, []queue.Outcome{{Lane: "a"}}, 0, lease); err == nil {
			f.Error("an outcome without a verdict")
		}
	}},
	{"a clock set back a year stops no lane", Options{MaxDelay: time.Hour}, func(f *fixture) {
		f.enqueue(job("a", 0), job("b", 0), job("c", 0))
		claims := f.exchange(2).Claims
		f.settle(retry(claims[0], 10*time.Minute))
		f.clock.Advance(-365 * 24 * time.Hour)
		b := f.exchange(10)
		if got := ids(b.Claims); len(got) != 2 || slices.Contains(got, "b-0") {
			f.Errorf("got %q, want the lanes that nobody holds", got)
		}
		if b.Next > lease {
			f.Errorf("next in %v, want the lease at most", b.Next)
		}
		f.settle(done(claims[1])...)
	}},
	{"a hold ends though the clock was set back", Options{MaxDelay: time.Hour}, func(f *fixture) {
		f.enqueue(job("a", 0))
		f.mustHold(f.clock.Now().Add(10*time.Minute), "the token expired")
		f.clock.Advance(-365 * 24 * time.Hour)
		f.claimOne()
		f.mustHold(f.clock.Now().Add(1000*time.Hour), "too long")
		f.enqueue(job("b", 0))
		f.clock.Advance(time.Hour - time.Second)
		if got := f.exchange(1); len(got.Claims) > 0 {
			f.Error("the hold was dropped instead of cut")
		}
		f.clock.Advance(time.Second)
		f.claimOne()
	}},
	{"no delay is longer than the longest", Options{MaxDelay: time.Minute}, func(f *fixture) {
		f.enqueue(job("a", 0))
		f.settle(retry(f.claimOne(), 1000*time.Hour))
		f.clock.Advance(time.Minute)
		f.settle(retry(f.claimOne(), -time.Hour))
		f.claimOne()
	}},
	{"closed is closed", Options{}, func(f *fixture) {
		waiting := make(chan error)
		go func() { waiting <- f.Wait(f.ctx, name, time.Hour) }()
		if err := f.Close(); err != nil {
			f.Error(err)
		}
		if err := <-waiting; !errors.Is(err, queue.ErrClosed) {
			f.Errorf("wait: %v, want ErrClosed", err)
		}
		_, err1 := f.Enqueue(f.ctx, []queue.Job{job("a", 0)})
		_, err2 := f.Exchange(f.ctx, name, nil, 1, lease)
		_, err3 := f.Stats(f.ctx)
		for _, err := range []error{err1, err2, err3, f.Hold(f.ctx, name, f.clock.Now(), "")} {
			if !errors.Is(err, queue.ErrClosed) {
				f.Error(fmt.Errorf("want ErrClosed, got %w", err))
			}
		}
		if f.harness.Volatile {
			f.open()
			return
		}
		f.open()
	}},
}

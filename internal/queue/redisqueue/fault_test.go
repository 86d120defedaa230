package redisqueue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/redistest"
)

func open(t *testing.T, o Options) *Engine {
	t.Helper()
	if o.Prefix == "" {
		o.Prefix = rand.Text()
	}
	if o.Durability == "" {
		o.Durability = "relaxed"
	}
	e, err := Open(t.Context(), o)
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

func job(lane string, n int) queue.Job {
	return queue.Job{Queue: "q", Lane: lane, ID: fmt.Sprintf("%s/%d", lane, n), Body: []byte(strings.Repeat("body", 1+n%2*100))}
}

func enqueue(t *testing.T, e *Engine, jobs ...queue.Job) []bool {
	t.Helper()
	added, err := e.Enqueue(t.Context(), jobs)
	if err != nil {
		t.Fatal(err)
	}
	return added
}

func exchange(t *testing.T, e *Engine, want int, out ...queue.Outcome) queue.Batch {
	t.Helper()
	b, err := e.Exchange(t.Context(), "q", out, want, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func done(claims ...queue.Claim) []queue.Outcome {
	out := make([]queue.Outcome, len(claims))
	for i, c := range claims {
		out[i] = queue.Outcome{Lane: c.Lane, Token: c.Token, Verdict: queue.Done}
	}
	return out
}

func stats(t *testing.T, e *Engine) queue.Stats {
	t.Helper()
	all, err := e.Stats(t.Context())
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

func check(t *testing.T, e *Engine) {
	t.Helper()
	if wrong, err := e.Check(t.Context()); err != nil || len(wrong) > 0 {
		t.Errorf("check: %q, %v", wrong, err)
	}
}

// settles repeats a call that may fail for a while, as producers and runners do.
func settles(t *testing.T, what string, do func() error) {
	t.Helper()
	end := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := do()
		if err == nil {
			return
		}
		if !errors.Is(err, queue.ErrUnavailable) {
			t.Fatalf("%s: %v, want ErrUnavailable while it lasts", what, err)
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("%s: still %v", what, err)
		}
	}
}

// waiting starts a Wait and returns a channel with its result.
func waiting(t *testing.T, e *Engine) <-chan error {
	t.Helper()
	woke := make(chan error, 1)
	go func() { woke <- e.Wait(t.Context(), "q", time.Minute) }()
	return woke
}

func TestKilledConnectionsComeBack(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	e := open(t, Options{URL: s.URL()})
	enqueue(t, e, job("a", 0))
	claimed := exchange(t, e, 1).Claims
	woke := waiting(t, e)
	for i := range 5 {
		if _, err := s.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"); err != nil {
			t.Fatal(err)
		}
		settles(t, "enqueue", func() error {
			_, err := e.Enqueue(t.Context(), []queue.Job{job("b", i)})
			return err
		})
	}
	if err := <-woke; err != nil {
		t.Errorf("wait: %v", err)
	}
	settles(t, "exchange", func() error {
		_, err := e.Exchange(t.Context(), "q", done(claimed...), 0, time.Minute)
		return err
	})
	if s := stats(t, e); s.Depth != 5 || s.Done != 1 {
		t.Errorf("stats %+v", s)
	}
	check(t, e)
}

func TestFlushedScriptsAreSentAgain(t *testing.T) {
	t.Parallel()
	for _, durability := range []string{"relaxed", "replica"} {
		s := redistest.Start(t, "appendonly yes", "appendfsync no", "repl-diskless-sync-delay 0")
		if durability == "replica" {
			host, port, _ := strings.Cut(s.Addr, ":")
			r := redistest.Start(t, "replicaof "+host+" "+port)
			synced(t, s, r)
		}
		e := open(t, Options{URL: s.URL(), Durability: durability})
		flush := func() {
			t.Helper()
			if _, err := s.Do(t.Context(), "SCRIPT", "FLUSH"); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 3 {
			flush()
			enqueue(t, e, job("a", i))
		}
		flush()
		c := exchange(t, e, 1).Claims
		flush()
		exchange(t, e, 0, done(c...)...)
		flush()
		if s := stats(t, e); s.Enqueued != 3 || s.Duplicates != 0 || s.Done != 1 {
			t.Errorf("stats %+v", s)
		}
	}
}

func synced(t *testing.T, primary, replica *redistest.Server) {
	t.Helper()
	for range 1000 {
		info, err := primary.Do(t.Context(), "INFO", "replication")
		if err == nil && strings.Contains(info, "state=online") {
			return
		}
		time.Sleep(10 * time.Millisecond) // another process, that tells nobody
	}
	t.Fatalf("no replication:\n%s", replica.Log())
}

func TestFlushAllCostsTimeOnly(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	e := open(t, Options{URL: s.URL()})
	limit := queue.Limit{Rate: 5, Burst: 1}
	if err := e.SetLimit(t.Context(), "q", limit); err != nil {
		t.Fatal(err)
	}
	enqueue(t, e, job("a", 0), job("a", 1))
	claimed := exchange(t, e, 1).Claims
	if _, err := s.Do(t.Context(), "FLUSHALL"); err != nil {
		t.Fatal(err)
	}
	if b := exchange(t, e, 5, done(claimed...)...); len(b.Refused) != 1 || len(b.Claims) != 0 {
		t.Errorf("after all was lost: %+v", b)
	}
	woke := waiting(t, e)
	if added := enqueue(t, e, job("a", 0)); !added[0] {
		t.Error("it remembers an id without its job")
	}
	if err := <-woke; err != nil {
		t.Errorf("wait: %v", err)
	}
	if s := stats(t, e); s.Depth != 1 || s.Limit != limit {
		t.Errorf("stats %+v, want the queue back with its limit", s)
	}
	if c := exchange(t, e, 1).Claims; len(c) != 1 || c[0].ID != "a/0" {
		t.Errorf("claims %+v", c)
	}
	check(t, e)
}

func TestFullServerRefusesWholeBatchesAndDrains(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	e := open(t, Options{URL: s.URL()})
	enqueue(t, e, job("dead", 0))
	exchange(t, e, 0, queue.Outcome{Lane: "dead", Token: exchange(t, e, 1).Claims[0].Token, Verdict: queue.Dead})
	if _, err := s.Do(t.Context(), "CONFIG", "SET", "maxmemory", "4mb"); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, 10<<10)
	n := 0
	fill := func() (added int) {
		t.Helper()
		for range 1000 {
			jobs := make([]queue.Job, 10)
			for i := range jobs {
				jobs[i] = job(fmt.Sprint("lane", n%7), n)
				jobs[i].Body = body
				n++
			}
			_, err := e.Enqueue(t.Context(), jobs)
			if errors.Is(err, queue.ErrFull) {
				return added
			}
			if err != nil {
				t.Fatal(err)
			}
			added += len(jobs)
		}
		t.Fatal("it never filled up")
		return 0
	}
	accepted := fill()
	if s := stats(t, e); s.Enqueued != int64(accepted)+1 || s.Depth != int64(accepted) {
		t.Errorf("stats %+v, want %d", s, accepted)
	}
	// Operators can work on a full server too.
	letters, err := e.Dead(t.Context(), "q", 0, 10)
	if err != nil || len(letters) != 1 {
		t.Fatal(letters, err)
	}
	if n, err := e.Redrive(t.Context(), []int64{letters[0].ID}); n != 1 || err != nil {
		t.Errorf("redrive: %d, %v", n, err)
	}
	var out []queue.Outcome
	drained := 0
	for {
		b := exchange(t, e, 5, out...)
		if len(b.Claims) == 0 {
			break
		}
		out = done(b.Claims...)
		drained += len(b.Claims)
	}
	if drained != accepted+1 {
		t.Errorf("drained %d, want %d", drained, accepted+1)
	}
	check(t, e)
	if again := fill(); again < accepted/2 {
		t.Errorf("afterwards it took %d, at first %d", again, accepted)
	}
	check(t, e)
}

func TestLostAnswersChangeNothingTwice(t *testing.T) {
	t.Parallel()
	p := newProxy(t, must(shared.single())(t).Addr)
	e := open(t, Options{URL: p.url()})
	enqueue(t, e, job("warm", 0))
	exchange(t, e, 0, done(exchange(t, e, 1).Claims...)...)
	for i := range 5 {
		p.loseAnswerTo(fmt.Sprint("lost/", i))
		if _, err := e.Enqueue(t.Context(), []queue.Job{job("lost", i)}); !errors.Is(err, queue.ErrUnavailable) {
			t.Fatalf("an answer that got lost: %v", err)
		}
		var added []bool
		settles(t, "enqueue", func() (err error) {
			added, err = e.Enqueue(t.Context(), []queue.Job{job("lost", i)})
			return err
		})
		if added[0] {
			t.Error("a repeated job was added twice")
		}
	}
	if s := stats(t, e); s.Depth != 5 || s.Enqueued != 6 || s.Duplicates != 5 {
		t.Errorf("stats %+v", s)
	}
	claims := exchange(t, e, 1).Claims
	p.loseAnswerTo(claims[0].Token)
	_, err := e.Exchange(t.Context(), "q", done(claims...), 1, time.Minute)
	if !errors.Is(err, queue.ErrUnavailable) {
		t.Fatalf("an answer that got lost: %v", err)
	}
	var b queue.Batch
	settles(t, "exchange", func() (err error) {
		b, err = e.Exchange(t.Context(), "q", done(claims...), 1, time.Minute)
		return err
	})
	// The outcome was applied once; the lost claim is leased to nobody.
	if s := stats(t, e); len(b.Refused) != 1 || len(b.Claims) != 0 || s.Done != 2 || s.InFlight != 1 {
		t.Errorf("repeated: %+v, %+v", b, s)
	}
	if p.lost() != 6 {
		t.Errorf("%d answers were lost, want 6", p.lost())
	}
	check(t, e)
}

func TestSlowAndHalfOpenNetwork(t *testing.T) {
	t.Parallel()
	p := newProxy(t, must(shared.single())(t).Addr)
	e := open(t, Options{URL: p.url(), Timeout: 300 * time.Millisecond})
	e.longestBlock, e.blockGrace = 300*time.Millisecond, 100*time.Millisecond
	p.slow(20 * time.Millisecond)
	enqueue(t, e, job("a", 0))
	exchange(t, e, 0, done(exchange(t, e, 1).Claims...)...)
	p.slow(0)

	woke := waiting(t, e)
	p.halfOpen()
	if _, err := e.Enqueue(t.Context(), []queue.Job{job("a", 1)}); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("enqueue into a dead line: %v", err)
	}
	if _, err := e.Exchange(t.Context(), "q", nil, 1, time.Minute); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("exchange into a dead line: %v", err)
	}
	err := <-woke
	if err != nil && !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("wait: %v", err)
	}
	p.resume()
	settles(t, "wait", func() error { return e.Wait(t.Context(), "q", time.Millisecond) })
	woke = waiting(t, e)
	settles(t, "enqueue", func() error {
		_, err := e.Enqueue(t.Context(), []queue.Job{job("a", 1)})
		return err
	})
	if err := <-woke; err != nil {
		t.Errorf("wait: %v", err)
	}
	settles(t, "exchange", func() error {
		b, err := e.Exchange(t.Context(), "q", nil, 1, time.Minute)
		if err == nil && (len(b.Claims) != 1 || b.Claims[0].ID != "a/1") {
			t.Errorf("claims %+v", b.Claims)
		}
		return err
	})
}

func TestContextEndsACall(t *testing.T) {
	t.Parallel()
	p := newProxy(t, must(shared.single())(t).Addr)
	e := open(t, Options{URL: p.url(), Timeout: 2 * time.Second})
	enqueue(t, e, job("a", 0))
	p.halfOpen()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := e.Enqueue(ctx, []queue.Job{job("a", 1)}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("enqueue: %v", err)
	}
	if _, err := e.Exchange(ctx, "q", nil, 1, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("exchange: %v", err)
	}
	p.resume()
}

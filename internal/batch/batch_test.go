package batch_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/batch"
	"github.com/psivisionhub/psi-router/internal/bubbletest"
)

func TestMain(m *testing.M) {
	bubbletest.UseOneProcessor()
	m.Run()
}

const ms = time.Millisecond

type (
	options = batch.Options[int, int]
	results = []batch.Result[int]
)

// server answers each number with its double, and records its calls.
type server struct {
	began time.Time
	takes time.Duration
	mu    sync.Mutex
	calls []string // time and requests of each
}

func newServer(takes time.Duration) *server { return &server{began: time.Now(), takes: takes} }

func (s *server) call(_ context.Context, reqs []int) (results, error) {
	s.mu.Lock()
	s.calls = append(s.calls, fmt.Sprint(time.Since(s.began).Milliseconds(), reqs))
	s.mu.Unlock()
	time.Sleep(s.takes)
	return doubles(reqs), nil
}

func doubles(reqs []int) results {
	answers := make(results, len(reqs))
	for i, r := range reqs {
		answers[i].Value = 2 * r
	}
	return answers
}

func (s *server) want(t *testing.T, calls ...string) {
	t.Helper()
	synctest.Wait()
	if diff := cmp.Diff(s.calls, calls); diff != "" {
		t.Errorf("calls %s", diff)
	}
}

func closeBatcher(b *batch.Batcher[int, int]) { b.Close(context.Background()) }

// wantAnswer fails unless the request is answered at this moment.
func wantAnswer(t *testing.T, p *batch.Pending[int, int], want int) {
	t.Helper()
	synctest.Wait()
	select {
	case <-p.Done():
		if got, err := p.Wait(t.Context()); got != want || err != nil {
			t.Errorf("got %d, %v; want %d", got, err, want)
		}
	default:
		t.Errorf("%d is not answered yet", want)
	}
}

func wantError(t *testing.T, p *batch.Pending[int, int], want error) {
	t.Helper()
	if _, err := p.Wait(t.Context()); !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

// TestWhenCallsStart: each case submits its requests at their milliseconds.
func TestWhenCallsStart(t *testing.T) {
	type at struct{ ms, req int }
	for name, c := range map[string]struct {
		opts  options
		takes time.Duration
		reqs  []at
		want  []string
	}{
		"what comes during a call goes with the next": {
			takes: 10 * ms,
			reqs:  []at{{0, 1}, {1, 2}, {9, 3}, {11, 4}},
			want:  []string{"0 [1]", "10 [2 3]", "20 [4]"},
		},
		"calls keep a distance": {
			opts: options{Every: 40 * ms}, takes: 5 * ms,
			reqs: []at{{0, 1}, {1, 2}, {10, 3}, {39, 4}, {41, 5}},
			want: []string{"0 [1]", "40 [2 3 4]", "80 [5]"},
		},
		"after an idle period nobody waits": {
			opts: options{Every: 40 * ms},
			reqs: []at{{0, 1}, {40, 2}, {200, 3}},
			want: []string{"0 [1]", "40 [2]", "200 [3]"},
		},
		"enough requests end the pause": {
			opts: options{Every: 40 * ms, Full: 2}, takes: 5 * ms,
			reqs: []at{{0, 1}, {10, 2}, {20, 3}, {21, 4}, {22, 5}},
			want: []string{"0 [1]", "20 [2 3]", "25 [4 5]"},
		},
		"a slow call pauses nobody after it": {
			opts: options{Every: 40 * ms}, takes: 60 * ms,
			reqs: []at{{0, 1}, {10, 2}, {70, 3}},
			want: []string{"0 [1]", "60 [2]", "120 [3]"},
		},
		"a call takes so many": {
			opts: options{Max: 2}, takes: 5 * ms,
			reqs: []at{{0, 1}, {1, 2}, {1, 3}, {1, 4}, {1, 5}, {1, 6}},
			want: []string{"0 [1]", "5 [2 3]", "10 [4 5]", "15 [6]"},
		},
		"or so much": {
			opts: options{Max: 10, Weigh: func(r int) int { return r }}, takes: 5 * ms,
			reqs: []at{{0, 1}, {1, 4}, {1, 6}, {1, 30}, {1, 2}, {1, 9}},
			want: []string{"0 [1]", "5 [4 6]", "10 [30]", "15 [2]", "20 [9]"},
		},
		"a stuck call has others beside it": {
			opts: options{Parallel: 2, StuckAfter: 100 * ms}, takes: 250 * ms,
			reqs: []at{{0, 1}, {10, 2}, {110, 3}, {210, 4}},
			want: []string{"0 [1]", "100 [2]", "250 [3 4]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(c.takes)
				c.opts.Call = s.call
				b := batch.New(c.opts)
				now := 0
				for _, r := range c.reqs {
					time.Sleep(time.Duration(r.ms-now) * ms)
					now = r.ms
					b.Submit(r.req)
				}
				time.Sleep(time.Second)
				s.want(t, c.want...)
				closeBatcher(b)
			})
		})
	}
}

// TestSubmitAll: requests of one SubmitAll go with one call.
func TestSubmitAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(0)
		b := batch.New(options{Call: s.call})
		defer closeBatcher(b)
		for i, p := range b.SubmitAll(1, 2, 3) {
			wantAnswer(t, p, 2*(i+1))
		}
		if all := b.SubmitAll(); len(all) != 0 {
			t.Errorf("got %d answers to nothing", len(all))
		}
		s.want(t, "0 [1 2 3]")
	})
}

// TestRoom: calls take no more than there is room for, until somebody makes room.
func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(100 * ms)
		var room atomic.Int64
		room.Store(1)
		b := batch.New(options{Call: s.call, Room: func() int { return int(room.Load()) }, Parallel: 2, StuckAfter: 10 * ms})
		defer closeBatcher(b)
		b.SubmitAll(1, 2, 3, 4)
		time.Sleep(20 * ms) // the first call is stuck, and takes all the room
		room.Store(3)
		b.Wake()
		time.Sleep(60 * ms)
		room.Store(0)
		time.Sleep(100 * ms)
		s.want(t, "0 [1]", "20 [2 3]")
		room.Store(1)
		b.Wake()
		s.want(t, "0 [1]", "20 [2 3]", "180 [4]")
	})
}

// TestWait: a waiting request is withdrawn when its context ends; the answer of one in a
// call is awaited.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(100 * ms)
		b := batch.New(options{Call: s.call})
		defer closeBatcher(b)
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		all := []*batch.Pending[int, int]{b.Submit(1)}
		synctest.Wait() // it is in a call
		all = append(all, b.Submit(2), b.Submit(3))
		time.AfterFunc(10*ms, func() { cancel(gone) })
		if _, err := all[1].Wait(ctx); !errors.Is(err, gone) || time.Since(s.began) != 10*ms {
			t.Errorf("got %v after %v", err, time.Since(s.began))
		}
		if v, err := all[0].Wait(ctx); v != 2 || err != nil || time.Since(s.began) != 100*ms {
			t.Errorf("got %d, %v after %v", v, err, time.Since(s.began))
		}
		time.Sleep(100 * ms)
		wantAnswer(t, all[2], 6)
		s.want(t, "0 [1]", "100 [3]")
	})
}

// TestSplit: a request that makes its batch fail stands alone in the end; an error that is
// no request's answers all.
func TestSplit(t *testing.T) {
	errPoison, errAway := errors.New("refused"), errors.New("away")
	for name, c := range map[string]struct {
		err    error
		failed []int
		calls  int
	}{
		"refused": {errPoison, []int{3}, 7},
		"away":    {errAway, []int{1, 2, 3, 4, 5, 6, 7, 8}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				b := batch.New(options{
					Split: func(err error) bool { return errors.Is(err, errPoison) },
					Call: func(_ context.Context, reqs []int) (results, error) {
						if calls++; slices.Contains(reqs, 3) {
							return nil, c.err
						}
						return doubles(reqs), nil
					},
				})
				defer closeBatcher(b)
				var failed []int
				for i, p := range b.SubmitAll(1, 2, 3, 4, 5, 6, 7, 8) {
					if _, err := p.Wait(t.Context()); errors.Is(err, c.err) {
						failed = append(failed, i+1)
					} else if err != nil {
						t.Error(err)
					}
				}
				if diff := cmp.Diff(failed, c.failed); diff != "" {
					t.Error(diff)
				}
				if calls != c.calls {
					t.Errorf("%d calls, want %d", calls, c.calls)
				}
			})
		})
	}
}

// TestBrokenCalls: a call that panics or counts wrongly answers with an error.
func TestBrokenCalls(t *testing.T) {
	for name, call := range map[string]func(context.Context, []int) (results, error){
		"panic: a bug":            func(context.Context, []int) (results, error) { panic("a bug") },
		"0 answers to 2 requests": func(context.Context, []int) (results, error) { return nil, nil },
	} {
		synctest.Test(t, func(t *testing.T) {
			b := batch.New(options{Call: call})
			defer closeBatcher(b)
			for _, p := range b.SubmitAll(1, 2) {
				if _, err := p.Wait(t.Context()); fmt.Sprint(err) != name {
					t.Errorf("got %v, want %s", err, name)
				}
			}
		})
	}
}

// TestRetryAfter: a request with a retry delays no other.
func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(0)
		var free atomic.Bool
		b := batch.New(options{Call: func(ctx context.Context, reqs []int) (results, error) {
			answers, err := s.call(ctx, reqs)
			if i := slices.Index(reqs, 1); i >= 0 && !free.Load() {
				answers[i] = batch.Result[int]{RetryAfter: 50 * ms}
			}
			return answers, err
		}})
		defer closeBatcher(b)
		all := b.SubmitAll(1, 2)
		wantAnswer(t, all[1], 4)
		time.Sleep(20 * ms)
		wantAnswer(t, b.Submit(3), 6)
		time.Sleep(40 * ms)
		free.Store(true)
		time.Sleep(40 * ms)
		wantAnswer(t, all[0], 2)
		s.want(t, "0 [1 2]", "20 [3]", "50 [1]", "100 [1]")
	})
}

// TestMaxWaiting: requests beyond the limit are refused.
func TestMaxWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(10 * ms)
		b := batch.New(options{Call: s.call, MaxWaiting: 2})
		defer closeBatcher(b)
		b.Submit(1)
		synctest.Wait() // it is in a call
		b.SubmitAll(2, 3)
		wantError(t, b.Submit(4), batch.ErrFull)
		time.Sleep(11 * ms)
		b.Submit(5)
		time.Sleep(20 * ms)
		s.want(t, "0 [1]", "10 [2 3]", "20 [5]")
	})
}

// TestClose: waiting requests are answered without a pause, later ones are refused, and
// retries are awaited.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(10 * ms)
		first := true
		b := batch.New(options{Every: time.Minute, Call: func(ctx context.Context, reqs []int) (results, error) {
			answers, err := s.call(ctx, reqs)
			if first {
				first, answers[0] = false, batch.Result[int]{RetryAfter: time.Hour}
			}
			return answers, err
		}})
		again := b.Submit(1)
		time.Sleep(20 * ms)
		waits := b.Submit(2)
		var late *batch.Pending[int, int]
		time.AfterFunc(5*ms, func() { late = b.Submit(3) })
		closeBatcher(b)
		wantAnswer(t, waits, 4)
		wantAnswer(t, late, 6)
		wantAnswer(t, again, 2)
		s.want(t, "0 [1]", "20 [2]", "30 [3]", "3600010 [1]")
		wantError(t, b.Submit(4), batch.ErrClosed)
		closeBatcher(b) // a second time
	})
}

// TestCloseEnds: when the context of Close ends, calls end with it, and the remaining
// requests are handed to one that knows.
func TestCloseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errCut := errors.New("cut short")
		var seen []int
		first := true
		b := batch.New(options{Call: func(ctx context.Context, reqs []int) (results, error) {
			if first {
				first = false
				return results{{RetryAfter: time.Hour}}, nil
			}
			<-ctx.Done()
			seen = append(seen, reqs...)
			return nil, errCut
		}})
		all := []*batch.Pending[int, int]{b.Submit(1)}
		synctest.Wait()
		all = append(all, b.Submit(2), b.Submit(3))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		b.Close(ctx)
		if took := time.Since(began); took != time.Second {
			t.Errorf("closed after %v", took)
		}
		for _, p := range all {
			wantError(t, p, errCut)
		}
		if slices.Sort(seen); !slices.Equal(seen, []int{1, 2, 3}) {
			t.Errorf("calls saw %v", seen)
		}
	})
}

package spool_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/queuetest"
	"github.com/psivisionhub/psi-router/internal/spool"
)

// world decides by chance what happens to each call to the shared queue, and when: it succeeds,
// the call or the answer is lost, it is refused, or it succeeds long after its caller gave up.
// In each lane somebody posts the numbers 0, 1, 2…, the next once one was accepted, and repeats
// one that was not.
type world struct {
	*rapid.T
	shared *shared
	path   string
	spool  *spool.Spool
	kill   func()
	posts  sync.WaitGroup

	mu       sync.Mutex
	accepted [3]int // number by lane
	busy     [3]bool
	added    [3]int // number in the shared queue, by lane
	wrong    string
}

func lane(i int) string { return string(rune('a' + i)) }

func number(i, n int) queue.Job { return job(lane(i), fmt.Sprint(lane(i), n)) }

// TestOrder: whatever happens, the shared queue gets all accepted jobs of each lane, in order and
// once.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, run := t.TempDir(), 0
		rapid.Check(struct{ rapid.TB }{t}, func(rt *rapid.T) { // a bubble has no deadline
			run++
			w := &world{T: rt, path: filepath.Join(dir, fmt.Sprint(run))}
			w.shared = &shared{Model: queuetest.NewModel(time.Now), took: w.took, gated: true}
			w.live()
			defer func() { w.kill() }()
			rt.Repeat(map[string]func(*rapid.T){
				"":       func(*rapid.T) { w.check() },
				"post":   w.post,
				"again":  w.again,
				"answer": w.answer,
				"wait": func(rt *rapid.T) {
					time.Sleep(rapid.SampledFrom([]time.Duration{time.Millisecond, 300 * time.Millisecond, 2 * time.Second, time.Minute}).Draw(rt, "for"))
				},
				"kill": func(*rapid.T) { w.kill(); w.live() },
			})
			w.shared.gate(false)
			time.Sleep(time.Minute)
			w.check()
			if w.spool.Depth() != 0 || w.spool.Down() != nil || w.spool.Oldest() != 0 {
				rt.Fatalf("%d are kept for %v: %v", w.spool.Depth(), w.spool.Oldest(), w.spool.Down())
			}
			for i, n := range w.accepted {
				if w.added[i] < n {
					rt.Errorf("lane %s: %d were accepted, %d arrived", lane(i), n, w.added[i])
				}
			}
		})
	})
}

// live starts a process; kill ends it at any point.
func (w *world) live() {
	s, err := spool.Open(context.Background(), spool.Options{Queue: w.shared, Path: w.path})
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { s.Run(ctx); close(done) }()
	w.spool = s
	w.kill = func() {
		synctest.Wait()
		s.Close()
		cancel()
		<-done
		for w.shared.under() > 0 { // their callers are gone
			w.shared.answer(0, rapid.Bool().Draw(w.T, "happens"), errDown)
		}
		w.posts.Wait()
	}
}

func (w *world) took(j queue.Job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := int(j.Lane[0] - 'a')
	if want := number(i, w.added[i]).ID; j.ID != want && w.wrong == "" {
		w.wrong = fmt.Sprintf("the shared queue got %s, want %s", j.ID, want)
	}
	w.added[i]++
}

func (w *world) check() {
	w.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wrong != "" {
		w.Fatal(w.wrong)
	}
}

// post posts the next numbers of some lanes as one batch.
func (w *world) post(rt *rapid.T) {
	var batch []queue.Job
	lanes := rapid.SliceOfNDistinct(rapid.IntRange(0, 2), 1, 3, rapid.ID).Draw(rt, "lanes")
	each := rapid.IntRange(1, 2).Draw(rt, "each")
	w.mu.Lock()
	lanes = slices.DeleteFunc(lanes, func(i int) bool { return w.busy[i] })
	for _, i := range lanes {
		w.busy[i] = true
		for n := range each {
			batch = append(batch, number(i, w.accepted[i]+n))
		}
	}
	w.mu.Unlock()
	s := w.spool
	w.posts.Go(func() {
		_, err := s.Enqueue(context.Background(), batch)
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, i := range lanes {
			w.busy[i] = false
			if err == nil {
				w.accepted[i] += each
			}
		}
	})
	synctest.Wait()
}

// again posts an accepted job again, as Meta does if it gets no answer.
func (w *world) again(rt *rapid.T) {
	i := rapid.IntRange(0, 2).Draw(rt, "lane")
	w.mu.Lock()
	n := w.accepted[i]
	w.mu.Unlock()
	if n == 0 {
		rt.Skip("nothing yet")
	}
	j := number(i, rapid.IntRange(0, n-1).Draw(rt, "number"))
	s := w.spool
	w.posts.Go(func() { s.Enqueue(context.Background(), []queue.Job{j}) })
	synctest.Wait()
}

func (w *world) answer(rt *rapid.T) {
	n := w.shared.under()
	if n == 0 {
		rt.Skip("nobody asks")
	}
	i := rapid.IntRange(0, n-1).Draw(rt, "call")
	switch rapid.SampledFrom(strings.Fields("done done done lost unheard full")).Draw(rt, "what") {
	case "done":
		w.shared.answer(i, true, nil)
	case "lost":
		w.shared.answer(i, false, errDown)
	case "unheard":
		w.shared.answer(i, true, errors.New("connection reset"))
	case "full":
		w.shared.answer(i, false, queue.ErrFull)
	}
	synctest.Wait()
}

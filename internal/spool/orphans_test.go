package spool_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/queuetest"
	"github.com/psivisionhub/psi-router/internal/queue/sqlitequeue"
	"github.com/psivisionhub/psi-router/internal/spool"
)

// TestOrphanFilesAreTakenOver: the jobs of orphan files go before new ones, the oldest file
// first; a file in use is left alone, and a broken one does not prevent Open.
func TestOrphanFilesAreTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &shared{Model: queuetest.NewModel(time.Now)}
		q.Break(errDown)
		dir := t.TempDir()
		path := func(name string) string { return filepath.Join(dir, name) }
		keep := func(name string, jobs ...queue.Job) *spool.Spool {
			s := open(t, spool.Options{Queue: q, Path: path(name)})
			put(t, s, jobs...)
			time.Sleep(time.Minute)
			return s
		}
		older, used, newer := keep("z.db", job("a", "a1"), job("a", "a2")), keep("used.db", job("b", "b1")), keep("y.db", job("a", "a3"), job("a", "a1"))
		if err := errors.Join(older.Close(), newer.Close()); err != nil {
			t.Fatal(err)
		}
		s := open(t, spool.Options{Queue: q, Path: path("own.db"), OrphanFiles: []string{path("y.db"), path("z.db"), path("used.db"), dir}})
		if s.Depth() != 3 || s.Oldest() != 3*time.Minute {
			t.Errorf("%d jobs, of %v ago", s.Depth(), s.Oldest())
		}
		put(t, s, job("a", "a4"))
		if n := used.Depth(); n != 1 {
			t.Errorf("%d are left in the file that is in use", n)
		}
		if err := used.Close(); err != nil {
			t.Fatal(err)
		}
		q.Break(nil)
		defer start(t, s)()
		synctest.Wait()
		if diff := cmp.Diff(ids(jobs(t, q)), map[string][]string{"a": {"a1", "a2", "a3", "a4"}}); diff != "" {
			t.Errorf("(-got +want)\n%s", diff)
		}
		again := open(t, spool.Options{Queue: q, Path: path("z.db")})
		if n := again.Depth(); n != 0 {
			t.Errorf("%d are still in the file that was taken over", n)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestFullDiskLeavesOrphanFiles: jobs that do not fit stay in their file for the next start.
func TestFullDiskLeavesOrphanFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &shared{Model: queuetest.NewModel(time.Now)}
		q.Break(errDown)
		dir := t.TempDir()
		left := open(t, spool.Options{Queue: q, Path: filepath.Join(dir, "left.db")})
		const n = 2000
		for i := range n {
			put(t, left, job("a", fmt.Sprintf("%04d", i)))
		}
		if err := left.Close(); err != nil {
			t.Fatal(err)
		}
		q.Break(nil)
		o := spool.Options{Queue: q, Path: filepath.Join(dir, "own.db"), OrphanFiles: []string{filepath.Join(dir, "left.db")}, MaxPages: 20}
		starts, most := 0, 0
		for got := 0; got < n; starts++ {
			s := open(t, o)
			most = max(most, s.Depth())
			stop := start(t, s)
			synctest.Wait()
			stop()
			for _, id := range ids(jobs(t, q))["a"] {
				if want := fmt.Sprintf("%04d", got); id != want {
					t.Fatalf("got %s, want %s", id, want)
				}
				got++
			}
			if starts > n {
				t.Fatalf("%d arrived after %d starts", got, starts)
			}
		}
		if starts < 2 || most >= n {
			t.Errorf("all fitted: %d in %d starts", most, starts)
		}
	})
}

// TestConcurrentStarts: of two processes that start at the same time, one takes over the file
// of a killed one, and all accepted jobs arrive once and in order.
func TestConcurrentStarts(t *testing.T) {
	t.Parallel()
	for round := range 3 {
		dir := t.TempDir()
		var next [crashLanes]int
		killed(t, dir, &next)
		q, err := sqlitequeue.Open(t.Context(), sqlitequeue.Options{Path: filepath.Join(dir, "shared.db")})
		if err != nil {
			t.Fatal(err)
		}
		var doors [2]*spool.Spool
		var wg sync.WaitGroup
		for i := range doors {
			wg.Go(func() {
				s, err := spool.Open(t.Context(), spool.Options{
					Queue: q, Path: filepath.Join(dir, fmt.Sprintf("spool-%d.db", i)), OrphanFiles: []string{filepath.Join(dir, "spool.db")},
				})
				if err != nil {
					t.Error(err)
					return
				}
				doors[i] = s
			})
		}
		wg.Wait()
		kept := []int{}
		for _, s := range doors {
			if s == nil {
				t.FailNow()
			}
			kept = append(kept, s.Depth())
			stop := start(t, s)
			for end := time.Now().Add(30 * time.Second); s.Depth() > 0; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%d are still kept: %v", s.Depth(), s.Down())
				}
			}
			stop()
		}
		if kept[0] > 0 && kept[1] > 0 {
			t.Errorf("both took from one file: %v", kept)
		}
		got := ids(jobs(t, q))
		for l, accepted := range next {
			all := got[fmt.Sprint("lane", l)]
			for n, id := range all {
				if want := fmt.Sprint(l, "/", n); id != want {
					t.Fatalf("lane %d: got %s, want %s", l, id, want)
				}
			}
			if len(all) < accepted {
				t.Errorf("lane %d: %d were accepted, %d arrived", l, accepted, len(all))
			}
		}
		t.Logf("round %d: taken over: %v", round, kept)
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

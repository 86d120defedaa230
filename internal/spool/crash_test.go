package spool_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/sqlitequeue"
	"github.com/psivisionhub/psi-router/internal/spool"
)

const (
	crashEnv   = "PSI_TEST_SPOOL_CRASH"
	crashLanes = 8
)

// flaky is a shared queue behind a bad network: calls and answers get lost, calls succeed long
// after their caller gave up, and sometimes nothing passes for a while.
type flaky struct {
	queue.Queue
	trouble int // 0: none
	calls   atomic.Int64
}

func (f *flaky) Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error) {
	n := f.calls.Add(1)
	switch lot := rand.IntN(40); {
	case f.trouble == 0:
	case n/40%4 == 1 || lot == 0:
		return nil, errDown
	case lot == 1:
		f.Queue.Enqueue(ctx, jobs)
		return nil, errors.New("connection reset")
	case lot == 2:
		go func() {
			time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond)
			f.Queue.Enqueue(context.Background(), jobs)
		}()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return f.Queue.Enqueue(ctx, jobs)
}

func process(dir string, trouble int) (*spool.Spool, *sqlitequeue.Engine, error) {
	q, err := sqlitequeue.Open(context.Background(), sqlitequeue.Options{Path: filepath.Join(dir, "shared.db")})
	if err != nil {
		return nil, nil, err
	}
	s, err := spool.Open(context.Background(), spool.Options{
		Queue: &flaky{Queue: q, trouble: trouble}, Path: filepath.Join(dir, "spool.db"), DirectTimeout: 10 * time.Millisecond,
	})
	return s, q, err
}

// crash is the process that gets killed. In each lane it posts the next number once the one
// before was accepted, and prints each accepted number with the spool's depth.
func crash(dir string) {
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	s, _, err := process(dir, 1)
	if err != nil {
		fail(err)
	}
	var next [crashLanes]int
	for l := range next {
		if _, err := fmt.Fscan(os.Stdin, &next[l]); err != nil {
			fail(err)
		}
	}
	var mu sync.Mutex
	for l := range next {
		go func() {
			for n := next[l]; ; n++ {
				j := job(fmt.Sprint("lane", l), fmt.Sprint(l, "/", n))
				for {
					if _, err := s.Enqueue(context.Background(), []queue.Job{j}); err == nil {
						break
					}
				}
				mu.Lock()
				_, err := fmt.Fprintln(os.Stdout, l, n, s.Depth())
				mu.Unlock()
				if err != nil {
					os.Exit(0)
				}
				if rand.IntN(3) == 0 { // time to drain the last one of the lane
					time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
				}
			}
		}()
	}
	fail(s.Run(context.Background()))
}

// TestKilledSpoolLosesNothing kills a working process again and again. In the end all accepted
// jobs are in the shared queue, in order and once.
func TestKilledSpoolLosesNothing(t *testing.T) {
	t.Parallel()
	rounds := 5
	if os.Getenv("PSI_PROOF") != "" {
		rounds = 60
	}
	dir := t.TempDir()
	var next [crashLanes]int
	deepest, found := 0, 0
	for range rounds {
		deepest = max(deepest, killed(t, dir, &next))
		s, q, err := process(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		found += s.Depth()
		if err := errors.Join(s.Close(), q.Close()); err != nil {
			t.Fatal(err)
		}
	}
	s, q, err := process(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	stop := start(t, s)
	defer stop()
	for end := time.Now().Add(30 * time.Second); s.Depth() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d are still kept: %v", s.Depth(), s.Down())
		}
	}
	total := 0
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
		total += accepted
	}
	t.Logf("%d accepted in %d rounds, %d kept at most, %d found after kills", total, rounds, deepest, found)
	if total == 0 || deepest == 0 {
		t.Error("nothing was kept")
	}
}

// killed starts a process, kills it at a random moment, and notes the jobs that it accepted.
func killed(t *testing.T, dir string, next *[crashLanes]int) (deepest int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), crashEnv+"="+dir)
	cmd.Stdin, cmd.Stderr = strings.NewReader(strings.Trim(fmt.Sprint(*next), "[]")), os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, read := 100+rand.IntN(500), 0
	for r := bufio.NewReader(pipe); ; {
		line, err := r.ReadString('\n')
		if errors.Is(err, io.EOF) { // an incomplete line does not count
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		var l, n, depth int
		if _, err := fmt.Sscan(line, &l, &n, &depth); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		next[l], deepest = n+1, max(deepest, depth)
		if read++; read == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	if read < lines {
		t.Fatalf("the process ended by itself after %d lines", read)
	}
	return deepest
}

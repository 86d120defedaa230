package sqlitequeue

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
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
)

const (
	crashEnv   = "PSI_TEST_QUEUE_CRASH"
	crashLanes = 12
)

// crash is the process to be killed: producers add the next number to each lane, and
// workers print a job before they settle it. It ends only when killed or when its output is
// closed.
func crash(path string) {
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx := context.Background()
	e, err := Open(ctx, Options{Path: path})
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
	say := func(what, lane string, n any) {
		mu.Lock()
		defer mu.Unlock()
		if _, err := fmt.Fprintln(os.Stdout, what, lane, n); err != nil {
			os.Exit(0)
		}
	}
	var wg sync.WaitGroup
	for l := range next {
		wg.Go(func() {
			for n := next[l]; ; n++ {
				lane := fmt.Sprint("lane", l)
				if _, err := e.Enqueue(ctx, []queue.Job{{Queue: "inbound", Lane: lane, ID: fmt.Sprint(lane, "/", n)}}); err != nil {
					fail(err)
				}
				say("accepted", lane, n)
			}
		})
	}
	for range 3 {
		wg.Go(func() {
			var out []queue.Outcome
			for {
				b, err := e.Exchange(ctx, "inbound", out, 4, time.Minute)
				if err != nil || len(b.Refused) > 0 {
					fail(fmt.Errorf("refused %q: %w", b.Refused, err))
				}
				out = nil
				for _, c := range b.Claims {
					say("run", c.Lane, strings.TrimPrefix(c.ID, c.Lane+"/"))
					v := queue.Done
					if rand.IntN(8) == 0 {
						v = queue.Retry
					}
					out = append(out, queue.Outcome{Lane: c.Lane, Token: c.Token, Verdict: v})
				}
			}
		})
	}
	wg.Wait()
}

// TestKilledQueueLosesNothing kills a working process again and again. Every accepted
// number has to run, in order; it may run more than once.
func TestKilledQueueLosesNothing(t *testing.T) {
	t.Parallel()
	rounds := 4
	if os.Getenv("PSI_PROOF") != "" {
		rounds = 50
	}
	path := filepath.Join(t.TempDir(), "queue.db")
	accepted, ran := map[string]int{}, map[string]int{}
	for l := range crashLanes {
		accepted[fmt.Sprint("lane", l)], ran[fmt.Sprint("lane", l)] = -1, -1
	}
	run := func(lane string, n int) {
		if n != ran[lane] && n != ran[lane]+1 {
			t.Errorf("%s: %d ran after %d", lane, n, ran[lane])
		}
		ran[lane] = n
	}
	for range rounds {
		for _, w := range killed(t, path, accepted) {
			if w.what == "run" {
				run(w.lane, w.n)
			} else {
				accepted[w.lane] = w.n
			}
		}
		e := open(t, Options{Path: path})
		check(t, e)
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	e := open(t, Options{Path: path})
	var out []queue.Outcome
	for {
		b, err := e.Exchange(t.Context(), "inbound", out, 100, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Claims) == 0 {
			break
		}
		out = nil
		for _, c := range b.Claims {
			var n int
			if _, err := fmt.Sscanf(c.ID, c.Lane+"/%d", &n); err != nil {
				t.Fatal(err)
			}
			run(c.Lane, n)
			out = append(out, queue.Outcome{Lane: c.Lane, Token: c.Token, Verdict: queue.Done})
		}
	}
	check(t, e)
	total := 0
	for lane, last := range accepted {
		total += last + 1
		if ran[lane] < last {
			t.Errorf("%s: %d was accepted, the last that ran is %d", lane, last, ran[lane])
		}
	}
	t.Logf("%d accepted in %d rounds", total, rounds)
	if total == 0 {
		t.Error("nothing was accepted")
	}
}

type said struct {
	what, lane string
	n          int
}

// killed starts a process, kills it at a random moment, and returns its output.
func killed(t *testing.T, path string, accepted map[string]int) (all []said) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), crashEnv+"="+path)
	var from strings.Builder
	for l := range crashLanes {
		fmt.Fprintln(&from, accepted[fmt.Sprint("lane", l)]+1)
	}
	cmd.Stdin, cmd.Stderr = strings.NewReader(from.String()), os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := 50 + rand.IntN(400)
	for r := bufio.NewReader(pipe); ; {
		line, err := r.ReadString('\n')
		if errors.Is(err, io.EOF) { // half a line does not count
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		var s said
		if _, err := fmt.Sscan(line, &s.what, &s.lane, &s.n); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, s)
		if len(all) == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	if len(all) < lines {
		t.Fatalf("the process ended by itself after %d lines", len(all))
	}
	return all
}

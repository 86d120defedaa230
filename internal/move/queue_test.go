package move_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/psivisionhub/psi-router/internal/move"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/redisqueue"
	"github.com/psivisionhub/psi-router/internal/queue/sqlitequeue"
	"github.com/psivisionhub/psi-router/internal/redistest"
)

func queueFile(t *testing.T, path string) *sqlitequeue.Source {
	t.Helper()
	if e, err := sqlitequeue.Open(t.Context(), sqlitequeue.Options{Path: path, Relaxed: true}); err != nil || e.Close() != nil {
		t.Fatal(err)
	}
	s, err := sqlitequeue.OpenSource(t.Context(), sqlitequeue.Options{Path: path, Relaxed: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func redis(t *testing.T, url string) *redisqueue.Engine {
	t.Helper()
	e, err := redisqueue.Open(t.Context(), redisqueue.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func jobs(queueName string, lanes, each int, round string) (all []queue.Job) {
	for n := range each {
		for l := range lanes {
			id := fmt.Sprintf("%s-%s-%d-%d", queueName, round, l, n)
			all = append(all, queue.Job{Queue: queueName, Lane: fmt.Sprintf("lane \xff %d", l), ID: id, Body: []byte(`{"n":"` + id + `"}`)})
		}
	}
	return all
}

// settle claims up to want jobs and settles them all the same way.
func settle(t *testing.T, e queue.Engine, name string, want int, o queue.Outcome) (claims []queue.Claim) {
	t.Helper()
	b := must[queue.Batch](t)(e.Exchange(t.Context(), name, nil, want, time.Minute))
	var out []queue.Outcome
	for _, c := range b.Claims {
		o.Lane, o.Token = c.Lane, c.Token
		out = append(out, o)
	}
	must[queue.Batch](t)(e.Exchange(t.Context(), name, out, 0, 0))
	return b.Claims
}

// drain takes everything out of a queue, by lane.
func drain(t *testing.T, e queue.Engine, name string) map[string][]queue.Claim {
	t.Helper()
	all := map[string][]queue.Claim{}
	for {
		claims := settle(t, e, name, 100, queue.Outcome{Verdict: queue.Done})
		if len(claims) == 0 {
			return all
		}
		for _, c := range claims {
			c.Token, c.EnqueuedAt = "", time.Time{}
			all[c.Lane] = append(all[c.Lane], c)
		}
	}
}

// TestQueue moves a queue that is killed again and again.
func TestQueue(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "queue.db")
	ctx := t.Context()
	src := queueFile(t, path)
	must[[]bool](t)(src.Enqueue(ctx, jobs("inbound", 9, 30, "a")))
	must[[]bool](t)(src.Enqueue(ctx, jobs("media", 4, 5, "a")))
	must[[]bool](t)(src.Enqueue(ctx, []queue.Job{{Queue: "send:wsp4", Lane: "talk 1"}, {Queue: "send:wsp4", Lane: "talk 2"}}))
	for range 6 {
		settle(t, src, "inbound", 5, queue.Outcome{Verdict: queue.Dead, Err: "broken"})
	}
	settle(t, src, "media", 2, queue.Outcome{Verdict: queue.Dead, Err: "gone"})
	settle(t, src, "inbound", 3, queue.Outcome{Verdict: queue.Retry, Err: "later", Delay: time.Hour})
	dead := must[[]queue.DeadLetter](t)(src.Dead(ctx, "", 0, 100))
	if n := must[int](t)(src.Redrive(ctx, []int64{dead[0].ID, dead[1].ID, dead[5].ID})); n != 3 {
		t.Fatalf("redriven %d", n)
	}
	dead = nil
	for _, d := range must[[]queue.DeadLetter](t)(src.Dead(ctx, "", 0, 100)) {
		dead = append(dead, must[queue.DeadLetter](t)(src.DeadLetter(ctx, d.ID)))
	}
	if err := errors.Join(src.Pause(ctx, "media"), src.Hold(ctx, "send:wsp4", time.Now().Add(time.Hour), "401")); err != nil {
		t.Fatal(err)
	}
	want := map[string]map[string][]queue.Claim{}
	total := 0
	for _, name := range []string{"inbound", "media", "send:wsp4"} {
		want[name] = map[string][]queue.Claim{}
		for _, w := range must[[]queue.Waiting](t)(src.Waiting(ctx, name, 0, 1000, 1<<30)) {
			want[name][w.Lane] = append(want[name][w.Lane], queue.Claim{Job: w.Job, Attempt: 1, Redriven: w.Redriven})
			total++
		}
	}
	if err := src.Close(); err != nil {
		t.Fatal(err)
	}

	server := redistest.Start(t, redistest.AOF...)
	to := redis(t, server.URL())
	rnd := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // the same every time
	kills := 0
	for {
		ctx, kill := context.WithCancel(t.Context())
		src := queueFile(t, path)
		left := 1 + kills + rnd.IntN(3+2*kills)
		r, err := move.Queue(ctx, move.QueueOptions{Source: src, Target: to, Step: 17, Progress: func(move.Part, bool) {
			if left--; left == 0 {
				kill()
			}
		}})
		kill()
		if err := src.Close(); err != nil {
			t.Fatal(err)
		}
		if err == nil {
			if here, there := r.Totals(); here != there || here != int64(total+len(dead)) || !r.Resumed {
				t.Errorf("got %+v, want %d jobs and %d letters, resumed", r, total, len(dead))
			}
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		kills++
		if err := to.Complete(t.Context()); !errors.Is(err, redisqueue.ErrMoving) {
			t.Fatalf("half of it: got %v, want ErrMoving", err)
		}
	}
	if kills < 4 {
		t.Errorf("killed %d times only", kills)
	}
	if err := to.Complete(ctx); err != nil {
		t.Error(err)
	}

	var got []queue.DeadLetter
	for _, d := range must[[]queue.DeadLetter](t)(to.Dead(ctx, "", 0, 100)) {
		got = append(got, must[queue.DeadLetter](t)(to.DeadLetter(ctx, d.ID)))
	}
	near := cmp.Comparer(func(a, b time.Time) bool { return a.Sub(b).Abs() < time.Millisecond })
	if diff := cmp.Diff(got, dead, near, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("dead letters (-got +want):\n%s", diff)
	}
	stats := map[string]queue.Stats{}
	for _, q := range must[[]queue.Stats](t)(to.Stats(ctx)) {
		stats[q.Name] = q
	}
	if !stats["media"].Paused || stats["inbound"].Paused || stats["send:wsp4"].HeldFor != "401" {
		t.Errorf("settings: got %+v", stats)
	}
	// What came before comes again: it is known. What is new goes behind it.
	for i, added := range must[[]bool](t)(to.Enqueue(ctx, jobs("media", 4, 6, "a"))) {
		if want := i >= 20; added != want && i >= 2 { // two are dead
			t.Errorf("media job %d: added %v, want %v", i, added, want)
		}
	}
	for _, name := range []string{"inbound", "send:wsp4"} {
		if err := errors.Join(to.Hold(ctx, name, time.Time{}, "")); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(drain(t, to, name), want[name], cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-got +want):\n%s", name, diff)
		}
	}
	settleDead(t, to, dead)

	// The file is empty, and what it gets by mistake can be moved too.
	src = queueFile(t, path)
	defer src.Close()
	if wrong := must[[]string](t)(src.Check(ctx)); len(wrong) > 0 {
		t.Errorf("the file: %q", wrong)
	}
	if r, err := move.Queue(ctx, move.QueueOptions{Source: src, Target: to}); err != nil || !r.Already {
		t.Errorf("once more: got %+v, %v", r, err)
	}
	must[[]bool](t)(src.Enqueue(ctx, jobs("inbound", 1, 3, "b")))
	settle(t, src, "inbound", 1, queue.Outcome{Verdict: queue.Dead, Err: "late"})
	if _, err := move.Queue(ctx, move.QueueOptions{Source: src, Target: to}); err != nil {
		t.Fatal(err)
	}
	if n := len(drain(t, to, "inbound")["lane \xff 0"]); n != 2 {
		t.Errorf("%d jobs came later, want 2", n)
	}
	if letters := must[[]queue.DeadLetter](t)(to.Dead(ctx, "inbound", 0, 1)); len(letters) != 1 || letters[0].Err != "late" {
		t.Errorf("a letter that came later: got %+v", letters)
	}
	if wrong := must[[]string](t)(to.Check(ctx)); len(wrong) > 0 {
		t.Errorf("redis: %q", wrong)
	}

	// Nobody else's queue is moved in here.
	other := queueFile(t, filepath.Join(t.TempDir(), "queue.db"))
	defer other.Close()
	if _, err := move.Queue(ctx, move.QueueOptions{Source: other, Target: to}); !errors.Is(err, move.ErrRefused) {
		t.Errorf("another installation: got %v, want a refusal", err)
	}
	used := redis(t, redistest.Start(t, redistest.AOF...).URL())
	must[[]bool](t)(used.Enqueue(ctx, jobs("inbound", 1, 1, "x")))
	if _, err := move.Queue(ctx, move.QueueOptions{Source: other, Target: used}); !errors.Is(err, move.ErrRefused) {
		t.Errorf("a used Redis: got %v, want a refusal", err)
	}
}

// settleDead wants a new dead letter to have a number of its own, and an old one
// to come back.
func settleDead(t *testing.T, e *redisqueue.Engine, dead []queue.DeadLetter) {
	t.Helper()
	ctx := t.Context()
	must[[]bool](t)(e.Enqueue(ctx, jobs("inbound", 1, 1, "new")))
	settle(t, e, "inbound", 1, queue.Outcome{Verdict: queue.Dead, Err: "new"})
	newest := must[[]queue.DeadLetter](t)(e.Dead(ctx, "", 0, 1))
	if len(newest) != 1 || newest[0].Err != "new" || newest[0].ID <= dead[0].ID {
		t.Errorf("got %+v, want a number above %d", newest, dead[0].ID)
	}
	for _, d := range dead {
		if d.Job.Queue == "inbound" {
			must[int](t)(e.Redrive(ctx, []int64{d.ID}))
			claims := settle(t, e, "inbound", 1, queue.Outcome{Verdict: queue.Done})
			if len(claims) != 1 || claims[0].ID != d.Job.ID || string(claims[0].Body) != string(d.Job.Body) || !claims[0].Redriven {
				t.Errorf("redriven: got %+v, want %+v", claims, d.Job)
			}
			return
		}
	}
	t.Error("no dead letter of inbound")
}

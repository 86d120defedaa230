package sqlitequeue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/sqlite"
)

func open(t *testing.T, o Options) *Engine {
	t.Helper()
	if o.Path == "" {
		o.Path = filepath.Join(t.TempDir(), "queue.db")
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

func check(t *testing.T, e *Engine) {
	t.Helper()
	if wrong, err := e.Check(t.Context()); err != nil || len(wrong) > 0 {
		t.Errorf("check: %q, %v", wrong, err)
	}
}

func settleAll(t *testing.T, e *Engine) (n int) {
	t.Helper()
	var out []queue.Outcome
	for {
		b, err := e.Exchange(t.Context(), "inbound", out, 50, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Claims) == 0 {
			return n
		}
		out = nil
		for _, c := range b.Claims {
			out = append(out, queue.Outcome{Lane: c.Lane, Token: c.Token, Verdict: queue.Done})
			n++
		}
	}
}

func TestFullFileRefusesTheWholeBatchAndCanBeEmptied(t *testing.T) {
	t.Parallel()
	e := open(t, Options{MaxPages: 200, Relaxed: true})
	var n int64
	batch := func() []queue.Job {
		var jobs []queue.Job
		for range 10 {
			n++
			jobs = append(jobs, number(n))
		}
		return jobs
	}
	fill := func() (added int) {
		t.Helper()
		for range 1000 {
			_, err := e.Enqueue(t.Context(), batch())
			if errors.Is(err, queue.ErrUnavailable) {
				return added
			}
			if err != nil {
				t.Fatal(err)
			}
			added += 10
		}
		t.Fatal("the file never filled up")
		return 0
	}
	first := fill()
	check(t, e)
	if got := settleAll(t, e); got != first {
		t.Errorf("emptied %d jobs, want %d", got, first)
	}
	check(t, e)
	if again := fill(); again < first/2 {
		t.Errorf("after it was emptied it took %d jobs, at first %d", again, first)
	}
	huge := number(0)
	huge.Body = make([]byte, 4<<20)
	if _, err := e.Enqueue(t.Context(), []queue.Job{huge}); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("a job larger than the file: %v", err)
	}
	check(t, e)
}

func TestJobLargerThanTheFile(t *testing.T) {
	t.Parallel()
	e := open(t, Options{MaxPages: 200})
	huge := number(0)
	huge.Body = make([]byte, 4<<20)
	if _, err := e.Enqueue(t.Context(), []queue.Job{number(1), huge}); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	check(t, e)
	if added, err := e.Enqueue(t.Context(), []queue.Job{number(1)}); err != nil || !added[0] {
		t.Errorf("its neighbour was remembered: %v, %v", added, err)
	}
}

func TestNewerFileIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "queue.db")
	e := open(t, Options{Path: path})
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), Options{Path: path})
	if !errors.Is(err, sqlite.ErrNewer) || !strings.Contains(err.Error(), "99") {
		t.Errorf("got %v, want ErrNewer", err)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "queue.db")
	open(t, Options{Path: path})
	if _, err := Open(t.Context(), Options{Path: path}); !errors.Is(err, sqlite.ErrLocked) {
		t.Errorf("got %v, want ErrLocked", err)
	}
}

func TestManyIdsAreRememberedAcrossStarts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "queue.db")
	const n = 3*hashesPerRow + 7
	for round := range 3 {
		e := open(t, Options{Path: path, Relaxed: true})
		for i := 0; i < n; i += 100 {
			var jobs []queue.Job
			for j := i; j < min(i+100, n); j++ {
				jobs = append(jobs, number(int64(j)))
			}
			added, err := e.Enqueue(t.Context(), jobs)
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(added, round > 0) {
				t.Fatalf("round %d: added %v", round, added)
			}
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWaitIsExact: a Wait for a job due in seven seconds returns after seven seconds.
func TestWaitIsExact(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	synctest.Test(t, func(t *testing.T) {
		e, err := Open(context.Background(), Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		if _, err := e.Enqueue(t.Context(), []queue.Job{number(1)}); err != nil {
			t.Fatal(err)
		}
		b, err := e.Exchange(t.Context(), "inbound", nil, 1, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		retry := queue.Outcome{Lane: b.Claims[0].Lane, Token: b.Claims[0].Token, Verdict: queue.Retry, Delay: 7 * time.Second}
		if _, err := e.Exchange(t.Context(), "inbound", []queue.Outcome{retry}, 0, time.Minute); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ limit, want time.Duration }{
			{5 * time.Second, 5 * time.Second}, {time.Hour, 2 * time.Second}, {time.Hour, 0},
		} {
			start := time.Now()
			if err := e.Wait(t.Context(), "inbound", c.limit); err != nil {
				t.Fatal(err)
			}
			if got := time.Since(start); got != c.want {
				t.Errorf("waited %v, want %v", got, c.want)
			}
		}
	})
}

// TestNoStatementScans: each statement finds its rows by a key, so that a backlog does not
// make the queue slower.
func TestNoStatementScans(t *testing.T) {
	t.Parallel()
	var queries []string
	path := filepath.Join(t.TempDir(), "queue.db")
	e := open(t, Options{Path: path, MaxPages: 10000, MaxDepth: 100, Logger: slog.New(collect(func(q string) { queries = append(queries, q) }))})
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, lane := range []string{"a", "b"} {
		for n := range int64(8) {
			j := number(n)
			j.Lane, j.ID = lane, lane+j.ID
			_, err := e.Enqueue(ctx, []queue.Job{j, {Queue: "inbound", Lane: "w"}})
			must(err)
		}
	}
	var out []queue.Outcome
	for i := range 12 {
		b, err := e.Exchange(ctx, "inbound", out, 2, time.Minute)
		must(err)
		out = nil
		for k, c := range b.Claims {
			out = append(out, queue.Outcome{Lane: c.Lane, Token: c.Token, Verdict: queue.Verdict((i+k)%4 + 1)})
		}
	}
	letters, err := e.Dead(ctx, "inbound", 0, 10)
	must(err)
	_, err = e.Dead(ctx, "", 0, 10)
	must(err)
	_, err = e.Redrive(ctx, []int64{letters[0].ID})
	must(err)
	must(e.Hold(ctx, "inbound", time.Now(), "x"))
	_, err = e.Stats(ctx)
	must(err)
	e.seen.gens[0] = map[hash]struct{}{} // as if a generation had ended
	_, err = e.Enqueue(ctx, []queue.Job{number(3)})
	must(err)
	must(e.Close())

	db, err := sql.Open("sqlite", path)
	must(err)
	defer db.Close()
	looked := 0
	for _, q := range queries {
		if strings.HasPrefix(q, "SELECT id, gen, hashes FROM seen") || strings.Contains(q, "(SELECT min(due)") {
			continue // once, at the start
		}
		rows, err := db.QueryContext(ctx, "EXPLAIN QUERY PLAN "+q, make([]any, strings.Count(q, "?"))...)
		if err != nil {
			if strings.HasPrefix(q, "BEGIN") || q == "COMMIT" || q == "ROLLBACK" {
				continue
			}
			t.Fatalf("%s: %v", q, err)
		}
		looked++
		for rows.Next() {
			var id, parent, unused int
			var detail string
			must(rows.Scan(&id, &parent, &unused, &detail))
			// Queues are few, and a list of ids is as long as the caller made it.
			scan := strings.HasPrefix(detail, "SCAN") && !strings.HasPrefix(detail, "SCAN queue") &&
				!strings.Contains(detail, "VIRTUAL TABLE")
			if scan || strings.Contains(detail, "TEMP B-TREE") && !strings.Contains(q, "FROM queue ORDER BY name") {
				t.Errorf("%s\n\t%s", q, detail)
			}
		}
		must(rows.Err())
		rows.Close()
	}
	if looked < 20 {
		t.Errorf("only %d statements were looked at", looked)
	}
}

// collect receives the statements that are prepared.
type collect func(query string)

// Enabled implements slog.Handler, as do the others.
func (collect) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements slog.Handler.
func (c collect) WithAttrs([]slog.Attr) slog.Handler { return c }

// WithGroup implements slog.Handler.
func (c collect) WithGroup(string) slog.Handler { return c }

// Handle implements slog.Handler.
func (c collect) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "query" {
			c(fmt.Sprint(a.Value))
		}
		return true
	})
	return nil
}

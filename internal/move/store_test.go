package move_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/psivisionhub/psi-router/internal/move"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/store/pgstore"
	"github.com/psivisionhub/psi-router/internal/store/sqlitestore"
	"github.com/psivisionhub/psi-router/internal/store/transfer"
)

func source(t *testing.T, path string) *sqlitestore.Source {
	t.Helper()
	s, err := sqlitestore.OpenSource(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func target(t *testing.T, url string) *pgstore.Target {
	t.Helper()
	s, err := pgstore.OpenTarget(t.Context(), pgstore.Options{URL: url, MaxConns: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// once runs a move as a separate process would.
func once(t *testing.T, ctx context.Context, path string, to *pgstore.Target, progress move.Progress) (move.Report, error) { //nolint:revive // it is the test's
	t.Helper()
	from := source(t, path)
	defer from.Close()
	return move.Store(ctx, move.StoreOptions{Source: from, Target: to, Step: 50, Progress: progress})
}

var same = cmp.Options{cmpopts.EquateEmpty()}

// TestStore moves a used store with many kills, then uses it beside a copy that stayed.
func TestStore(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	url := server.Bouncer(t, "default_pool_size=3").URL(server.Borrow(t))
	path := filepath.Join(t.TempDir(), "store.db")
	home := files(t, path, "a")
	noon := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	young := born(t, home, 7, noon)
	young.day(260)
	before := young.everything()
	if n := before.Gauges; n.PendingSends == 0 || n.UncertainSends == 0 || n.EventsUnnumbered == 0 {
		t.Fatalf("a dull life: %+v", n)
	}
	if err := home.Close(); err != nil {
		t.Fatal(err)
	}
	twin := copyFile(t, path)

	to := target(t, url)
	rnd := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // the same every time
	kills := 0
	for {
		ctx, kill := context.WithCancel(t.Context())
		left := 1 + 3*kills + rnd.IntN(6+5*kills)
		r, err := once(t, ctx, path, to, func(move.Part, bool) {
			if left--; left == 0 {
				kill()
			}
		})
		kill()
		if err == nil {
			if total, moved := r.Totals(); total != moved || !r.Resumed {
				t.Errorf("got %+v, want all of it, resumed", r)
			}
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if kills++; kills == 1 {
			continue // the move may not have begun
		}
		// Meanwhile nobody can use either half.
		if _, err := sqlitestore.Open(t.Context(), sqlitestore.Options{Path: path}); !errors.Is(err, transfer.ErrMoving) {
			t.Fatalf("open the files: got %v, want ErrMoving", err)
		}
		if _, err := pgstore.Open(t.Context(), pgstore.Options{URL: url}); !errors.Is(err, transfer.ErrMoving) {
			t.Fatalf("open the database: got %v, want ErrMoving", err)
		}
		if kills > 200 {
			t.Fatal("it never ends")
		}
	}
	if kills < 5 {
		t.Errorf("killed %d times only", kills)
	}
	if _, err := sqlitestore.Open(t.Context(), sqlitestore.Options{Path: path}); !errors.Is(err, transfer.ErrMoved) || !strings.Contains(err.Error(), "database_url") {
		t.Errorf("open the files afterwards: got %v, want ErrMoved with the cure", err)
	}
	if r, err := once(t, t.Context(), path, to, nil); err != nil || !r.Already {
		t.Errorf("once more: got %+v, %v", r, err)
	}

	moved := *young
	moved.s = database(t, url, "b")
	if got := moved.everything(); !cmp.Equal(got, before, same) {
		t.Fatalf("after the move (-got +want):\n%s", cmp.Diff(got, before, same))
	}
	// Both get the same arrivals, redeliveries included.
	stayed := *young
	stayed.s = files(t, twin, "b")
	defer stayed.s.Close()
	var fired [2]int
	var later [2]string
	for i, l := range []*life{&moved, &stayed} {
		l.rnd = rand.New(rand.NewPCG(9, 9)) //nolint:gosec // the same every time
		l.conversations, l.sent = slices.Clone(l.conversations), slices.Clone(l.sent)
		l.pump()
		l.day(90)
		l.pump()
		later[i] = l.everything().anonymous(t)
		l.now = l.now.Add(25 * time.Hour)
		fired[i] = l.pump()
	}
	if fired[0] != fired[1] || fired[0] == 0 {
		t.Errorf("%d timers fired, want %d", fired[0], fired[1])
	}
	if g, w := later[0], later[1]; g != w {
		at := 0
		for at < min(len(g), len(w)) && g[at] == w[at] {
			at++
		}
		at = max(0, at-300)
		t.Fatalf("later: got\n%.600s\nwant\n%.600s", g[at:], w[at:])
	}
}

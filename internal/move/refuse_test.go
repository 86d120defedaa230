package move_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/move"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/sqlite"
	"github.com/psivisionhub/psi-router/internal/store/pgstore"
	"github.com/psivisionhub/psi-router/internal/store/sqlitestore"
	"github.com/psivisionhub/psi-router/internal/store/transfer"
)

// installation creates the files of a used installation.
func installation(t *testing.T, seed uint64) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "store.db")
	s := files(t, path, "a")
	born(t, s, seed, time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)).day(20)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func undo(t *testing.T, path string) {
	t.Helper()
	s := source(t, path)
	defer s.Close()
	if was, err := move.Undo(t.Context(), s); err != nil || was == transfer.NotMoved {
		t.Fatalf("undo: was %v, %v", was, err)
	}
}

// TestStoreRefuses: nothing is moved where it would be wrong, and the error says what to
// do.
func TestStoreRefuses(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	ctx := t.Context()
	refused := func(path string, to *pgstore.Target, say string) {
		t.Helper()
		if _, err := once(t, ctx, path, to, nil); !errors.Is(err, move.ErrRefused) || !strings.Contains(err.Error(), say) {
			t.Errorf("got %v, want a refusal that says %q", err, say)
		}
	}

	// A router is running on the files.
	mine := installation(t, 1)
	running := files(t, mine, "x")
	if _, err := sqlitestore.OpenSource(ctx, mine, nil); !errors.Is(err, sqlite.ErrLocked) {
		t.Errorf("a running router: got %v, want ErrLocked", err)
	}
	if err := running.Close(); err != nil {
		t.Fatal(err)
	}

	// The database is in use by others.
	url := server.URL(server.Database(t))
	used := database(t, url, "u")
	born(t, used, 2, time.Now()).day(1)
	refused(mine, target(t, url), "another installation's data")
	owned := server.URL(server.Database(t))
	owner, err := database(t, owned, "o").Own(ctx, "process 7")
	if err != nil {
		t.Fatal(err)
	}
	refused(mine, target(t, owned), "in use by process 7")
	if err := owner.Close(); err != nil {
		t.Fatal(err)
	}

	// A dry run changes nothing.
	url = server.URL(server.Database(t))
	to := target(t, url)
	from := source(t, mine)
	r, err := move.Store(ctx, move.StoreOptions{Source: from, Target: to, DryRun: true})
	if total, moved := r.Totals(); err != nil || total == 0 || moved != 0 || !r.DryRun {
		t.Errorf("dry run: got %+v, %v", r, err)
	}
	if st, err := to.State(ctx); err != nil || st != (transfer.TargetState{}) {
		t.Errorf("after a dry run: got %+v, %v", st, err)
	}
	if d, name, err := from.MoveState(ctx); d != transfer.NotMoved || name != "" || err != nil {
		t.Errorf("after a dry run: got %v %q %v", d, name, err)
	}
	if err := from.Close(); err != nil {
		t.Fatal(err)
	}

	// A move is interrupted, the files are used again, and the move starts over.
	half, kill := context.WithCancel(ctx)
	tables := 0
	_, err = once(t, half, mine, to, func(p move.Part, _ bool) {
		if tables++; p.Name == "messages" {
			kill()
		}
	})
	kill()
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want it cancelled", err)
	}
	refused(installation(t, 3), to, "another installation")
	undo(t, mine)
	s := files(t, mine, "later")
	l := born(t, s, 4, time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	l.n = 1000
	l.day(20)
	before := l.everything()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err := once(t, ctx, mine, to, nil); err != nil || r.Resumed {
		t.Fatalf("anew: got %+v, %v", r, err)
	}
	l.s = database(t, url, "there")
	if got := l.everything(); !cmp.Equal(got, before, same) {
		t.Errorf("moved anew (-got +want):\n%s", cmp.Diff(got, before, same))
	}

	// The files were used since: the copy is no longer the same.
	undo(t, mine)
	refused(mine, to, "DROP SCHEMA psi_router CASCADE")
	elsewhere := target(t, server.URL(server.Database(t)))
	if _, err := once(t, ctx, mine, elsewhere, nil); err != nil {
		t.Errorf("to another database: %v", err)
	}
	refused(mine, target(t, server.URL(server.Database(t))), "--undo")
}

// thief loses or changes a row on its way.
type thief struct {
	*pgstore.Target
	spoil func([]transfer.Row) []transfer.Row
}

func (t thief) Import(ctx context.Context, table transfer.Table, after string, rows []transfer.Row) error {
	if table.Name == "messages" {
		rows = t.spoil(rows)
	}
	return t.Target.Import(ctx, table, after, rows)
}

// TestStoreCompares: a row that was lost or changed is found.
func TestStoreCompares(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	for name, spoil := range map[string]func([]transfer.Row) []transfer.Row{
		"lost": func(rows []transfer.Row) []transfer.Row { return append(rows[:1:1], rows[2:]...) },
		"changed": func(rows []transfer.Row) []transfer.Row {
			rows[3][6] = "something else"
			return rows
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := server.URL(server.Database(t))
			from := source(t, installation(t, 5))
			defer from.Close()
			_, err := move.Store(t.Context(), move.StoreOptions{Source: from, Target: thief{target(t, url), spoil}})
			if err == nil || !strings.Contains(err.Error(), "messages") || !strings.Contains(err.Error(), "--undo") {
				t.Errorf("got %v, want it found", err)
			}
			if _, err := pgstore.Open(t.Context(), pgstore.Options{URL: url}); !errors.Is(err, transfer.ErrMoving) {
				t.Errorf("open: got %v, want ErrMoving", err)
			}
		})
	}
}

package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/storetest"
)

func message(i int, text string, at time.Time) inbound.Arrival {
	return inbound.Arrival{
		Kind: inbound.Message, ID: fmt.Sprintf("wamid.%d", i), Line: "wsp4", LineRef: "200000000000002", Provider: "cloud",
		Person:     inbound.Person{Phone: fmt.Sprintf("54911%08d", i), UserID: fmt.Sprintf("AR.%d", i)},
		SentAt:     at,
		ReceivedAt: at, Raw: []byte(`{"text":"` + strings.Repeat("x", 300) + `"}`),
		Content: &inbound.Content{Type: "text", Text: text},
	}
}

// TestDiskFull: a batch without room is refused as a whole, and once there is room it is
// handled as if nothing had happened.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	o := options(filepath.Join(t.TempDir(), "store.db"), storetest.Settings(t))
	o.MaxPages = 150
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	full := -1
	batch := func(b int) []inbound.Arrival {
		var list []inbound.Arrival
		for i := range 20 {
			list = append(list, message(b*20+i, "11", now))
		}
		return list
	}
	for b := 0; full < 0; b++ {
		results, err := s.Turn(t.Context(), now, batch(b))
		switch {
		case errors.Is(err, store.ErrUnavailable):
			if results != nil {
				t.Errorf("got results %v with an error", results)
			}
			full = b
		case err != nil || b > 100:
			t.Fatalf("batch %d: %v", b, err)
		}
	}
	if full == 0 {
		t.Fatal("the first batch should have found room")
	}
	for i := range 20 {
		if _, err := s.Trace(t.Context(), fmt.Sprintf("wamid.%d", full*20+i)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("message %d of the refused batch: got %v", i, err)
		}
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("reading needs no room: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	o.MaxPages = 0
	if s, err = Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	results, err := s.Turn(t.Context(), now, batch(full))
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Conversation(t.Context(), results[0].Conversation)
	if want := fmt.Sprintf("PSI-2026-%06d", full*20+1); err != nil || c.Ticket != want || results[0].Duplicate {
		t.Errorf("got ticket %s, %v, want %s: the refused batch left nothing", c.Ticket, err, want)
	}
}

// TestCrash: a copy of the files, taken during writes, opens and has everything that was
// answered before the copy began.
func TestCrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := options(filepath.Join(dir, "store.db"), storetest.Settings(t))
	o.Relaxed = false
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for round := range 5 {
		for i := range 10 {
			n := round*10 + i
			if _, err := s.Turn(t.Context(), now, []inbound.Arrival{message(n, "11", now)}); err != nil {
				t.Fatal(err)
			}
		}
		crashed := filepath.Join(t.TempDir(), "store.db")
		for _, ext := range []string{"", "-wal"} { // the process dies here
			copyFile(t, o.Path+ext, crashed+ext)
		}
		after, err := Open(t.Context(), options(crashed, storetest.Settings(t)))
		if err != nil {
			t.Fatal(err)
		}
		for n := range (round + 1) * 10 {
			got, err := after.Turn(t.Context(), now, []inbound.Arrival{message(n, "11", now)})
			if err != nil || !got[0].Duplicate || got[0].Wake == nil {
				t.Fatalf("round %d, message %d: got %+v, %v", round, n, got, err)
			}
		}
		after.Close()
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	o := options(filepath.Join(t.TempDir(), "store.db"), storetest.Settings(t))
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), o); err == nil {
		t.Error("two owners of one file")
	}
	s.Close()
	db, err := sql.Open("sqlite", o.Path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)`); err != nil {
		t.Fatal(err)
	}
	db.Close()
	if _, err := Open(t.Context(), o); !errors.Is(err, store.ErrNewer) {
		t.Errorf("got %v, want %v", err, store.ErrNewer)
	}
}

func TestClosedIsUnavailable(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), options(filepath.Join(t.TempDir(), "store.db"), storetest.Settings(t)))
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	now := time.Now()
	for name, call := range map[string]func() error{
		"turn": func() error {
			_, err := s.Turn(t.Context(), now, []inbound.Arrival{message(1, "hola", now)})
			return err
		},
		"pump":  func() error { _, err := s.Pump(t.Context(), now); return err },
		"ping":  func() error { return s.Ping(t.Context()) },
		"claim": func() error { _, err := s.ClaimSends(t.Context(), now, "t", []string{"x"}); return err },
	} {
		if err := call(); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Ping(ctx); err == nil {
		t.Error("got nil")
	}
}

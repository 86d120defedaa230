package pgstore

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/methodtest"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/storetest"
)

// lazy opens the store like a process that starts without it.
func lazy(t *testing.T, url string, change func(*Options)) *Store {
	t.Helper()
	o := options(url, storetest.Settings(t))
	o.Lazy = true
	if change != nil {
		change(&o)
	}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// refusesEverything wants every method to return unavailable, with the cause.
func refusesEverything(t *testing.T, s *Store, why error) {
	t.Helper()
	for name, err := range methodtest.Errors[store.Store](t, s, "Close") {
		if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, why) {
			t.Errorf("%s: got %v, want ErrUnavailable for %v", name, err, why)
		}
	}
	if s.Stale() {
		t.Error("it says that it is of the past")
	}
}

// TestNothingBeforeReady: every call of a store that is not ready returns unavailable, even
// if the server is there.
func TestNothingBeforeReady(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t, pgtest.Options{Settings: []string{"shared_buffers=16MB"}})
	s := lazy(t, server.URL(server.Database(t)), nil)
	refusesEverything(t, s, store.ErrUnavailable)
	server.Stop()
	for range 2 {
		if err := s.Ready(t.Context()); !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("without a server: got %v, want ErrUnavailable", err)
		}
		refusesEverything(t, s, store.ErrUnavailable)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	turn(t, s, says(somebody(1), "a", "hola"))
}

// TestWrongURLIsTold: also by a Lazy store, which can be closed.
func TestWrongURLIsTold(t *testing.T) {
	t.Parallel()
	s := lazy(t, "postgres://%zz", nil)
	for range 2 {
		if err := s.Ready(t.Context()); err == nil || errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "database_url") {
			t.Errorf("got %v, want a word about database_url", err)
		}
		refusesEverything(t, s, store.ErrUnavailable)
	}
}

// TestReadyUpgradesTheSecondTime, so that the webhook can open before.
func TestReadyUpgradesTheSecondTime(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	url := server.URL(server.Database(t))
	formerTables(t, url).Close()
	s := lazy(t, url, nil)
	if err := s.Ready(t.Context()); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "up to date") {
		t.Fatalf("got %v, want what it waits for", err)
	}
	refusesEverything(t, s, store.ErrUnavailable)
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	turn(t, s, says(somebody(1), "a", "hola"))
}

// TestReadyTakesTheDatabase for one process alone, and Close releases it.
func TestReadyTakesTheDatabase(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	url := server.URL(server.Borrow(t))
	held := func(o *Options) { o.Holder = "somebody" }
	// A process that cannot compare the database releases it, and does not even read.
	lost := lazy(t, url, func(o *Options) { o.Holder, o.Notes = "somebody", &unreachable{safeNotes: NewNotes()} })
	if err := lost.Ready(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("without notes: got %v, want ErrUnavailable", err)
	}
	refusesEverything(t, lost, store.ErrUnavailable)
	one, two := lazy(t, url, held), lazy(t, url, held)
	if err := one.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- one.Run(ctx) }() // it renews
	if err := two.Ready(t.Context()); !errors.Is(err, ErrOwned) || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want ErrOwned", err)
	}
	refusesEverything(t, two, ErrOwned)
	stop()
	if err := errors.Join(<-ended, one.Close()); err != nil {
		t.Error(err)
	}
	if err := two.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	turn(t, two, says(somebody(1), "a", "hola"))
}

type safeNotes interface{ Notes }

// unreachable are notes that cannot be reached at first.
type unreachable struct {
	safeNotes
	there bool
}

func (n *unreachable) Note(ctx context.Context, name, text, other string) (string, error) {
	if !n.there {
		return "", errors.New("away")
	}
	return n.safeNotes.Note(ctx, name, text, other)
}

// TestReadyCompares: a database that cannot be compared, or lacks rows, can be read and not
// written to; another database can be neither.
func TestReadyCompares(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	name := server.Database(t)
	notes := &unreachable{safeNotes: NewNotes(), there: true}
	noted := func(o *Options) { o.Notes = notes }
	reads := func(s *Store, wrong error) {
		t.Helper()
		if _, err := s.Conversations(t.Context(), store.Filter{Limit: 1}); err != nil {
			t.Errorf("read: %v", err)
		}
		_, err := s.Turn(t.Context(), noon(), []inbound.Arrival{says(somebody(1), "b", "1")})
		if !errors.Is(err, wrong) || !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("write: got %v, want ErrUnavailable for %v", err, wrong)
		}
	}
	s := lazy(t, server.URL(name), noted)
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	turn(t, s, says(somebody(1), "a", "hola"))
	if err := s.publishProgress(t.Context()); err != nil {
		t.Fatal(err)
	}

	notes.there = false
	s = lazy(t, server.URL(name), noted)
	if err := s.Ready(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("without notes: got %v, want ErrUnavailable", err)
	}
	reads(s, store.ErrUnavailable)
	notes.there = true
	if err := s.Ready(t.Context()); err != nil {
		t.Error(err)
	}

	server.Exec(t, name, `UPDATE psi_router.installation SET id = 'x' || id`)
	s = lazy(t, server.URL(name), noted)
	if err := s.Ready(t.Context()); !errors.Is(err, store.ErrWrongStore) {
		t.Errorf("got %v, want ErrAnotherStore", err)
	}
	refusesEverything(t, s, store.ErrWrongStore)
	server.Exec(t, name, `UPDATE psi_router.installation SET id = substr(id, 2)`)
	if err := s.Ready(t.Context()); err != nil {
		t.Error(err)
	}

	server.Exec(t, name, `DELETE FROM psi_router.witnesses`)
	s = lazy(t, server.URL(name), noted)
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("somebody mends it, beside those who wait: %v", err)
	}
	reads(s, store.ErrBackInTime)
	if !s.Stale() {
		t.Error("what is read is not marked as of the past")
	}
	o := options(server.URL(name), storetest.Settings(t))
	o.Notes = notes
	operator, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer operator.Close()
	if err := operator.Ready(t.Context()); !errors.Is(err, store.ErrBackInTime) {
		t.Errorf("who does not wait: got %v, want ErrBackInTime", err)
	}
}

package pgstore

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/store"
)

// TestOwner: one process at a time, through a pooler that gives every transaction
// another connection.
func TestOwner(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	url := server.Bouncer(t, "default_pool_size=3").URL(server.Borrow(t))
	const lease = 1500 * time.Millisecond
	turn := func(s *Store) error {
		a := inbound.Arrival{
			Kind: inbound.Message, ID: "in-1", Line: "wsp4", LineRef: "1", Provider: "cloud", Person: inbound.Person{Phone: "5491100000001"},
			SentAt: time.Now(), ReceivedAt: time.Now(), Content: &inbound.Content{Type: "text", Text: "hola"},
		}
		_, err := s.Turn(t.Context(), time.Now(), []inbound.Arrival{a})
		return err
	}
	one, two := process(t, url), process(t, url)
	first, err := one.acquire(t.Context(), "one", lease)
	if err != nil {
		t.Fatal(err)
	}
	ctx, kill := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- first.Run(ctx) }()

	if _, err := two.acquire(t.Context(), "two", lease); !errors.Is(err, ErrOwned) || !strings.Contains(err.Error(), "one") || !strings.Contains(err.Error(), "redis_url") {
		t.Errorf("got %v, want ErrOwned with the holder and the cure", err)
	}
	if err := turn(one); err != nil {
		t.Errorf("the owner writes: %v", err)
	}
	// It stops renewing, as if killed: its lease is awaited.
	kill()
	if err := <-ended; err != nil {
		t.Errorf("stopped: %v", err)
	}
	second, err := two.acquire(t.Context(), "two", lease)
	if err != nil {
		t.Fatalf("after the end of the lease: %v", err)
	}
	// A former owner that was only asleep must not write, and gets an error.
	if err := turn(one); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, errTakenOver) {
		t.Errorf("a former owner writes: got %v, want a refusal", err)
	}
	if _, err := one.Pump(t.Context(), time.Now()); !errors.Is(err, errTakenOver) {
		t.Errorf("a former owner pumps: got %v, want a refusal", err)
	}
	if err := first.Run(t.Context()); !errors.Is(err, errTakenOver) {
		t.Errorf("a former owner goes on: got %v, want an end", err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if err := turn(two); err != nil {
		t.Errorf("the new owner writes: %v", err)
	}
	// Close lets the next one in at once.
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := one.acquire(t.Context(), "one", time.Hour); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("took %v", took)
	}
	if err := turn(one); err != nil {
		t.Errorf("the third owner writes: %v", err)
	}
}

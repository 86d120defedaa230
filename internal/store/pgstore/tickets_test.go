package pgstore

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/store"
)

// ticket hands a person in the menu off, and returns the ticket.
func ticket(t *testing.T, s *Store, i int, id string) string {
	t.Helper()
	got := turn(t, s, says(somebody(i), id+"1", "1"), says(somebody(i), id+"2", "11"))
	conversation, err := s.Conversation(t.Context(), got[1].Conversation)
	if err != nil {
		t.Fatal(err)
	}
	return conversation.Ticket
}

// decided runs a turn of one arrival, and calls then once its ticket has a number: its
// result is the turn's.
func decided(t *testing.T, s *Store, a inbound.Arrival, then func() error) error {
	t.Helper()
	locks, _ := s.turnLocks([]inbound.Arrival{a})
	return s.write(t.Context(), locks, noon(), func(tx *txState) error {
		tx.unit.Turn(&a)
		if tx.ticketIDs.n > 0 {
			return then()
		}
		return nil
	})
}

// TestHandOffsDoNotWaitForOneAnother: an uncommitted turn with a ticket number delays no
// other's number.
func TestHandOffsDoNotWaitForOneAnother(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	url := server.URL(server.Borrow(t))
	s, neighbour := process(t, url), process(t, url)
	turn(t, s, says(somebody(1), "a0", "hola"), says(somebody(2), "b0", "hola"), says(somebody(3), "c0", "hola"))
	turn(t, s, says(somebody(1), "a1", "1"))
	var got []string
	err := decided(t, s, says(somebody(1), "a2", "11"), func() error {
		got = append(got, ticket(t, s, 2, "b"), ticket(t, neighbour, 3, "c"))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, []string{"PSI-2026-000002", "PSI-2026-000003"}); diff != "" {
		t.Errorf("beside the first (-got +want):\n%s", diff)
	}
}

// TestNumbersOfWhatCameToNothing are given to the next ticket, unless their outcome is
// unknown.
func TestNumbersOfWhatCameToNothing(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	s := process(t, server.URL(server.Borrow(t)))
	turn(t, s, says(somebody(1), "a0", "hola"), says(somebody(2), "b0", "hola"), says(somebody(1), "a1", "1"))
	stop := errors.New("stop")
	if err := decided(t, s, says(somebody(1), "a2", "11"), func() error { return stop }); !errors.Is(err, stop) {
		t.Fatalf("got %v", err)
	}
	if got := ticket(t, s, 2, "b"); got != "PSI-2026-000001" {
		t.Errorf("got %s, want the number that came to nothing", got)
	}
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("connection reset"), false},
		{store.ErrUnavailable, false},
		{&pgconn.PgError{Code: "57P01"}, false}, // an operator stopped the server, perhaps in the commit
		{&pgconn.PgError{Code: deadlock}, true},
		{&pgconn.PgError{Code: uniqueViolation}, true},
		{&pgconn.PgError{Code: lockNotAvailable}, true},
	} {
		if isRolledBack(tt.err) != tt.want {
			t.Errorf("%v is undone: %t", tt.err, !tt.want)
		}
	}
}

func TestSpareTickets(t *testing.T) {
	t.Parallel()
	var spare tickets
	take := func(n int64, want ...idRange) {
		t.Helper()
		got, ok := spare.take("a", n)
		if ok != (len(want) == 1) || ok && got != want[0] {
			t.Errorf("%d numbers: got %v, %t; want %v", n, got, ok, want)
		}
	}
	take(1)
	spare.release("a", idRange{4, 2})
	spare.release("b", idRange{100, 9})
	spare.release("a", idRange{10, 5})
	take(3, idRange{10, 3})
	take(3)
	take(1, idRange{4, 1})
	take(2, idRange{13, 2})
	take(1, idRange{5, 1})
	take(1)
	spare.release("a", idRange{20, 1})
	spare.reset()
	take(1)
}

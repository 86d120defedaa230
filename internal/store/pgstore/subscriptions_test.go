package pgstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/store"
)

// TestEventsTogether: while three processes write, one reads events by position and two
// push them, by hints and by scans. The reader meets every position once, in order and
// without a gap, although commits overlap; the endpoint gets the same events, those of a
// conversation in order.
func TestEventsTogether(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	name := server.Borrow(t)
	url := server.URL(name)
	first := process(t, url)
	if err := first.RegisterEndpoint(t.Context(), noon(), "crm"); err != nil {
		t.Fatal(err)
	}
	const writers, turns, people = 3, 30, 10
	hints := make(chan string, 1000)
	var writing, working sync.WaitGroup
	done := make(chan struct{})
	ended := func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
	for w := range writers {
		s := process(t, url)
		s.set.OnEvents = func(events []store.Event) {
			for _, e := range events {
				select {
				case hints <- e.Conversation:
				default:
				}
			}
		}
		writing.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 5))
			for k := range turns {
				batch := make([]inbound.Arrival, 1+r.IntN(8))
				for i := range batch {
					batch[i] = says(somebody(r.IntN(people)), fmt.Sprintf("%d.%d.%d", w, k, i), []string{"hola", "1", "11", "menu"}[r.IntN(4)])
				}
				if _, err := s.Turn(t.Context(), noon(), batch); err != nil { // busy arrivals are left out
					t.Errorf("turn: %v", err)
				}
			}
		})
	}

	var read []store.Event
	working.Go(func() {
		s := process(t, url)
		for pos := int64(0); ; {
			last := ended()
			list, err := s.Events(t.Context(), pos, 50)
			if err != nil {
				t.Errorf("events: %v", err)
				return
			}
			for _, e := range list {
				if pos++; e.Pos != pos {
					t.Errorf("position %d comes after %d", e.Pos, pos-1)
					return
				}
			}
			read = append(read, list...)
			if last && len(list) == 0 {
				return
			}
		}
	})
	taken := map[string][]int64{}
	var mu sync.Mutex
	for range 2 {
		s := process(t, url)
		push := func(ids []string) bool {
			list, err := s.PendingEvents(t.Context(), "crm", ids, 5)
			if err != nil {
				t.Errorf("unpushed: %v", err)
				return false
			}
			var cursors []store.Cursor
			mu.Lock()
			for _, e := range list {
				if e.Pos == 0 {
					break
				}
				if !slices.Contains(taken[e.Conversation], e.Seq) { // the other pusher may have taken it too
					taken[e.Conversation] = append(taken[e.Conversation], e.Seq)
				}
				cursors = append(cursors, store.Cursor{Conversation: e.Conversation, Seq: e.Seq})
			}
			mu.Unlock()
			if err := s.AdvanceCursors(t.Context(), "crm", cursors); err != nil {
				t.Errorf("pushed: %v", err)
			}
			return len(cursors) > 0
		}
		working.Go(func() {
			for {
				last := ended()
				var ids []string
				for more := true; more && len(ids) < 20; {
					select {
					case id := <-hints:
						ids = append(ids, id)
					default:
						more = false
					}
				}
				busy := push(ids)
				noted, err := s.ScanBacklog(t.Context(), "crm", store.EventFilter{})
				if err != nil {
					t.Errorf("survey: %v", err)
					return
				}
				if _, err := s.PruneCursors(t.Context(), "crm", ""); err != nil {
					t.Errorf("trim: %v", err)
					return
				}
				behind, err := s.LaggingConversations(t.Context(), "crm", store.Lagging{}, time.Now().Add(time.Hour), 20)
				if err != nil {
					t.Errorf("behind: %v", err)
					return
				}
				ids = nil
				for _, b := range behind {
					ids = append(ids, b.Conversation)
				}
				if busy = push(ids) || busy; last && !busy && !noted.More && !noted.HeldElsewhere && len(behind) == 0 {
					return
				}
			}
		})
	}
	writing.Wait()
	for {
		p, err := first.Pump(t.Context(), noon())
		if err != nil {
			t.Fatal(err)
		}
		g, err := first.Gauges(t.Context(), noon())
		if err != nil {
			t.Fatal(err)
		}
		if p.Numbered == 0 && g.EventsUnnumbered == 0 {
			break
		}
	}
	close(done)
	working.Wait()

	want := map[string][]int64{}
	for _, e := range read {
		want[e.Conversation] = append(want[e.Conversation], e.Seq)
	}
	for id, list := range want {
		if !slices.IsSorted(list) || list[0] != 1 || list[len(list)-1] != int64(len(list)) {
			t.Errorf("%s was read as %v", id, list)
		}
	}
	if diff := cmp.Diff(taken, want); diff != "" {
		t.Errorf("taken (-got +want):\n%s", diff)
	}
	if len(read) < 200 {
		t.Errorf("only %d events", len(read))
	}
}

// TestScanMeetsCursor: an event of a lagging conversation is not noted by itself. A scan of
// such an event waits while the cursor moves up to the event before it, and then finds no
// lag.
func TestScanMeetsCursor(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	s := process(t, server.URL(server.Borrow(t)))
	ctx := t.Context()
	if err := s.RegisterEndpoint(ctx, noon(), "crm"); err != nil {
		t.Fatal(err)
	}
	survey := func() error {
		if _, err := s.Pump(ctx, noon()); err != nil {
			return err
		}
		_, err := s.ScanBacklog(ctx, "crm", store.EventFilter{})
		return err
	}
	turn(t, s, says(somebody(1), "a", "hola"))
	if err := survey(); err != nil {
		t.Fatal(err)
	}
	list, err := s.LaggingConversations(ctx, "crm", store.Lagging{}, noon().Add(time.Hour), 10)
	if err != nil || len(list) != 1 {
		t.Fatalf("got %v, %v; want one that is behind", list, err)
	}
	id := list[0].Conversation
	events, err := s.PendingEvents(ctx, "crm", []string{id}, 50)
	if err != nil {
		t.Fatal(err)
	}
	last := events[len(events)-1].Seq

	moving, err := s.pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer moving.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // it is committed by then
	b := &pgx.Batch{}
	queueAdvanceCursors(b, "crm", []store.Cursor{{Conversation: id, Seq: last}})
	if err := moving.SendBatch(ctx, b).Close(); err != nil {
		t.Fatal(err)
	}
	turn(t, s, says(somebody(1), "b", "1"))
	done := make(chan error, 1)
	go func() { done <- survey() }()
	for waits := 0; waits == 0; {
		const query = `SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
			WHERE d.datname = current_database() AND locktype = 'advisory' AND NOT granted`
		if err := s.pool.QueryRow(ctx, query).Scan(&waits); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			t.Fatalf("the survey did not wait for the cursor: %v", err)
		default:
		}
	}
	if err := moving.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	list, err = s.LaggingConversations(ctx, "crm", store.Lagging{}, noon().Add(time.Hour), 10)
	if err != nil || len(list) != 1 {
		t.Errorf("got %v, %v; want the conversation, for its new events", list, err)
	}
}

package pgstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/storetest"
)

// world is what people and programs have seen, which no database takes back.
type world struct {
	mu      sync.Mutex
	posts   map[string]int    // by message id
	pos     map[int64]string  // event ids by position
	seqs    map[string]string // event ids by conversation and sequence number
	tickets map[string]string // conversations
	twice   []string
}

func (w *world) posted(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.posts[id]++; w.posts[id] > 1 {
		w.twice = append(w.twice, "message "+id+" left twice")
	}
}

func (w *world) saw(e store.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if id, known := w.pos[e.Pos]; known && id != e.ID {
		w.twice = append(w.twice, fmt.Sprintf("position %d was given out twice", e.Pos))
	}
	seq := fmt.Sprint(e.Conversation, " ", e.Seq)
	if id, known := w.seqs[seq]; known && id != e.ID {
		w.twice = append(w.twice, "sequence number "+seq+" was given out twice")
	}
	w.pos[e.Pos], w.seqs[seq] = e.ID, e.ID
}

func (w *world) told(ticket, conversation string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c, known := w.tickets[ticket]; known && c != conversation {
		w.twice = append(w.twice, "ticket "+ticket+" was given to two people")
	}
	w.tickets[ticket] = conversation
}

// serve is a worker and a program that reads events, until ctx ends. It repeats calls that
// the store refuses.
func (w *world) serve(ctx context.Context, s *Store, worker int) {
	var after int64
	for n := 0; ctx.Err() == nil; n++ {
		p, name := somebody(1_000_000*(worker+1)+n), fmt.Sprint("w", worker, "-") // somebody new
		results, err := s.Turn(ctx, noon(), []inbound.Arrival{
			says(p, fmt.Sprint(name, n, "a"), "menu"), says(p, fmt.Sprint(name, n, "b"), "11"),
		})
		if err != nil || results[0].Busy || results[0].Conversation == "" {
			time.Sleep(20 * time.Millisecond) // the server is being replaced
			continue
		}
		id := results[0].Conversation
		token := fmt.Sprint(name, n)
		claims, err := s.ClaimSends(ctx, noon(), token, []string{id})
		if err == nil && len(claims) == 1 && !claims[0].Busy {
			w.posted(claims[0].Post.ID)
			_, _ = s.RecordSends(ctx, noon(), []store.SendResult{{
				Conversation: id, MessageID: claims[0].Post.ID, Token: token, Status: store.Sent, ProviderID: "wamid." + claims[0].Post.ID,
			}}) // a lost result leaves the message uncertain
		}
		if c, err := s.Conversation(ctx, id); err == nil && c.Ticket != "" {
			w.told(c.Ticket, id)
		}
		if _, err := s.Pump(ctx, noon()); err != nil {
			continue
		}
		events, err := s.Events(ctx, after, 200)
		if err != nil {
			continue
		}
		for _, e := range events {
			w.saw(e)
			after = e.Pos
		}
	}
}

// TestProofFailover: two workers under load fail over to a lagging standby, again and
// again. Nothing leaves twice, and no position, sequence number or ticket is given out
// twice.
func TestProofFailover(t *testing.T) {
	rounds, load := 1, time.Second
	if os.Getenv("PSI_PROOF") != "" {
		rounds, load = 10, 3*time.Second
	}
	for round := range rounds {
		server := pgtest.New(t, pgtest.Options{})
		name := server.Database(t)
		standby := server.Standby(t)
		url := server.EitherURL(standby.Postgres, name)
		notes := NewNotes()
		w := &world{posts: map[string]int{}, pos: map[int64]string{}, seqs: map[string]string{}, tickets: map[string]string{}}
		ctx, cancel := context.WithCancel(t.Context())
		var working sync.WaitGroup
		stores := []*Store{shared(t, url, notes), shared(t, url, notes)}
		for i, s := range stores {
			working.Go(func() { w.serve(ctx, s, i) })
		}
		pass(load)
		standby.Exec(t, name, `ALTER SYSTEM SET primary_conninfo = ''`, `SELECT pg_reload_conf()`)
		none(t, standby, "pg_stat_wal_receiver")
		before := w.count()
		pass(load) // this is lost
		lost := w.count() - before
		server.Kill()
		standby.Exec(t, "postgres", `SELECT pg_promote()`)
		noticed := w.count()
		for _, s := range stores {
			if _, err := retry(t, func() (int, error) { return 0, s.AddAudit(ctx, store.AuditRow{Actor: "x", Action: "y", At: noon()}) }); !errors.Is(err, store.ErrBackInTime) {
				t.Errorf("got %v, want ErrBackInTime", err)
			}
		}
		if n := w.count(); n != noticed {
			t.Errorf("%d messages left after the failover, before anybody was told", n-noticed)
		}
		o := options(url, storetest.Settings(t))
		o.Notes = notes
		operator, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		doubtful, err := operator.AfterRestore(t.Context(), noon())
		operator.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range stores {
			if err := s.Verify(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		again := w.count()
		pass(load)
		cancel()
		working.Wait()
		if lost == 0 || w.count() == again {
			t.Errorf("nothing was shown: %d messages left in the lost time, %d after it", lost, w.count()-again)
		}
		if len(w.twice) > 0 {
			t.Errorf("round %d: %d things happened twice, the first: %s", round, len(w.twice), w.twice[0])
		}
		t.Logf("round %d: %d messages left in the lost time, %d are uncertain, %d left afterwards; %d events, %d tickets seen",
			round, lost, doubtful, w.count()-again, len(w.pos), len(w.tickets))
	}
}

// pass is a time under load.
func pass(d time.Duration) { time.Sleep(d) }

func (w *world) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.posts)
}

package worker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/flows"
	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/sqlitequeue"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlitestore"
	"github.com/psivisionhub/psi-router/internal/worker"
)

// engines opens the real ones in a directory of the test's.
func engines(t testing.TB) (*sqlitequeue.Engine, *sqlitestore.Store) {
	t.Helper()
	src, err := flows.FS.ReadFile("psi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f, err := flow.Parse("psi.yaml", src)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	q, err := sqlitequeue.Open(t.Context(), sqlitequeue.Options{Path: filepath.Join(dir, "queue.db")})
	if err != nil {
		t.Fatal(err)
	}
	s, err := sqlitestore.Open(t.Context(), sqlitestore.Options{
		Path: filepath.Join(dir, "store.db"), Rules: router.Rules{Flow: f, Window: 24 * time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return q, s
}

// backlog enqueues n messages of the given number of people, in turn.
func backlog(t testing.TB, q queue.Queue, n, people int) {
	t.Helper()
	var jobs []queue.Job
	for i := range n {
		a := text(fmt.Sprintf("wamid.%d", i), fmt.Sprintf("5491155%06d", i%people), time.Now())
		a.SentAt, a.Content.Text = a.ReceivedAt, []string{"hola", "1", "11", "gracias"}[(i/people)%4]
		body, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		name, lane := a.Route()
		jobs = append(jobs, queue.Job{Queue: name, Lane: lane, ID: a.Key(), Body: body})
		if len(jobs) == 1000 || i == n-1 {
			if _, err := q.Enqueue(t.Context(), jobs); err != nil {
				t.Fatal(err)
			}
			jobs = jobs[:0]
		}
	}
}

// counted stops the runner after so many decisions.
type counted struct {
	left atomic.Int64
	stop func()
}

func (c *counted) Turn(int, time.Duration) {}

func (c *counted) Decision(string, string, int) {
	if c.left.Add(-1) == 0 {
		c.stop()
	}
}

func work(t testing.TB, q *sqlitequeue.Engine, s *sqlitestore.Store, n, slots int) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	c := &counted{stop: stop}
	c.left.Store(int64(n))
	w := worker.New(worker.Options{Store: s, Queue: q, Meter: c})
	r := queue.NewRunner(queue.RunnerOptions{Queue: q, Name: inbound.QueueInbound, Handler: w.Inbound(), Slots: slots, Batch: 100})
	if err := r.Run(ctx); err != nil {
		t.Error(err)
	}
}

// TestTurnsOverRealEngines: four turns at once on one store keep each
// conversation in order.
func TestTurnsOverRealEngines(t *testing.T) {
	t.Parallel()
	const people, each = 50, 4
	q, s := engines(t)
	backlog(t, q, people*each, people)
	work(t, q, s, people*each, 4)
	talks, err := s.Conversations(t.Context(), store.Filter{Limit: 200})
	if err != nil || len(talks) != people {
		t.Fatalf("%d conversations, want %d (%v)", len(talks), people, err)
	}
	tickets := map[string]bool{}
	for _, talk := range talks {
		if talk.State != router.StateHandedOff || talk.Ticket == "" || tickets[talk.Ticket] {
			t.Errorf("ended %s with ticket %q", talk.State, talk.Ticket)
		}
		tickets[talk.Ticket] = true
	}
}

// BenchmarkBacklog carries messages through the whole turn, every batch synced
// to the disk.
func BenchmarkBacklog(b *testing.B) {
	for _, slots := range []int{1, 4} {
		b.Run(fmt.Sprint("turns=", slots), func(b *testing.B) {
			q, s := engines(b)
			backlog(b, q, b.N, max(100, b.N/4))
			b.ResetTimer()
			work(b, q, s, b.N, slots)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

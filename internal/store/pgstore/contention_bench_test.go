package pgstore

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/store/storetest"
)

// BenchmarkContendedTurn is the cost of a turn of 50 people when other transactions lock
// some of their contacts: briefly, as claims and results do, or for as long as a process
// hangs. Busy results are counted apart. See decision 0024.
func BenchmarkContendedTurn(b *testing.B) {
	server := pgtest.New(b, pgtest.Options{Durable: true})
	for _, c := range []struct {
		name    string
		lockers int
		hold    time.Duration
	}{{"free", 0, 0}, {"brief", 4, 20 * time.Millisecond}, {"hanging", 2, time.Hour}} {
		b.Run(c.name, func(b *testing.B) { benchContention(b, server.URL(server.Database(b)), c.lockers, c.hold) })
	}
}

func benchContention(b *testing.B, url string, lockers int, hold time.Duration) {
	const people, size = 500, 50
	s, err := Open(b.Context(), options(url, storetest.Settings(b)))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	sent := 0
	batch := func() []inbound.Arrival {
		out := make([]inbound.Arrival, size)
		for i := range out {
			out[i] = says(somebody(sent%people), fmt.Sprint("m", sent), "hola")
			sent++
		}
		return out
	}
	for range people / size {
		if _, err := s.Turn(b.Context(), noon(), batch()); err != nil {
			b.Fatal(err)
		}
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(stop)
	for i := range lockers {
		c, err := pgx.Connect(b.Context(), url)
		if err != nil {
			b.Fatal(err)
		}
		locked := make(chan struct{})
		wg.Go(func() {
			defer c.Close(b.Context())
			for n := 0; ; n++ {
				who := somebody(i)
				if hold < time.Second {
					who = somebody(rand.IntN(people)) //nolint:gosec // any person will do
				}
				_, err := c.Exec(b.Context(), fmt.Sprintf(`BEGIN; SELECT FROM psi_router.contacts WHERE user_id = '%s' FOR UPDATE`, who.UserID))
				if err != nil {
					b.Error(err)
				}
				if n == 0 {
					close(locked)
				}
				select {
				case <-stop:
				case <-time.After(hold):
				}
				_, _ = c.Exec(b.Context(), `COMMIT`)
				select {
				case <-stop:
					return
				default:
				}
			}
		})
		<-locked
	}
	var took []time.Duration
	busy := 0
	b.ResetTimer()
	for range b.N {
		begun := time.Now()
		results, err := s.Turn(b.Context(), noon(), batch())
		if err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begun))
		for _, r := range results {
			if r.Busy {
				busy++
			}
		}
	}
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(busy)/float64(b.N), "busy/op")
	b.ReportMetric(float64(b.N*size-busy)/b.Elapsed().Seconds(), "messages/s")
}

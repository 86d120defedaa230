package pgstore

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/store/storetest"
)

// BenchmarkTurn is the workers' daily work: four turns at once, batches of 100 messages
// from 10,000 people, each of whom sees the menu, chooses, is handed off and continues. The
// server syncs, as a real one does.
func BenchmarkTurn(b *testing.B) {
	server := pgtest.New(b, pgtest.Options{Durable: true})
	b.Run("direct", func(b *testing.B) { benchTurns(b, server.URL(server.Database(b))) })
	b.Run("pooled", func(b *testing.B) { benchTurns(b, server.Bouncer(b).URL(server.Database(b))) })
}

func benchTurns(b *testing.B, url string) {
	const people, size, writers = 10_000, 100, 4
	o := options(url, storetest.Settings(b))
	o.MaxConns = writers + 1
	s, err := Open(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	script := []string{"hola", "1", "qué?", "11", "gracias", "¿hay alguien?", "chau"}
	noon := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	// Each writer has people of its own, as with lanes.
	batch := func(writer, n int) []inbound.Arrival {
		const own = people / writers
		now := noon.Add(time.Duration(n) * 10 * time.Millisecond)
		out := make([]inbound.Arrival, size)
		for i := range out {
			k := n*size + i
			who := writer*own + (k*7919)%own
			id := fmt.Sprintf("wamid.HBgNNTQ5MTE%08dFQIAEhgUM0VCMEFC%d%012d", who, writer, k)
			text := script[(k/own)%len(script)]
			raw, _ := json.Marshal(map[string]any{
				"from": fmt.Sprintf("54911%08d", who), "from_user_id": fmt.Sprintf("AR.1000000000%06d", who), "id": id,
				"timestamp": fmt.Sprint(now.Unix()), "type": "text", "text": map[string]string{"body": text},
			})
			out[i] = inbound.Arrival{
				Kind: inbound.Message, ID: id, Line: "wsp4", LineRef: "200000000000002", Provider: "cloud", Shape: "envelope",
				Person: inbound.Person{
					Phone: fmt.Sprintf("54911%08d", who), UserID: fmt.Sprintf("AR.1000000000%06d", who), Name: "Persona Prueba",
				},
				SentAt: now.Truncate(time.Second), ReceivedAt: now, Raw: raw,
				Content: &inbound.Content{Type: "text", Text: text},
			}
		}
		return out
	}
	var next [writers]int
	run := func(turns int) {
		var left atomic.Int64
		left.Store(int64(turns))
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for left.Add(-1) >= 0 {
					n := next[w]
					next[w]++
					results, err := s.Turn(b.Context(), noon.Add(time.Duration(n)*10*time.Millisecond), batch(w, n))
					if err != nil {
						b.Error(err)
						return
					}
					for i, r := range results {
						if r.Busy || r.Duplicate {
							b.Errorf("turn %d of writer %d, arrival %d: got %+v", n, w, i, r)
							return
						}
					}
				}
			})
		}
		wg.Wait()
	}
	run(people / size)
	b.ResetTimer()
	run(b.N)
	b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "messages/s")
}

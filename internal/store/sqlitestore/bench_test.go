package sqlitestore

import (
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/store/storetest"
)

// BenchmarkTurn is the worker's daily work: batches of 100 messages from 10,000 people,
// each of whom sees the menu, chooses, is handed off and continues. Side by side is how a
// worker runs: four batches of different people at once.
func BenchmarkTurn(b *testing.B) {
	for name, workers := range map[string]int{"Alone": 1, "SideBySide": 4} {
		b.Run(name, func(b *testing.B) { benchmarkTurn(b, workers) })
	}
}

const (
	benchPeople = 10_000
	benchBatch  = 100
)

func benchmarkTurn(b *testing.B, workers int) {
	o := options(filepath.Join(b.TempDir(), "store.db"), storetest.Settings(b))
	o.Relaxed = false
	s, err := Open(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	round := func(n int) { // every worker handles one batch of its own people
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				at := now.Add(time.Duration(n) * 10 * time.Millisecond)
				if _, err := s.Turn(b.Context(), at, benchArrivals(n, w, workers, at)); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
	}
	n := 0
	for ; n*workers*benchBatch < benchPeople; n++ {
		round(n)
	}
	first, cpu := n, cpuTime()
	for b.Loop() {
		round(n)
		n++
	}
	messages := float64((n - first) * workers * benchBatch)
	b.ReportMetric(messages/(cpuTime()-cpu).Seconds(), "messages/cpu-s")
	b.ReportMetric(messages/b.Elapsed().Seconds(), "messages/s")
}

// benchArrivals is the n-th batch of one of several workers.
func benchArrivals(n, worker, workers int, at time.Time) []inbound.Arrival {
	script := [...]string{"hola", "1", "qué?", "11", "gracias", "¿hay alguien?", "chau"}
	batch := make([]inbound.Arrival, benchBatch)
	for i := range batch {
		k := n*benchBatch + i
		per := benchPeople / workers
		contact := (k*7919)%per*workers + worker
		id := fmt.Sprintf("wamid.HBgNNTQ5MTE%08dFQIAEhgUM0VCMEFC%012d", contact, k)
		p := inbound.Person{
			Phone: fmt.Sprintf("54911%08d", contact), UserID: fmt.Sprintf("AR.1000000000%06d", contact), Name: "Persona Prueba",
		}
		text := script[k/per%len(script)]
		raw := fmt.Sprintf(`{"from":%q,"from_user_id":%q,"id":%q,"timestamp":"%d","type":"text","text":{"body":%q}}`,
			p.Phone, p.UserID, id, at.Unix(), text)
		batch[i] = inbound.Arrival{
			Kind: inbound.Message, ID: id, Line: "wsp4", LineRef: "200000000000002", Provider: "cloud", Shape: "envelope",
			Person: p, SentAt: at.Truncate(time.Second), ReceivedAt: at, Raw: []byte(raw),
			Content: &inbound.Content{Type: "text", Text: text},
		}
	}
	return batch
}

// cpuTime returns the CPU time of the process, which other load does not affect.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

package sqlitestore

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/store/storetest"
)

// BenchmarkTurn is what the worker does all day: batches of 100 messages from
// 10,000 people, each of whom sees the menu, chooses, is handed off and goes on.
func BenchmarkTurn(b *testing.B) {
	const people, size = 10_000, 100
	set := storetest.Settings(b)
	o := options(filepath.Join(b.TempDir(), "store.db"), set)
	o.Relaxed = false
	s, err := Open(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	script := []string{"hola", "1", "qué?", "11", "gracias", "¿hay alguien?", "chau"}
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	n := 0
	batch := make([]inbound.Arrival, size)
	turn := func() {
		now = now.Add(10 * time.Millisecond)
		for i := range batch {
			who := (n * 7919) % people
			id := fmt.Sprintf("wamid.HBgNNTQ5MTE%08dFQIAEhgUM0VCMEFC%012d", who, n)
			text := script[(n/people)%len(script)]
			raw, _ := json.Marshal(map[string]any{
				"from": fmt.Sprintf("54911%08d", who), "from_user_id": fmt.Sprintf("AR.1000000000%06d", who), "id": id,
				"timestamp": fmt.Sprint(now.Unix()), "type": "text", "text": map[string]string{"body": text},
			})
			batch[i] = inbound.Arrival{
				Kind: inbound.Message, ID: id, Line: "wsp4", LineRef: "200000000000002", Provider: "cloud", Shape: "envelope",
				Person: inbound.Person{
					Phone: fmt.Sprintf("54911%08d", who), UserID: fmt.Sprintf("AR.1000000000%06d", who), Name: "Persona Prueba",
				},
				SentAt: now.Truncate(time.Second), ReceivedAt: now, Raw: raw,
				Content: &inbound.Content{Type: "text", Text: text},
			}
			n++
		}
		if _, err := s.Turn(b.Context(), now, batch); err != nil {
			b.Fatal(err)
		}
	}
	for n < people {
		turn()
	}
	first, cpu := n, cpuTime()
	for b.Loop() {
		turn()
	}
	b.ReportMetric(float64(n-first)/(cpuTime()-cpu).Seconds(), "messages/cpu-s")
	n -= first
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "messages/s")
}

// cpuTime is what the process has used: a figure that neighbours do not spoil.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

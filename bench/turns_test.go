package bench

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/flows"
	"github.com/psivisionhub/psi-router/internal/cluster"
	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store/pgstore"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// BenchmarkTurns is the store's share of BenchmarkPlanStack: 20,000 messages from 5,000 new
// people who see the menu, choose, are handed off and write on, with concurrent turns. It
// measures the CPU time of both sides, which depends far less than a rate on the other load
// of the machine:
//
//	go test -run '^$' -bench '^BenchmarkTurns$' -benchtime 1x -count 3 ./bench
func BenchmarkTurns(b *testing.B) {
	const people = 5_000
	for _, c := range []struct{ writers, size int }{{4, 100}, {4, 400}, {8, 100}, {8, 400}} {
		b.Run(fmt.Sprintf("at-once=%d/batch=%d", c.writers, c.size), func(b *testing.B) {
			server := pgtest.New(b, pgtest.Options{Durable: true})
			m := &meter{}
			m.add("postgres", server.PID())
			for b.Loop() {
				s := openStore(b, server.URL(server.Database(b)))
				backlog := arrivals(people, 4)
				begin := time.Now()
				m.start()
				spent := ownCPU()
				turnAll(b, s, backlog, people, c.writers, c.size)
				m.report(b, len(backlog))
				b.ReportMetric(float64((ownCPU()-spent).Microseconds())/float64(len(backlog)), "store-us/msg")
				b.ReportMetric(float64(len(backlog))/time.Since(begin).Seconds(), "messages/s")
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func openStore(b *testing.B, url string) *pgstore.Store {
	b.Helper()
	text, err := flows.FS.ReadFile("psi.yaml")
	if err != nil {
		b.Fatal(err)
	}
	f, err := flow.Parse("psi.yaml", text)
	if err != nil {
		b.Fatal(err)
	}
	s, err := pgstore.Open(b.Context(), pgstore.Options{
		URL: url, MaxConns: 9,
		Settings: unit.Settings{
			Rules:   router.Rules{Flow: f, HandoffTimeout: 24 * time.Hour, Window: 24 * time.Hour},
			Country: "AR", StaleAfter: 10 * time.Minute,
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// arrivals returns the messages in the order of lanes: the first message of everybody, then
// the second, and so on.
func arrivals(people, each int) []inbound.Arrival {
	script := []string{"hola", "1", "11"}
	now := time.Now().Truncate(time.Second)
	all := make([]inbound.Arrival, 0, people*each)
	for n := range each {
		for who := range people {
			person := inbound.Person{
				Phone: fmt.Sprintf("54911%08d", who), UserID: fmt.Sprintf("AR.1000000000%08d", who), Name: "Persona de Pruéba 👋",
			}
			id, text := fmt.Sprintf("wamid.LGI00000000.%08x.%08x", who, n), script[n%len(script)]
			raw, _ := json.Marshal(map[string]any{ // maps of strings always marshal
				"from": person.Phone, "from_user_id": person.UserID, "id": id, "timestamp": strconv.FormatInt(now.Unix(), 10),
				"type": "text", "text": map[string]string{"body": text},
			})
			all = append(all, inbound.Arrival{
				Kind: inbound.Message, ID: id, Line: "wsp4", LineRef: cluster.PhoneNumberID, Provider: "cloud", Shape: "envelope",
				Person: person, SentAt: now, ReceivedAt: now.Add(time.Duration(len(all)) * time.Microsecond), Raw: raw,
				Content: &inbound.Content{Type: "text", Text: text},
			})
		}
	}
	return all
}

// turnAll handles the backlog in batches, by writers that each have their own people, as
// with lanes.
func turnAll(b *testing.B, s *pgstore.Store, backlog []inbound.Arrival, people, writers, size int) {
	b.Helper()
	own := make([][]inbound.Arrival, writers)
	for i := range backlog {
		w := i % people % writers
		own[w] = append(own[w], backlog[i])
	}
	var all sync.WaitGroup
	for _, mine := range own {
		all.Go(func() {
			for batch := range slices.Chunk(mine, size) {
				results, err := s.Turn(b.Context(), time.Now(), batch)
				if err != nil {
					b.Error(err)
					return
				}
				for i, r := range results {
					if r.Busy || r.Duplicate {
						b.Errorf("%s: got %+v", batch[i].ID, r)
					}
				}
			}
		})
	}
	all.Wait()
}

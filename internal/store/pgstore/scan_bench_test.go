package pgstore

import (
	"testing"

	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
	"github.com/psivisionhub/psi-router/internal/store/storetest"
)

// BenchmarkScanBacklog is the cost of an endpoint that takes nothing for long: the events
// of 20,000 conversations in all of which it lags.
func BenchmarkScanBacklog(b *testing.B) {
	const events, people = 100_000, 20_000
	server := pgtest.New(b, pgtest.Options{Durable: true})
	url := server.URL(server.Database(b))
	s, err := Open(b.Context(), options(url, storetest.Settings(b)))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	do := func(query string, args ...any) {
		b.Helper()
		if _, err := s.pool.Exec(b.Context(), query, args...); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.RegisterEndpoint(b.Context(), noon(), "crm"); err != nil {
		b.Fatal(err)
	}
	do(`INSERT INTO psi_router.batches (n, size, first_pos) SELECT n, 40, n * 40 + 1 FROM generate_series(0, $1::bigint / 40 - 1) n`, events)
	do(`INSERT INTO psi_router.events (batch, i, id, conversation, type, seq, created_at, data)
		SELECT k / 40, k % 40, 'evt_' || k, 'cnv_' || lpad((k * 7919 % $2)::text, 24, '0'), 'message.received', 1 + k / $2, now(), '{"conversation":{"line":"wsp4"}}'
		FROM generate_series(0, $1::bigint - 1) k`, events, people)
	do(`VACUUM ANALYZE`)
	survey := func() {
		done, err := s.ScanBacklog(b.Context(), "crm", store.EventFilter{})
		if err != nil || done.HeldElsewhere {
			b.Fatalf("got %+v, %v", done, err)
		}
		if !done.More {
			do(`UPDATE psi_router.endpoints SET walked = 0`)
		}
	}
	for range events/sqlrow.ScanSize + 1 {
		survey()
	}
	for b.Loop() {
		survey()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*sqlrow.ScanSize), "µs/event")
}

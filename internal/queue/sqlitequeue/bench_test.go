package sqlitequeue

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
)

var body = make([]byte, 600)

func benchEngine(b *testing.B) *Engine {
	b.Helper()
	e, err := Open(b.Context(), Options{Path: filepath.Join(b.TempDir(), "queue.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := e.Close(); err != nil {
			b.Error(err)
		}
	})
	return e
}

func number(n int64) queue.Job {
	id := fmt.Sprintf("wamid.HBgNNTQ5MTE1NTU1MTIzNBUCABIYIDNBQjEyMzQ1Njc4OTAx%08d", n)
	return queue.Job{Queue: "inbound", Lane: fmt.Sprintf("wsp4:54911%08d", n*7919%50000), ID: id, Body: body}
}

// report adds the CPU time per job over all cores; other work on the machine does not
// affect it.
func report(b *testing.B) func() {
	cpu := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu()
	return func() {
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
		b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-us/job")
	}
}

// BenchmarkEnqueue has callers that each add one job at a time, synced.
func BenchmarkEnqueue(b *testing.B) {
	for _, callers := range []int{1, 32, 256} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			e := benchEngine(b)
			var n atomic.Int64
			var wg sync.WaitGroup
			done := report(b)
			for range callers {
				wg.Go(func() {
					for {
						i := n.Add(1)
						if i > int64(b.N) {
							return
						}
						if _, err := e.Enqueue(context.Background(), []queue.Job{number(i)}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			done()
		})
	}
}

// BenchmarkExchange settles a hundred jobs and claims the next hundred.
func BenchmarkExchange(b *testing.B) {
	for _, lanes := range []int64{1000, 1 << 40} {
		b.Run(fmt.Sprint("lanes=", min(lanes, int64(b.N))), func(b *testing.B) {
			e := benchEngine(b)
			for i := 0; i < b.N; i += 1000 {
				jobs := make([]queue.Job, 0, 1000)
				for n := i; n < min(i+1000, b.N); n++ {
					j := number(int64(n))
					j.Lane = fmt.Sprint("wsp4:54911", int64(n)%lanes)
					jobs = append(jobs, j)
				}
				if _, err := e.Enqueue(b.Context(), jobs); err != nil {
					b.Fatal(err)
				}
			}
			var out []queue.Outcome
			done := report(b)
			for left := b.N; left > 0; {
				batch, err := e.Exchange(b.Context(), "inbound", out, 100, time.Minute)
				if err != nil || len(batch.Claims) == 0 {
					b.Fatal(len(batch.Claims), left, err)
				}
				out = out[:0]
				for _, c := range batch.Claims {
					out = append(out, queue.Outcome{Lane: c.Lane, Token: c.Token, Verdict: queue.Done})
				}
				left -= len(batch.Claims)
			}
			done()
		})
	}
}

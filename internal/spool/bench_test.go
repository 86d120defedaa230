package spool_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/queuetest"
	"github.com/psivisionhub/psi-router/internal/spool"
)

// BenchmarkDirect measures the spool's overhead while the shared queue, in memory, works.
func BenchmarkDirect(b *testing.B) { bench(b, false) }

// BenchmarkKeep spools one message per request while the shared queue is away, then drains the
// spool.
func BenchmarkKeep(b *testing.B) { bench(b, true) }

func bench(b *testing.B, away bool) {
	q := &shared{Model: queuetest.NewModel(time.Now)}
	s := open(b, spool.Options{Queue: q, Path: file(b)})
	if away {
		q.Break(errDown)
	}
	var n atomic.Int64
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			j := job(fmt.Sprint(i%2000), fmt.Sprint(i))
			j.Body = make([]byte, 1000)
			if _, err := s.Enqueue(b.Context(), []queue.Job{j}); err != nil {
				b.Error(err)
			}
		}
	})
	b.StopTimer()
	q.Break(nil)
	began, kept := time.Now(), s.Depth()
	stop := start(b, s)
	for s.Depth() > 0 {
		time.Sleep(time.Millisecond)
	}
	if away {
		b.ReportMetric(float64(kept)/time.Since(began).Seconds(), "handed-on/s")
	}
	stop()
}

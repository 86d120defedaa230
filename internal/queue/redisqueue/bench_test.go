package redisqueue

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/redistest"
)

var benchBody = make([]byte, 600)

func benchEngine(b *testing.B, durability string, config ...string) (*Engine, *redistest.Server) {
	b.Helper()
	s := redistest.Start(b, config...)
	e, err := Open(b.Context(), Options{URL: s.URL(), Durability: durability})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := e.Close(); err != nil {
			b.Error(err)
		}
	})
	return e, s
}

func message(n int64, lanes int64) queue.Job {
	id := fmt.Sprintf("wamid.HBgNNTQ5MTE1NTU1MTIzNBUCABIYIDNBQjEyMzQ1Njc4OTAx%08d", n)
	return queue.Job{Queue: "inbound", Lane: fmt.Sprintf("wsp4:54911%08d", n*7919%lanes), ID: id, Body: benchBody}
}

// serverTime returns Redis' CPU time, which other load on the machine does not affect.
func serverTime(b *testing.B, s *redistest.Server) time.Duration {
	b.Helper()
	info, err := s.Do(context.Background(), "INFO", "cpu")
	if err != nil {
		b.Fatal(err)
	}
	var total float64
	for line := range strings.Lines(info) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), ":")
		if k == "used_cpu_user_main_thread" || k == "used_cpu_sys_main_thread" {
			n, err := strconv.ParseFloat(v, 64)
			if err != nil {
				b.Fatal(err)
			}
			total += n
		}
	}
	return time.Duration(total * float64(time.Second))
}

func report(b *testing.B, s *redistest.Server) func(jobs int) {
	b.Helper()
	b.ResetTimer()
	before := serverTime(b, s)
	return func(jobs int) {
		b.StopTimer()
		b.ReportMetric(float64(jobs)/b.Elapsed().Seconds(), "jobs/s")
		b.ReportMetric(float64((serverTime(b, s)-before).Nanoseconds())/float64(jobs)/1000, "redis-us/job")
		if os.Getenv("PSI_STATS") != "" {
			info, _ := s.Do(context.Background(), "INFO", "commandstats")
			_ = os.WriteFile(os.Getenv("PSI_STATS"), []byte(info), 0o600)
		}
	}
}

var modes = []struct {
	name, durability string
	config           []string
}{
	{"fsync", "fsync", redistest.AOF},
	{"everysec", "relaxed", []string{"appendonly yes", "appendfsync everysec"}},
}

// BenchmarkEnqueue has callers that add one job at a time, and callers that add fifty.
func BenchmarkEnqueue(b *testing.B) {
	for _, mode := range modes {
		for _, c := range []struct{ callers, batch int }{{1, 1}, {32, 1}, {256, 1}, {8, 50}} {
			b.Run(fmt.Sprintf("%s/callers=%d/batch=%d", mode.name, c.callers, c.batch), func(b *testing.B) {
				e, s := benchEngine(b, mode.durability, mode.config...)
				var n atomic.Int64
				var wg sync.WaitGroup
				done := report(b, s)
				for range c.callers {
					wg.Go(func() {
						for {
							last := n.Add(int64(c.batch))
							if last > int64(b.N) {
								return
							}
							var jobs []queue.Job
							for i := last - int64(c.batch); i < last; i++ {
								jobs = append(jobs, message(i, 50000))
							}
							if _, err := e.Enqueue(context.Background(), jobs); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				done(b.N / c.batch * c.batch)
			})
		}
	}
}

func fill(b *testing.B, e *Engine, from, to, lanes int64) {
	b.Helper()
	var wg sync.WaitGroup
	for w := range int64(2) {
		wg.Go(func() {
			for i := from + w*500; i < to; i += 1000 {
				var jobs []queue.Job
				for n := i; n < min(i+500, to); n++ {
					jobs = append(jobs, message(n, lanes))
				}
				if _, err := e.Enqueue(b.Context(), jobs); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func outcomesOf(claims []queue.Claim) []queue.Outcome {
	out := make([]queue.Outcome, len(claims))
	for i, c := range claims {
		out[i] = queue.Outcome{Lane: c.Lane, Token: c.Token, Verdict: queue.Done}
	}
	return out
}

// BenchmarkExchange has workers that settle their claims and claim as many.
func BenchmarkExchange(b *testing.B) {
	for _, mode := range modes {
		for _, c := range []struct{ workers, batch int }{{1, 1}, {1, 100}, {4, 100}} {
			b.Run(fmt.Sprintf("%s/workers=%d/batch=%d", mode.name, c.workers, c.batch), func(b *testing.B) {
				e, s := benchEngine(b, mode.durability, mode.config...)
				fill(b, e, 0, int64(b.N), 20000)
				var left atomic.Int64
				left.Store(int64(b.N))
				var wg sync.WaitGroup
				done := report(b, s)
				for range c.workers {
					wg.Go(func() {
						var out []queue.Outcome
						for left.Load() > 0 || len(out) > 0 {
							batch, err := e.Exchange(context.Background(), "inbound", out, c.batch, time.Minute)
							if err != nil {
								b.Error(err)
								return
							}
							out = outcomesOf(batch.Claims)
							left.Add(-int64(len(out)))
						}
					})
				}
				wg.Wait()
				done(b.N)
			})
		}
	}
}

// BenchmarkThrough measures the whole way of an empty job: producers add fifty at a time,
// workers settle and claim a hundred.
func BenchmarkThrough(b *testing.B) {
	for _, mode := range modes {
		b.Run(mode.name, func(b *testing.B) {
			e, s := benchEngine(b, mode.durability, mode.config...)
			var next, left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			done := report(b, s)
			for range 4 {
				wg.Go(func() {
					for {
						last := next.Add(50)
						var jobs []queue.Job
						for i := last - 50; i < min(last, int64(b.N)); i++ {
							jobs = append(jobs, message(i, 20000))
						}
						if len(jobs) == 0 {
							return
						}
						if _, err := e.Enqueue(context.Background(), jobs); err != nil {
							b.Error(err)
							return
						}
					}
				})
				wg.Go(func() {
					var out []queue.Outcome
					for left.Load() > 0 || len(out) > 0 {
						batch, err := e.Exchange(context.Background(), "inbound", out, 100, time.Minute)
						if err != nil {
							b.Error(err)
							return
						}
						out = outcomesOf(batch.Claims)
						left.Add(-int64(len(out)))
						if len(out) == 0 && left.Load() > 0 {
							if err := e.Wait(context.Background(), "inbound", time.Millisecond); err != nil {
								b.Error(err)
								return
							}
						}
					}
				})
			}
			wg.Wait()
			done(b.N)
		})
	}
}

// BenchmarkBacklog adds a thousand jobs, fifty at a time, claims fifty at a time and
// settles them, in front of a backlog. The cost must not depend on the backlog's size.
func BenchmarkBacklog(b *testing.B) {
	for _, shape := range []string{"one-lane", "many-lanes"} {
		for _, waiting := range []int64{1000, 1000000} {
			b.Run(fmt.Sprintf("%s/waiting=%d", shape, waiting), func(b *testing.B) {
				e, s := benchEngine(b, "relaxed")
				e.opts.Prefix = rand.Text()
				lanes := int64(1)
				if shape == "many-lanes" {
					lanes = waiting
				}
				body := benchBody
				benchBody = benchBody[:100]
				defer func() { benchBody = body }()
				empty := memory(b, s)
				fill(b, e, 0, waiting, lanes)
				per := float64(memory(b, s)-empty)/float64(waiting) - float64(len(benchBody))
				done := report(b, s)
				n := waiting
				const calls, size = 20, 50
				var adding, claiming time.Duration
				for range b.N {
					begin := serverTime(b, s)
					for range calls {
						jobs := make([]queue.Job, size)
						for i := range jobs {
							jobs[i] = message(n, 1<<40)
							n++
						}
						if _, err := e.Enqueue(b.Context(), jobs); err != nil {
							b.Fatal(err)
						}
					}
					between := serverTime(b, s)
					for range calls {
						batch, err := e.Exchange(b.Context(), "inbound", nil, size, time.Minute)
						if err != nil {
							b.Fatal(err)
						}
						if _, err := e.Exchange(b.Context(), "inbound", outcomesOf(batch.Claims), 0, time.Minute); err != nil {
							b.Fatal(err)
						}
					}
					adding += between - begin
					claiming += serverTime(b, s) - between
				}
				jobs := b.N * calls * size
				done(jobs)
				b.ReportMetric(float64(adding.Nanoseconds())/float64(jobs)/1000, "enqueue-us/job")
				b.ReportMetric(float64(claiming.Nanoseconds())/float64(jobs)/1000, "claim-us/job")
				b.ReportMetric(per, "B/waiting")
				start := time.Now()
				if _, err := e.Stats(b.Context()); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(time.Since(start).Microseconds()), "stats-us")
			})
		}
	}
}

func memory(b *testing.B, s *redistest.Server) int64 {
	b.Helper()
	info, err := s.Do(b.Context(), "INFO", "memory")
	if err != nil {
		b.Fatal(err)
	}
	return parseInt(parseInfo(info)["used_memory"])
}

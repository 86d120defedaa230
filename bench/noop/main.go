// Command noop runs jobs that do nothing through the Redis engine and the Runner, as the
// programs in bench/peers do with other queues. bench/report starts its phases and
// measures Redis meanwhile.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/redisqueue"
)

const name = "inbound"

type options struct {
	redis, durability, profile string
	jobs, lanes, slots, size   int
}

func main() {
	var o options
	flag.StringVar(&o.redis, "redis", "redis://127.0.0.1:6379", "address of Redis")
	flag.StringVar(&o.durability, "durability", "relaxed", "durability of an enqueue")
	flag.StringVar(&o.profile, "profile", "", "file for a CPU profile")
	flag.IntVar(&o.jobs, "jobs", 100_000, "jobs")
	flag.IntVar(&o.lanes, "lanes", 5_000, "lanes of the jobs")
	flag.IntVar(&o.slots, "slots", 4, "batches at once")
	flag.IntVar(&o.size, "batch", 100, "jobs in a batch")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "noop:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	e, err := redisqueue.Open(ctx, redisqueue.Options{URL: o.redis, Durability: o.durability})
	if err != nil {
		return err
	}
	in := bufio.NewReader(os.Stdin)
	say(map[string]any{"phase": "ready"})
	if _, err := in.ReadString('\n'); err != nil {
		return err
	}
	began := time.Now()
	if err := fill(ctx, e, o); err != nil {
		return err
	}
	say(map[string]any{"phase": "filled", "seconds": time.Since(began).Seconds()})
	if _, err := in.ReadString('\n'); err != nil {
		return err
	}
	if o.profile != "" {
		f, err := os.Create(o.profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	began = time.Now()
	if err := work(ctx, e, o); err != nil {
		return err
	}
	say(map[string]any{"phase": "done", "seconds": time.Since(began).Seconds()})
	if _, err := in.ReadString('\n'); err != nil {
		return err
	}
	return e.Close()
}

func say(line any) {
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		panic(err)
	}
}

// fill enqueues the jobs as webhook processes do: four callers, a hundred jobs a call.
func fill(ctx context.Context, e *redisqueue.Engine, o options) error {
	const callers, size = 4, 100
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for failed.Load() == nil {
				last := int(next.Add(size))
				var jobs []queue.Job
				for i := last - size; i < min(last, o.jobs); i++ {
					jobs = append(jobs, queue.Job{
						Queue: name, Lane: fmt.Sprintf("wsp4:54911%08d", i%o.lanes),
						ID: fmt.Sprintf("wamid.HBgNNTQ5MTE1NTU1MTIzNBUCABIYIDNBQjEyMzQ1Njc4OTAx%08d", i), Body: body(i),
					})
				}
				if len(jobs) == 0 {
					return
				}
				if _, err := e.Enqueue(ctx, jobs); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// body is a message as the webhook enqueues it.
func body(i int) []byte {
	return fmt.Appendf(nil, `{"kind":"message","id":"wamid.HBgNNTQ5MTE1NTU1MTIzNBUCABIYIDNBQjEyMzQ1Njc4OTAx%08d","line":"wsp4","provider":"cloud",`+
		`"person":{"phone":"54911%08d","user_id":"AR.1000000000%06d","name":"Persona de Prueba"},"sent_at":"2026-11-24T12:%02d:%02dZ",`+
		`"received_at":"2026-11-24T12:%02d:%02d.%06dZ","content":{"type":"text","text":"hola, quería preguntar por el curso %d"},`+
		`"raw":{"from":"54911%08d","id":"wamid.HBgNNTQ5MTE1NTU1MTIzNBUCABIYIDNBQjEyMzQ1Njc4OTAx%08d","timestamp":"%d",`+
		`"type":"text","text":{"body":"hola, quería preguntar por el curso %d"}}}`,
		i, i, i%1_000_000, i/60%60, i%60, i/60%60, i%60, i%1_000_000, i, i, i, 1_795_521_600+i, i)
}

// work runs until all jobs are handled and their verdicts are in Redis.
func work(ctx context.Context, e *redisqueue.Engine, o options) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var left atomic.Int64
	left.Store(int64(o.jobs))
	handler := queue.HandlerFunc(func(_ context.Context, batch []queue.Claim, settle func(int, queue.Outcome)) {
		for i := range batch {
			settle(i, queue.Outcome{Verdict: queue.Done})
		}
		if left.Add(-int64(len(batch))) <= 0 {
			stop()
		}
	})
	return queue.NewRunner(queue.RunnerOptions{Queue: e, Name: name, Handler: handler, Slots: o.slots, Batch: o.size}).Run(ctx)
}

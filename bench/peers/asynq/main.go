// Command asynq runs jobs that do nothing through github.com/hibiken/asynq. It is a
// separate module, so that the program does not depend on asynq.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
)

type options struct {
	redis                               string
	jobs, payload, callers, concurrency int
}

func main() {
	var o options
	flag.StringVar(&o.redis, "redis", "127.0.0.1:6379", "address of Redis")
	flag.IntVar(&o.jobs, "jobs", 30_000, "jobs")
	flag.IntVar(&o.payload, "payload", 600, "bytes of a job")
	flag.IntVar(&o.callers, "callers", 64, "concurrent callers of Enqueue: there is no bulk call")
	flag.IntVar(&o.concurrency, "concurrency", 256, "jobs at once")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "asynq:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	in := bufio.NewReader(os.Stdin)
	opt := asynq.RedisClientOpt{Addr: o.redis, PoolSize: max(o.callers, o.concurrency)}
	say(map[string]any{"phase": "ready"})
	if _, err := in.ReadString('\n'); err != nil {
		return err
	}
	began := time.Now()
	if err := fill(opt, o); err != nil {
		return err
	}
	say(map[string]any{"phase": "filled", "seconds": time.Since(began).Seconds()})
	if _, err := in.ReadString('\n'); err != nil {
		return err
	}
	began = time.Now()
	var left atomic.Int64
	left.Store(int64(o.jobs))
	done := make(chan struct{})
	server := asynq.NewServer(opt, asynq.Config{Concurrency: o.concurrency, LogLevel: asynq.ErrorLevel})
	handler := asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		if left.Add(-1) == 0 {
			close(done)
		}
		return nil
	})
	if err := server.Start(handler); err != nil {
		return err
	}
	<-done
	say(map[string]any{"phase": "done", "seconds": time.Since(began).Seconds()})
	_, err := in.ReadString('\n')
	server.Shutdown()
	return err
}

func fill(opt asynq.RedisClientOpt, o options) error {
	client := asynq.NewClient(opt)
	defer client.Close()
	body := make([]byte, o.payload)
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range o.callers {
		wg.Go(func() {
			for failed.Load() == nil {
				n := next.Add(1)
				if n > int64(o.jobs) {
					return
				}
				// The id deduplicates while the job is kept; ours does for a day.
				_, err := client.Enqueue(asynq.NewTask("noop", body), asynq.TaskID(fmt.Sprintf("wamid.%054d", n)))
				if err != nil {
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

func say(line any) {
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		panic(err)
	}
}

package redisqueue

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/psivisionhub/psi-router/internal/queue/queuetest"
	"github.com/psivisionhub/psi-router/internal/redistest"
)

// Shared servers are for tests that do not harm them: each test has its own prefix.
var shared struct {
	mu      sync.Mutex
	closers []func()

	single, synced func() (*redistest.Server, error)
	sentinels      func() (*redistest.Sentinels, error)
	cluster        func() (*redistest.Cluster, error)
}

func once[T interface{ Close() }](start func(context.Context) (T, error)) func() (T, error) {
	return sync.OnceValues(func() (T, error) {
		s, err := start(context.Background())
		if err == nil {
			shared.mu.Lock()
			defer shared.mu.Unlock()
			shared.closers = append(shared.closers, s.Close)
		}
		return s, err
	})
}

func TestMain(m *testing.M) {
	flag.Parse()
	if err := queuetest.FewChecks(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if f := flag.Lookup("rapid.checks"); f.Value.String() == "25" { // on each of four set-ups
		if err := f.Value.Set("5"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	shared.single = once(func(ctx context.Context) (*redistest.Server, error) { return redistest.New(ctx) })
	shared.synced = once(func(ctx context.Context) (*redistest.Server, error) { return redistest.New(ctx, redistest.AOF...) })
	shared.sentinels = once(redistest.NewSentinels)
	shared.cluster = once(redistest.NewCluster)
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		for _, c := range shared.closers {
			c()
		}
		os.Exit(code)
	}),
		// The client drops nodes, and looks them up again after a sleep.
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"),
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient)._refresh.func2"),
		goleak.IgnoreAnyFunction("github.com/psivisionhub/psi-router/internal/servers.Start.func1"),
	)
}

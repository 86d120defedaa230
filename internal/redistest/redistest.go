// Package redistest starts throwaway Redis servers for tests: a single one, Sentinels, or a
// Cluster. They listen on free loopback ports, keep their files in a directory of their
// own, and end with the test, each by its process id. It is for tests only, and must never
// touch a server that it did not start.
package redistest

import (
	"context"
	"testing"

	"github.com/psivisionhub/psi-router/internal/servers"
)

// Server is a redis-server process.
type Server = servers.Redis

// AOF is the config of a server that answers a write only once it is on disk.
var AOF = servers.RedisAOF

// Start starts a server that ends with the test; see New.
func Start(tb testing.TB, config ...string) *Server {
	tb.Helper()
	return start(tb, func(ctx context.Context) (*Server, error) { return New(ctx, config...) })
}

// start starts what ends with the test.
func start[T interface{ Close() }](tb testing.TB, begin func(context.Context) (T, error)) T {
	tb.Helper()
	s, err := begin(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s
}

// New starts a server without persistence unless config, lines of redis.conf such as
// "appendonly yes", says otherwise. The caller must Close it.
func New(ctx context.Context, config ...string) (*Server, error) {
	return servers.NewRedis(ctx, servers.RedisOptions{Config: config})
}

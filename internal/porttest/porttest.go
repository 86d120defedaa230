// Package porttest keeps loopback ports for the servers of a test. It is for tests
// only, and must never give the same port to two that run.
package porttest

import (
	"testing"

	"github.com/psivisionhub/psi-router/internal/servers"
)

// Reserve keeps a port that nobody uses until the end of the test: a server that names
// it may listen on it, come and go.
func Reserve(tb testing.TB) *servers.Port {
	tb.Helper()
	p, err := servers.ReservePort()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(p.Close)
	return p
}

// Addr is the host:port of one that Reserve keeps.
func Addr(tb testing.TB) string {
	tb.Helper()
	return Reserve(tb).Addr()
}

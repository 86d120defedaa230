// Package porttest reserves loopback ports for the servers of a test. It is for tests only,
// and must never give one port to two running servers.
package porttest

import (
	"testing"

	"github.com/psivisionhub/psi-router/internal/servers"
)

// Reserve reserves a free port until the end of the test: its server may listen on it, stop
// and come back.
func Reserve(tb testing.TB) *servers.Port {
	tb.Helper()
	p, err := servers.ReservePort()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(p.Close)
	return p
}

// Addr reserves a port and returns its host:port.
func Addr(tb testing.TB) string {
	tb.Helper()
	return Reserve(tb).Addr()
}

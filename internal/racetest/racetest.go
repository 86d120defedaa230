// Package racetest skips tests that take long under the race detector and have no
// concurrency of interest: `make test` runs them once more without it. It must never change
// what a test checks.
package racetest

import "testing"

// Skip skips the test if the race detector is on.
func Skip(tb testing.TB) {
	tb.Helper()
	if raceEnabled {
		tb.Skip("make test runs it without the race detector")
	}
}

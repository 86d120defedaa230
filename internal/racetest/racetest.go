// Package racetest is for tests that are long under the race detector and race with
// nobody: `make test` runs them once more without it. It must never change what a test
// looks at.
package racetest

import "testing"

// Skip skips the test where the race detector is on.
func Skip(tb testing.TB) {
	tb.Helper()
	if raceEnabled {
		tb.Skip("make test runs it without the race detector")
	}
}

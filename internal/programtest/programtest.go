// Package programtest finds the programs that tests start. It is for tests only, and
// must never skip one: a test that did not run proves nothing.
package programtest

import (
	"os/exec"
	"strings"
	"testing"
)

// Find returns the path of the first of the names that is installed. Servers of Debian
// are in /usr/sbin, which the PATH of a plain user lacks.
func Find(tb testing.TB, names ...string) string {
	tb.Helper()
	for _, name := range names {
		for _, path := range []string{name, "/usr/sbin/" + name} {
			if found, err := exec.LookPath(path); err == nil {
				return found
			}
		}
	}
	tb.Fatalf("this test starts %s, which is not installed: run scripts/setup.sh", strings.Join(names, " or "))
	return ""
}

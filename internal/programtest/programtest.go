// Package programtest finds the programs that tests start. It is for tests only, and must
// never skip a test: a test that did not run proves nothing.
package programtest

import (
	"os/exec"
	"strings"
	"testing"
)

// Find returns the path of the first of the names that is installed. It also looks in
// /usr/sbin, where Debian has servers and which a plain user's PATH lacks.
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

// Package bubbletest readies test binaries whose tests run in bubbles of
// testing/synctest. It is for tests only, and must know nothing of what they test.
package bubbletest

import "runtime"

// UseOneProcessor has all goroutines of the process share one processor from now on. A
// package whose bubbles have many goroutines with timers calls it in TestMain: two of
// one bubble that look at timers which are due at the same moment use one context of
// the race detector, and the process hangs or dies (https://go.dev/issue/78156, Go
// 1.26). The detector orders events, not processors, and finds the same races.
func UseOneProcessor() { runtime.GOMAXPROCS(1) }

// Package bubbletest prepares test binaries whose tests run in bubbles of testing/synctest.
// It is for tests only, and must know nothing of the code under test.
package bubbletest

import "runtime"

// UseOneProcessor makes all goroutines of the process share one processor. A package whose
// bubbles have many goroutines with timers calls it in TestMain: in Go 1.26, two goroutines
// of a bubble that look at timers due at the same moment use one context of the race
// detector, and the process hangs or dies (https://go.dev/issue/78156). The detector finds
// the same races, as it orders events, not processors.
func UseOneProcessor() { runtime.GOMAXPROCS(1) }

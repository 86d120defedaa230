package bubbletest_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/psivisionhub/psi-router/internal/bubbletest"
)

func TestMain(m *testing.M) {
	bubbletest.UseOneProcessor()
	m.Run()
}

// TestTimersDueAtOnce kills or hangs the process under the race detector if its goroutines
// run in parallel.
func TestTimersDueAtOnce(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(*testing.T) {
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					for range 2000 {
						<-time.NewTimer(0).C
					}
				})
			}
			all.Wait()
		})
	}
}

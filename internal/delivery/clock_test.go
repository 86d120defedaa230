package delivery_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestClockSteps: the machine's clock jumps by hours while people are answered. Nothing is
// lost, doubled or reordered, and nobody waits longer than the longest hold.
func TestClockSteps(t *testing.T) {
	t.Parallel()
	seeds, people := uint64(3), 24
	if os.Getenv("PSI_PROOF") != "" {
		seeds, people = 20, 200
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) { steps(t, dir, people, rand.New(rand.NewPCG(seed, 2))) })
		})
	}
}

func steps(t *testing.T, dir string, people int, random *rand.Rand) {
	said := []string{"hola", "1", "11", "gracias", "hola?"}
	write(t, dir, people, said)
	var off atomic.Int64
	l := &life{left: -1, dead: make(chan struct{}), now: func() time.Time { return time.Now().Add(time.Duration(off.Load())) }}
	w := &fakeSender{at: map[string][]time.Duration{}, start: time.Now(), took: func(string) time.Duration { return 1500 * time.Millisecond }}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for range 40 {
			time.Sleep(time.Duration(random.Int64N(int64(500 * time.Millisecond))))
			step := time.Duration(random.Int64N(int64(48*time.Hour))) - 24*time.Hour
			off.Store(int64(step))
		}
	}()
	process(t, dir, l, w, time.Hour+5*time.Minute)
	<-stopped
	verify(t, dir, w, people, said)
}

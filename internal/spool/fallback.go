package spool

import (
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// lane is where order holds.
type lane struct{ queue, key string }

// fallback knows which lanes have jobs in the journal. A job is counted before it
// is written and until after the shared queue has it. So whoever finds its lane
// uncounted comes after everything of the lane that was ever kept, and may go
// direct; the same lock decides, so no lane is ever half open.
type fallback struct {
	mu     sync.Mutex
	lanes  map[lane]int
	depth  int
	oldest time.Time
	// down is why the shared queue is not asked. It is set only while something
	// is kept: handing that on is the probe.
	down error
}

func newFallback(lanes map[lane]int, oldest time.Time) *fallback {
	f := &fallback{lanes: lanes, oldest: oldest}
	for _, n := range lanes {
		f.depth += n
	}
	return f
}

// allowDirect says that the jobs may go direct; otherwise, if they are to be kept,
// it has counted them.
func (f *fallback) allowDirect(jobs []queue.Job, keep bool, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	behind := f.down != nil
	for i := 0; i < len(jobs) && !behind; i++ {
		behind = f.lanes[lane{jobs[i].Queue, jobs[i].Lane}] > 0
	}
	if behind && keep {
		f.count(jobs, now)
	}
	return !behind
}

// switchToSpool counts jobs that the shared queue has not taken; from now on it is not
// asked. It returns whether nothing was kept before.
func (f *fallback) switchToSpool(why error, jobs []queue.Job, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := f.depth == 0
	f.down = why
	f.count(jobs, now)
	return first
}

func (f *fallback) count(jobs []queue.Job, now time.Time) {
	if f.depth == 0 {
		f.oldest = now
	}
	f.depth += len(jobs)
	for _, j := range jobs {
		f.lanes[lane{j.Queue, j.Lane}]++
	}
}

// undo takes back what allowDirect or switchToSpool counted and the journal did not add.
func (f *fallback) undo(jobs []queue.Job, added []bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, j := range jobs {
		if added == nil || !added[i] {
			f.uncount(j)
		}
	}
}

func (f *fallback) uncount(j queue.Job) {
	l := lane{j.Queue, j.Lane}
	switch n := f.lanes[l]; n {
	case 0:
		return
	case 1:
		delete(f.lanes, l)
	default:
		f.lanes[l] = n - 1
	}
	if f.depth--; f.depth == 0 {
		f.down = nil
	}
}

// release takes back what the shared queue has now, and returns how much is left.
func (f *fallback) release(handed []entry) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range handed {
		f.uncount(e.Job)
	}
	f.down = nil
	return f.depth
}

// setOldest says when the oldest of what is kept came.
func (f *fallback) setOldest(at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.oldest = at
}

// setDown says why what is kept could not be handed on.
func (f *fallback) setDown(why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.depth > 0 {
		f.down = why
	}
}

func (f *fallback) state() (depth int, oldest time.Time, down error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.depth, f.oldest, f.down
}

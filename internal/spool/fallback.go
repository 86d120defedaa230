package spool

import (
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// lane names one lane of the shared queue.
type lane struct{ queue, key string }

// fallback counts the jobs of each lane in the journal. A job is counted from before it is
// written until after the shared queue has it. So a job whose lane has no count comes after all
// spooled jobs of the lane, and may go direct. One lock guards counts and decisions.
type fallback struct {
	mu     sync.Mutex
	lanes  map[lane]int
	depth  int
	oldest time.Time
	// down is why the shared queue is not used. It is set only while jobs are spooled, as
	// draining them is the probe.
	down error
}

func newFallback(lanes map[lane]int, oldest time.Time) *fallback {
	f := &fallback{lanes: lanes, oldest: oldest}
	for _, n := range lanes {
		f.depth += n
	}
	return f
}

// allowDirect reports whether the jobs may go direct. If not, and keep is set, it counts them.
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

// switchToSpool counts jobs that the shared queue did not take, and stops using it. It reports
// whether the spool was empty before.
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

// undo uncounts the jobs that allowDirect or switchToSpool counted and the journal did not add.
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

// release uncounts the jobs that the shared queue has now, and returns how many are left.
func (f *fallback) release(handed []entry) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range handed {
		f.uncount(e.Job)
	}
	f.down = nil
	return f.depth
}

// setOldest sets the time of the oldest spooled job.
func (f *fallback) setOldest(at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.oldest = at
}

// setDown sets why the spooled jobs could not be drained.
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

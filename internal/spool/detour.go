package spool

import (
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// lane is where order holds.
type lane struct{ queue, key string }

// detour knows which lanes have jobs in the journal. A job is counted before it
// is written and until after the shared queue has it. So whoever finds its lane
// uncounted comes after everything of the lane that was ever kept, and may go
// straight; the same lock decides, so no lane is ever half open.
type detour struct {
	mu     sync.Mutex
	lanes  map[lane]int
	depth  int
	oldest time.Time
	// down is why the shared queue is not asked. It is set only while something
	// is kept: handing that on is the probe.
	down error
}

func newDetour(lanes map[lane]int, oldest time.Time) *detour {
	d := &detour{lanes: lanes, oldest: oldest}
	for _, n := range lanes {
		d.depth += n
	}
	return d
}

// passes says that the jobs may go straight; otherwise, if they are to be kept,
// it has counted them.
func (d *detour) passes(jobs []queue.Job, keep bool, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	behind := d.down != nil
	for i := 0; i < len(jobs) && !behind; i++ {
		behind = d.lanes[lane{jobs[i].Queue, jobs[i].Lane}] > 0
	}
	if behind && keep {
		d.count(jobs, now)
	}
	return !behind
}

// divert counts jobs that the shared queue has not taken; from now on it is not
// asked. It returns whether nothing was kept before.
func (d *detour) divert(why error, jobs []queue.Job, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	first := d.depth == 0
	d.down = why
	d.count(jobs, now)
	return first
}

func (d *detour) count(jobs []queue.Job, now time.Time) {
	if d.depth == 0 {
		d.oldest = now
	}
	d.depth += len(jobs)
	for _, j := range jobs {
		d.lanes[lane{j.Queue, j.Lane}]++
	}
}

// forget takes back what passes or divert counted and the journal did not add.
func (d *detour) forget(jobs []queue.Job, added []bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, j := range jobs {
		if added == nil || !added[i] {
			d.uncount(j)
		}
	}
}

func (d *detour) uncount(j queue.Job) {
	l := lane{j.Queue, j.Lane}
	switch n := d.lanes[l]; n {
	case 0:
		return
	case 1:
		delete(d.lanes, l)
	default:
		d.lanes[l] = n - 1
	}
	if d.depth--; d.depth == 0 {
		d.down = nil
	}
}

// release takes back what the shared queue has now, and returns how much is left.
func (d *detour) release(handed []entry) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range handed {
		d.uncount(e.Job)
	}
	d.down = nil
	return d.depth
}

// begins says when the oldest of what is kept came.
func (d *detour) begins(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.oldest = at
}

// probed says why what is kept could not be handed on.
func (d *detour) probed(why error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.depth > 0 {
		d.down = why
	}
}

func (d *detour) state() (depth int, oldest time.Time, down error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.depth, d.oldest, d.down
}

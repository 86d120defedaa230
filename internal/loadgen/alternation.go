package loadgen

import "time"

// Alternation lets two runs take turns on one machine: one writes for a Slice while the
// other rests. They can then be compared although the machine's speed changes from
// minute to minute. The zero value always writes.
type Alternation struct {
	Slice  time.Duration
	Second bool // the other run begins
}

// offset is when the first turn begins.
func (t Alternation) offset() time.Duration {
	if t.Second {
		return t.Slice
	}
	return 0
}

// wallTime is the time since the start after which the run has written for this long.
func (t Alternation) wallTime(writing time.Duration) time.Duration {
	if t.Slice == 0 {
		return writing
	}
	return t.offset() + writing + writing.Truncate(t.Slice)
}

// activeTime is the part of elapsed in which the run wrote.
func (t Alternation) activeTime(elapsed time.Duration) time.Duration {
	if t.Slice == 0 {
		return elapsed
	}
	elapsed = max(0, elapsed-t.offset())
	return elapsed.Truncate(2*t.Slice)/2 + min(elapsed%(2*t.Slice), t.Slice)
}

// settled reports whether a request due at this time is undisturbed by the other run: by
// the work that it left behind, and by its next start.
func (t Alternation) settled(at time.Duration) bool {
	if t.Slice == 0 {
		return true
	}
	into := (at - t.offset()) % (2 * t.Slice)
	return into >= t.Slice/5 && into < t.Slice-t.Slice/10
}

package loadgen

import "time"

// Alternation lets two runs have one machine in turn: one writes for so long while the
// other rests. So they can be compared where the machine is faster in one minute than
// in the next. The zero value always writes.
type Alternation struct {
	Slice  time.Duration
	Second bool // the other one begins
}

// offset is when the first turn does.
func (t Alternation) offset() time.Duration {
	if t.Second {
		return t.Slice
	}
	return 0
}

// wallTime is when somebody has written for so long.
func (t Alternation) wallTime(writing time.Duration) time.Duration {
	if t.Slice == 0 {
		return writing
	}
	return t.offset() + writing + writing.Truncate(t.Slice)
}

// activeTime is the part of so long that was spent writing.
func (t Alternation) activeTime(elapsed time.Duration) time.Duration {
	if t.Slice == 0 {
		return elapsed
	}
	elapsed = max(0, elapsed-t.offset())
	return elapsed.Truncate(2*t.Slice)/2 + min(elapsed%(2*t.Slice), t.Slice)
}

// settled says that what is due then feels nothing of the other run: neither what it
// left behind nor how it begins.
func (t Alternation) settled(at time.Duration) bool {
	if t.Slice == 0 {
		return true
	}
	into := (at - t.offset()) % (2 * t.Slice)
	return into >= t.Slice/5 && into < t.Slice-t.Slice/10
}

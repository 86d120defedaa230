package loadgen

import "time"

// Turns lets two runs have one machine in turn: one writes for so long while the
// other rests. So they can be compared where the machine is faster in one minute than
// in the next. The zero value always writes.
type Turns struct {
	Each   time.Duration
	Second bool // the other one begins
}

// begins is when the first turn does.
func (t Turns) begins() time.Duration {
	if t.Second {
		return t.Each
	}
	return 0
}

// after is when somebody has written for so long.
func (t Turns) after(writing time.Duration) time.Duration {
	if t.Each == 0 {
		return writing
	}
	return t.begins() + writing + writing.Truncate(t.Each)
}

// writing is the part of so long that was spent writing.
func (t Turns) writing(elapsed time.Duration) time.Duration {
	if t.Each == 0 {
		return elapsed
	}
	elapsed = max(0, elapsed-t.begins())
	return elapsed.Truncate(2*t.Each)/2 + min(elapsed%(2*t.Each), t.Each)
}

// steady says that what is due then feels nothing of the other run: neither what it
// left behind nor how it begins.
func (t Turns) steady(at time.Duration) bool {
	if t.Each == 0 {
		return true
	}
	into := (at - t.begins()) % (2 * t.Each)
	return into >= t.Each/5 && into < t.Each-t.Each/10
}

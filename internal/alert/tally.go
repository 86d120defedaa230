package alert

import (
	"sync"
	"time"
)

// tallyMinutes is how far back sends are counted, in buckets of one minute.
const tallyMinutes = 15

// Tally counts this process's posts of the last tallyMinutes, by line. The zero Tally is
// ready for use, and safe for concurrent use.
type Tally struct {
	mu    sync.Mutex
	lines map[string]*[tallyMinutes]minute
}

type minute struct {
	at int64
	SendCount
}

// Sent counts a post. A throttled post (pair) is no failure, and a post not begun is not
// counted.
func (t *Tally) Sent(line, verdict string, now time.Time) {
	if verdict == "not_begun" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lines == nil {
		t.lines = map[string]*[tallyMinutes]minute{}
	}
	l := t.lines[line]
	if l == nil {
		l = &[tallyMinutes]minute{}
		t.lines[line] = l
	}
	at := now.Unix() / 60
	m := &l[at%tallyMinutes]
	if m.at != at {
		*m = minute{at: at}
	}
	m.All++
	if verdict != "sent" && verdict != "pair" {
		m.Failed++
	}
}

// Counts returns the counts by line.
func (t *Tally) Counts(now time.Time) map[string]SendCount {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]SendCount{}
	at := now.Unix() / 60
	for line, l := range t.lines {
		var sum SendCount
		for _, m := range l {
			if m.at > at-tallyMinutes && m.at <= at {
				sum.All += m.All
				sum.Failed += m.Failed
			}
		}
		if sum.All > 0 {
			out[line] = sum
		}
	}
	return out
}

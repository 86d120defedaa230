package sqlrow

import "time"

const (
	// SweepSize is how many rows one step of a Sweep, and of other maintenance, takes.
	SweepSize = 500
	// StalledAfter is after how long a row is woken again.
	StalledAfter = time.Minute
	sweepPause   = time.Minute // between two sweeps
)

// Sweep is a resumable scan of pending rows: each pass visits every row once, so that stuck
// rows cannot starve those behind them.
type Sweep struct {
	Since     time.Time // position: the row after (Since, N)
	N         int64
	notBefore time.Time
}

// Step continues from the position. page reads at most SweepSize rows behind it, moves it,
// and counts them; more says that there may be others.
func (s *Sweep) Step(now time.Time, page func(position *Sweep) (found int, err error)) (more bool, err error) {
	if now.Before(s.notBefore) && !s.notBefore.After(now.Add(sweepPause)) {
		return false, nil
	}
	next := *s
	found, err := page(&next)
	switch {
	case err != nil:
		return false, err
	case found == SweepSize:
		*s = next
		return true, nil
	case found > 0 || !s.Since.IsZero():
		*s = Sweep{notBefore: now.Add(sweepPause)}
	}
	return false, nil
}

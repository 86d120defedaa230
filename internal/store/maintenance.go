package store

import (
	"context"
	"time"
)

// Maintenance is the housekeeping that one process at a time does.
type Maintenance interface {
	// Pump does one round of the housekeeping that one process at a time does:
	// it numbers committed events, fires due timers, expires parked statuses
	// and the marks of what was done once, and returns the sends and the files
	// that have been pending for over a minute.
	Pump(ctx context.Context, now time.Time) (PumpResult, error)

	// UntriedNotices returns the oldest notices that were not tried yet, one of each conversation
	// and of each line at most limit, oldest first. They have no wake-up but the one that
	// the caller gives them.
	UntriedNotices(ctx context.Context, limit int) ([]Notice, error)

	// Apologize does what policies.after_outage says about some of those who were left
	// long enough ago, and counts them; see unit.Unit.Apologize. The caller sees to it that
	// nothing that came waits to be handled: it may be the answer of the team.
	Apologize(ctx context.Context, now time.Time) (int, error)
}

// PumpResult is one round's work.
type PumpResult struct {
	Numbered int
	Timers   int
	Wakes    []Wake
	// Media are files that wait to be fetched.
	Media []MediaRef
	// NoticesPending says that some were not tried yet: see Store.UntriedNotices.
	NoticesPending bool
	// ApologiesDue says that somebody was left for long enough: see Store.Apologize.
	ApologiesDue bool
	// More is set when the round stopped at its size limit: call again.
	More bool
}

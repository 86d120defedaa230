package store

import (
	"context"
	"time"
)

// Maintenance is the housekeeping that one process at a time does.
type Maintenance interface {
	// Pump does one round of the housekeeping: it numbers committed events, fires due
	// timers, expires parked statuses and idempotency keys, and returns the sends and files
	// that have been pending for over a minute.
	Pump(ctx context.Context, now time.Time) (PumpResult, error)

	// UntriedNotices returns the oldest untried notices, oldest first: one of each
	// conversation, and of each line at most limit. They have no wake-up but the caller's.
	UntriedNotices(ctx context.Context, limit int) ([]Notice, error)

	// Apologize carries out policies.after_outage for some of the people who were left long
	// enough ago, and counts them; see unit.Unit.Apologize. The caller makes sure that no
	// arrival waits to be handled: it may be the team's answer.
	Apologize(ctx context.Context, now time.Time) (int, error)
}

// PumpResult is the result of one round.
type PumpResult struct {
	Numbered int
	Timers   int
	Wakes    []Wake
	Media    []MediaRef
	// NoticesPending says that some notices are untried: see UntriedNotices.
	NoticesPending bool
	// ApologiesDue says that somebody was left long enough ago: see Apologize.
	ApologiesDue bool
	// More is set when the round stopped at its size limit: call again.
	More bool
}

package store

import (
	"context"
	"time"
)

// Duties are what one process at a time does.
type Duties interface {
	// Lead is one round of a process that has a duty, or wants it.
	Lead(ctx context.Context, now time.Time, r Term) (Leadership, error)
}

// Term is what a process sends when it asks for a duty: who it is, its report, and the
// duty's state.
type Term struct {
	Duty    string
	Process string
	// Lease is for how long the process has the duty and its report is kept, unless it asks
	// again.
	Lease time.Duration
	// Report is kept for the leader until the lease ends; nil leaves none.
	Report []byte
	// State replaces the duty's state if the process was the leader and still is; nil
	// leaves it.
	State []byte
}

// Leadership is the answer to a Term.
type Leadership struct {
	// Leader says that the process has the duty now, Acquired that it did not before: a
	// State that it sent was then not stored.
	Leader, Acquired bool
	State            []byte
	Reports          map[string][]byte // of all processes, by process
}

// ReportRetention is how long a report is kept after its end.
const ReportRetention = time.Hour

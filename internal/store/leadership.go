package store

import (
	"context"
	"time"
)

// Duties are what one process at a time does.
type Duties interface {
	// Lead is one process's round of a duty that one process at a time has.
	Lead(ctx context.Context, now time.Time, r Term) (Leadership, error)
}

// Term is what a process says when it comes for a duty: who it is, how it is,
// and what the duty has to remember.
type Term struct {
	Duty    string
	Process string
	// Lease is how long the duty, and the report, are this process's unless it
	// comes again.
	Lease time.Duration
	// Report is kept for the holder until the lease ends; nil leaves none.
	Report []byte
	// State replaces what is remembered if the process has held the duty and
	// still does; nil leaves it.
	State []byte
}

// Leadership is the answer.
type Leadership struct {
	// Leader says that the process has the duty now. Acquired says that it did not
	// before, so a State that it sent was not taken.
	Leader, Acquired bool
	State            []byte
	Reports          map[string][]byte // of all processes, by process
}

// ReportRetention is how long after its end a report is kept.
const ReportRetention = time.Hour

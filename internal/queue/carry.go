package queue

import "time"

// Waiting is a job that waits, as it is carried from one engine to another.
type Waiting struct {
	Job
	// Place orders the jobs of a queue, and with them those of each lane.
	Place    int64
	Redriven bool
	Enqueued time.Time
}

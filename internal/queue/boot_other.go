//go:build !linux

package queue

import "time"

// sinceBoot stands still where no clock is known that goes on while the machine is
// suspended: the others must do.
func sinceBoot() time.Duration { return 0 }

//go:build !linux

package queue

import "time"

// sinceBoot always returns 0: this system has no clock that goes on while it is suspended.
func sinceBoot() time.Duration { return 0 }

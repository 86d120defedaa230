package queue

import (
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot reads the boot clock, which goes on while the machine is suspended.
func sinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0 // kernels before 2.6.39 have no such clock
	}
	return time.Duration(t.Nano())
}

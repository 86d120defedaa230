package delivery

import (
	"context"
	"time"
)

// sleep returns after d, or false as soon as ctx ends.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// answered waits until done is closed, or until a second after ctx ended: a post at the end
// of a drain or a lease still gets recorded.
func answered(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
	}
	select {
	case <-done:
		return true
	case <-time.After(outageDelay):
		return false
	}
}

package delivery

import (
	"context"
	"sync"
	"time"
)

// pace lets what comes soon after a call gather for the next: a transaction costs the
// store as much as several of its rows, and who waits has nobody waiting for him. The
// first call after a while begins at once, and so does one that enough wait for. It is
// safe for concurrent use.
type pace struct {
	every time.Duration
	full  chan struct{} // enough wait

	mu    sync.Mutex
	began time.Time // the last call
}

func newPace(every time.Duration) *pace {
	return &pace{every: every, full: make(chan struct{}, 1)}
}

// enough says that nobody else need be waited for.
func (p *pace) enough() {
	select {
	case p.full <- struct{}{}:
	default:
	}
}

// rest returns when the next call may begin, or ctx ends.
func (p *pace) rest(ctx context.Context) {
	p.mu.Lock()
	left := p.every - time.Since(p.began)
	p.mu.Unlock()
	if left <= 0 {
		return
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.full:
	case <-ctx.Done():
	}
}

// begin notes that a call begins.
func (p *pace) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.began = time.Now()
	select {
	case <-p.full: // who was enough goes with this call
	default:
	}
}

package drill

import (
	"context"
	"fmt"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster"
	"github.com/psivisionhub/psi-router/internal/loadgen"
)

// watch tells Progress, a few times a second, until ctx ends.
func (d *drill) watch(ctx context.Context) {
	if d.Progress == nil {
		return
	}
	type answer struct {
		loadgen.RouterStats
		known bool
	}
	asked := make(chan answer, 1)
	asking := false
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	var speed speedometer
	var last answer
	for {
		if !asking { // it may take long when something is down
			asking = true
			go func() {
				f, err := d.figures(ctx)
				asked <- answer{f, err == nil}
			}()
		}
		select {
		case <-ctx.Done():
			if asking {
				<-asked
			}
			return
		case f := <-asked:
			if asking = false; !f.known {
				f.Handled = last.Handled
			}
			last = f
			continue
		case <-tick.C:
		}
		accepted, sent := d.accepted.Load(), d.WhatsApp.Counts().Accepted
		d.mu.Lock()
		p := &d.at
		p.Elapsed, p.Messages, p.OfFaults = time.Since(d.began), int64(d.Messages), len(d.plan)
		p.Accepted, p.PerSecond, p.Sent = accepted, speed.of(p.Elapsed, accepted), sent
		p.Known, p.Handled, p.Depth, p.Pending, p.Dead = last.known, last.Handled, last.Depth, last.Pending, last.Dead
		d.Progress(*p)
		d.mu.Unlock()
	}
}

// speedometer knows the speed of the last seconds.
type speedometer struct{ points []point }

type point struct {
	at    time.Duration
	value int64
}

func (s *speedometer) of(at time.Duration, value int64) float64 {
	const window = 3 * time.Second
	s.points = append(s.points, point{at, value})
	for len(s.points) > 2 && at-s.points[1].at > window {
		s.points = s.points[1:]
	}
	if took := at - s.points[0].at; took > 0 {
		return float64(value-s.points[0].value) / took.Seconds()
	}
	return 0
}

// figures is what the router tells of itself.
func (d *drill) figures(ctx context.Context) (loadgen.RouterStats, error) {
	return d.api().Stats(ctx)
}

func (d *drill) api() loadgen.API {
	return loadgen.API{URL: d.Proxy.URL(), Key: d.Key, Line: cluster.Line}
}

// settle waits until nothing waits any more. It is false when that does not come.
func (d *drill) settle(ctx context.Context) (bool, error) {
	waiting, cancel := context.WithTimeout(ctx, d.Settle)
	defer cancel()
	for calm := 0; ; {
		f, err := d.figures(waiting)
		if err == nil && f.Depth == 0 && f.Pending == 0 && d.WhatsApp.PendingEvents() == 0 {
			calm++
		} else {
			calm = 0
		}
		if calm == 3 {
			return true, nil
		}
		if !loadgen.Sleep(waiting, 300*time.Millisecond) {
			if ctx.Err() != nil {
				return false, context.Cause(ctx)
			}
			d.note(fmt.Sprintf("not everything was done after %v: %d jobs, %d answers and %d reports wait (%v)",
				d.Settle, f.Depth, f.Pending, d.WhatsApp.PendingEvents(), err))
			return false, nil
		}
	}
}

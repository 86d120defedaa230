package drill

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// watch tells Progress, a few times a second, until ctx ends.
func (d *drill) watch(ctx context.Context) {
	if d.Progress == nil {
		return
	}
	asked := make(chan figures, 1)
	asking := false
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	var speed speedometer
	var last figures
	for {
		if !asking { // it may take long when something is down
			asking = true
			go func() {
				f, err := d.figures(ctx)
				f.known = err == nil
				asked <- f
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
				f.handled = last.handled
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
		p.Known, p.Handled, p.Depth, p.Pending, p.Dead = last.known, last.handled, last.depth, last.pending, last.dead
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
type figures struct {
	known                         bool
	handled, depth, pending, dead int64
}

func (d *drill) figures(ctx context.Context) (figures, error) {
	var f figures
	var queues struct {
		Items []struct {
			Name   string `json:"name"`
			Depth  int64  `json:"depth"`
			Dead   int64  `json:"dead"`
			Totals struct {
				Done int64 `json:"done"`
			} `json:"totals"`
		} `json:"items"`
	}
	if err := d.get(ctx, "/api/v1/queues", &queues); err != nil {
		return f, err
	}
	for _, q := range queues.Items {
		f.depth += q.Depth
		f.dead += q.Dead
		if q.Name == "inbound" {
			f.handled = q.Totals.Done
		}
	}
	var status struct {
		Sends struct {
			Pending int64 `json:"pending"`
		} `json:"sends"`
		Unknown []string `json:"unknown"`
	}
	if err := d.get(ctx, "/status", &status); err != nil {
		return f, err
	}
	if len(status.Unknown) > 0 {
		return f, fmt.Errorf("it does not know its %v", status.Unknown)
	}
	f.pending = status.Sends.Pending
	return f, nil
}

func (d *drill) get(ctx context.Context, path string, to any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.Front.URL()+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+d.Key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", path, res.Status)
	}
	return json.NewDecoder(res.Body).Decode(to)
}

// settle waits until nothing waits any more. It is false when that does not come.
func (d *drill) settle(ctx context.Context) (bool, error) {
	waiting, cancel := context.WithTimeout(ctx, d.Settle)
	defer cancel()
	for calm := 0; ; {
		f, err := d.figures(waiting)
		if err == nil && f.depth == 0 && f.pending == 0 && d.WhatsApp.Waiting() == 0 {
			calm++
		} else {
			calm = 0
		}
		if calm == 3 {
			return true, nil
		}
		if !sleep(waiting, 300*time.Millisecond) {
			if ctx.Err() != nil {
				return false, context.Cause(ctx)
			}
			d.note(fmt.Sprintf("not everything was done after %v: %d jobs, %d answers and %d reports wait (%v)",
				d.Settle, f.depth, f.pending, d.WhatsApp.Waiting(), err))
			return false, nil
		}
	}
}

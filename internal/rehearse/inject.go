package rehearse

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/loadgen"
)

// write runs the load and injects the faults.
func (r *rehearsal) write(ctx, whole context.Context) (loadgen.Report, error) {
	writing, cancel := ctx, context.CancelFunc(func() {})
	if r.Duration > 0 {
		writing, cancel = context.WithTimeout(ctx, r.Duration)
	}
	defer cancel()
	first := 0
	for ; first < len(r.faults) && r.faults[first].first(); first++ {
		if err := r.inject(whole, r.faults[first]); err != nil {
			return loadgen.Report{}, err
		}
	}
	var faults sync.WaitGroup
	var failed error
	begun, spent, before := time.Now(), r.cluster.CPU(), machineTicks()
	r.mu.Lock()
	r.machine = before
	r.mu.Unlock()
	faults.Go(func() {
		for _, f := range r.faults[first:] {
			if failed != nil || !r.due(writing, begun, f) {
				return
			}
			failed = r.inject(whole, f)
		}
	})
	load, err := r.load.Load().Run(writing)
	close(r.written)
	faults.Wait()
	r.cpu, r.stolen = r.cluster.CPU().Since(spent), machineTicks().stolenSince(before)
	switch {
	case whole.Err() != nil:
		return load, context.Cause(whole)
	case err != nil && writing.Err() == nil:
		return load, err
	}
	return load, failed
}

// due waits until a fault must begin: at its time, or when its fraction of the messages is
// accepted or the load has ended. It returns false if the load was cancelled.
func (r *rehearsal) due(writing context.Context, begun time.Time, f fault) bool {
	if f.after > 0 {
		return loadgen.Sleep(writing, time.Until(begun.Add(f.after)))
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for accepted := int64(0); accepted < int64(f.moment*float64(r.Load.Messages)); {
		select {
		case <-writing.Done():
			return false
		case <-r.written:
			return writing.Err() == nil
		case <-tick.C:
		}
		r.mu.Lock()
		accepted = r.at.Messages
		r.mu.Unlock()
	}
	return writing.Err() == nil
}

// inject begins a fault, and ends it after its duration if it has one.
func (r *rehearsal) inject(ctx context.Context, f fault) error {
	what, restore, err := f.kind.inject(ctx, r.cluster, f.pick)
	if err != nil {
		return fmt.Errorf("%s: %w", f.kind.name, err)
	}
	began := time.Since(r.began)
	r.mu.Lock()
	switch f.kind.until {
	case untilHealed:
		r.at.Fault, r.at.What = f.kind.name, what
	case untilDone:
		r.restore = append(r.restore, restore)
	}
	r.tell(Event{Fault: f.kind.name, What: what})
	r.mu.Unlock()
	if f.kind.until != untilHealed || !loadgen.Sleep(ctx, f.lasts) {
		return nil
	}
	if err := restore(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("after %s: %w", f.kind.name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	lasted := time.Since(r.began) - began
	if f.kind.outage {
		r.outage += lasted
	}
	r.injected = append(r.injected, InjectedFault{Fault: f.kind.name, What: what, At: seconds(began), Lasted: seconds(lasted)})
	r.at.Fault, r.at.What, r.at.Faults = "", "", r.at.Faults+1
	r.tell(Event{Fault: f.kind.name, What: what, Over: true})
	return nil
}

package drill

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster"
	"github.com/psivisionhub/psi-router/internal/loadgen"
)

// write lets people write while things go wrong.
func (d *drill) write(ctx context.Context) (loadgen.Report, error) {
	const batch, statuses = 3, 1
	rate := 0.0
	if d.Faults > 0 {
		rate = float64(d.Messages) * (1 + statuses) / batch / d.span().Seconds()
	}
	gen, err := loadgen.New(loadgen.Options{
		URL: d.Proxy.URL() + "/webhook", Secret: d.Secret, PhoneNumberID: cluster.PhoneNumberID,
		Connections: 32, Conversations: d.Conversations, Messages: d.Messages, Batch: batch, Statuses: statuses,
		Duplicates: 0.1, Rate: rate, Script: []string{"menú", "1"}, Seed: d.Seed, RetryFor: retryFor,
		Progress: func(p loadgen.Progress) { d.accepted.Store(p.Messages) },
	})
	if err != nil {
		return loadgen.Report{}, err
	}
	writing, cancel := ctx, context.CancelFunc(func() {})
	if d.Duration > 0 {
		writing, cancel = context.WithTimeout(ctx, d.Duration)
	}
	defer cancel()
	var faults sync.WaitGroup
	var struck error
	faults.Go(func() { struck = d.injectFaults(ctx, writing) })
	report, err := gen.Run(writing)
	close(d.written)
	faults.Wait()
	switch {
	case ctx.Err() != nil:
		return report, context.Cause(ctx)
	case err != nil && writing.Err() == nil:
		return report, err
	}
	return report, struck
}

// span is how long people write, so that they still do when the last fault comes.
func (d *drill) span() time.Duration {
	const start = 1500 * time.Millisecond // of a process, or of a server
	var faults time.Duration
	for _, f := range d.plan {
		faults += f.lasts + start
		if f.kind.name == restartAll {
			faults += start * time.Duration(len(d.Nodes))
		}
	}
	return max(time.Duration(d.Faults)*d.Pace, faults*5/4)
}

// injectFaults makes things go wrong, each when its part of the messages has been
// accepted, and puts them right again. Once the writing was ended early, no
// further one begins.
func (d *drill) injectFaults(ctx, writing context.Context) error {
	for _, f := range d.plan {
		if !d.reach(writing, int64(f.moment*float64(d.Messages))) {
			return nil
		}
		what, restore, err := f.kind.inject(ctx, d.Cluster, f.pick)
		if err != nil {
			return fmt.Errorf("%s: %w", f.kind.name, err)
		}
		began := time.Since(d.began)
		d.begins(f, what)
		if !loadgen.Sleep(ctx, f.lasts) {
			return nil
		}
		if err := restore(ctx); err != nil && ctx.Err() == nil {
			return fmt.Errorf("after %s: %w", f.kind.name, err)
		}
		d.over(f, what, began)
	}
	return nil
}

// reach waits until so many messages are accepted, or nobody writes any more. It
// is false when the writing was ended.
func (d *drill) reach(ctx context.Context, messages int64) bool {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for d.accepted.Load() < messages {
		select {
		case <-ctx.Done():
			return false
		case <-d.written:
			return ctx.Err() == nil
		case <-tick.C:
		}
	}
	return ctx.Err() == nil
}

// Package drill rehearses the bad days of an installation, on one of its own
// that is thrown away: it writes as many people do, kills processes, stops the
// servers below them and makes WhatsApp misbehave, and then asks for every
// message and every answer. It knows the router only as an operator does, by its
// processes, its API and what reaches WhatsApp. It must never touch a process, a
// server or a file that it did not make, and never leave one behind.
package drill

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster"
)

// drill is one that runs.
type drill struct {
	Options
	*cluster.Cluster
	began time.Time
	plan  []fault

	mu       sync.Mutex // guards the rest, and calls of Tell and Progress
	at       Progress
	injected []InjectedFault
	outage   time.Duration
	notes    []string
	accepted atomic.Int64
	written  chan struct{} // closed when nobody writes any more
}

// Run does a drill, from nothing to nothing. The report is good when there is no
// error; then its Err says whether the router kept its promises. An error means
// that there was no drill: something is missing, or ctx ended.
func Run(ctx context.Context, o Options) (Report, error) {
	if err := o.check(); err != nil {
		return Report{}, fmt.Errorf("drill: %w", err)
	}
	d := &drill{Options: o, began: time.Now(), written: make(chan struct{})}
	var err error
	if d.plan, err = plan(rand.New(rand.NewPCG(o.Seed, 1)), o); err != nil {
		return Report{}, fmt.Errorf("drill: %w", err)
	}
	d.phase(PhaseStart)
	d.Cluster, err = cluster.Start(ctx, cluster.Options{
		Program: o.Program, Webhooks: o.Webhooks, Workers: o.Workers, Embedded: o.Embedded, BackoffSpeedup: o.BackoffSpeedup,
		Parent: o.Parent, Record: 2*o.Messages + 1000, Note: d.note,
	})
	if err != nil {
		return Report{}, fmt.Errorf("drill: %w", err)
	}
	r, err := d.run(ctx)
	r.Files = d.Stop(o.Keep || err == nil && r.Err() != nil)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return r, fmt.Errorf("drill: %w", err)
	}
	return r, nil
}

func (d *drill) run(ctx context.Context) (Report, error) {
	watching, stop := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() { d.watch(watching) })
	defer watcher.Wait()
	defer stop()

	d.phase(PhaseLoad)
	load, err := d.write(ctx)
	if err != nil {
		return Report{}, err
	}
	d.phase(PhaseSettle)
	quiet, err := d.settle(ctx)
	if err != nil {
		return Report{}, err
	}
	d.phase(PhaseCheck)
	return d.report(ctx, load, quiet)
}

package main

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/psivisionhub/psi-router/internal/loadgen"
	"github.com/psivisionhub/psi-router/internal/rehearse"
)

// turn is the length of a turn on the machine in seconds; anything that happens once a
// minute falls into the turns of both runs.
const turn = 7

// crmLoad is the load of the runs with a CRM. The first warm seconds do not count.
func (r *run) crmLoad(people, warm int) loadgen.Options {
	return loadgen.Options{Rate: 300, Conversations: people, WarmUp: time.Duration(r.size(warm, 0)) * time.Second}
}

// crmCommand is the command with that load.
func (r *run) crmCommand(warm int) string {
	return fmt.Sprintf("psi-router loadtest --rate 300 --warm %ds --conversations 20000 --statuses 0 --duplicates 0", r.size(warm, 0))
}

// inTurn does two runs that take turns on the machine, one of them without a CRM. Two
// consecutive runs would differ more if the host shares its processors. If way is "",
// neither has a CRM. The runs change places every round, so that each begins equally
// often.
func inTurn(ctx context.Context, bin, way string, round, lasts int, load loadgen.Options) (pair crmPair, err error) {
	both, ctx := errgroup.WithContext(ctx)
	load.Seed, load.Alternate.Slice = newSeed(), turn*time.Second
	one := rehearse.Options{Program: bin, Duration: time.Duration(lasts) * time.Second, Load: load, Begin: together()}
	with, without := one, one
	if way != "" {
		with.CRM, with.CRMStays = []string{way}, true
	}
	with.Load.Alternate.Second, without.Load.Alternate.Second = round%2 != 0, round%2 == 0
	both.Go(func() (err error) { pair.with, err = loadtest(ctx, with); return err })
	both.Go(func() (err error) { pair.without, err = loadtest(ctx, without); return err })
	return pair, both.Wait()
}

// together makes two runs begin when both are ready.
func together() func(context.Context) error {
	var ready atomic.Int32
	both := make(chan struct{})
	return func(ctx context.Context) error {
		if ready.Add(1) == 2 {
			close(both)
		}
		select {
		case <-both:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// crmFor measures a CRM in one mode for ten minutes, twice. Each pair has its own
// installations, as two equal ones do not run alike. If way is "", it measures how much
// they differ.
func crmFor(way string) func(context.Context, *run) (*section, error) {
	return func(ctx context.Context, r *run) (*section, error) {
		bin, err := r.program(ctx)
		if err != nil {
			return nil, err
		}
		rounds, lasts := r.size(2, 1), r.size(600, 20)
		what := "neither has a CRM"
		if way != "" {
			what = "one has such a CRM for the whole time, the other has none"
		}
		var pairs []crmPair
		var stolen, seconds []string
		for round := range rounds {
			pair, err := inTurn(ctx, bin, way, round, lasts, r.crmLoad(20_000, 4*turn))
			if err != nil {
				return nil, err
			}
			r.progress("pair %d of %d: %s", round+1, rounds, pair)
			pairs = append(pairs, pair)
			seconds = append(seconds, fmt.Sprintf("%d and %d", calm(pair.with).Seconds, calm(pair.without).Seconds))
			stolen = append(stolen, fmt.Sprintf("%.1f and %.1f %%", pair.with.Stolen*100, pair.without.Stolen*100))
		}
		s := &section{}
		addFelt(s, r, "alternating runs", pairs, way != "")
		s.add(crmRow("CPU for a message, alternating runs", "µs", pairs, cpu, false))
		s.note("Two runs of `%s` take turns on the machine, each with its own installation: %d s each, for %d s; %s. The first %d s do not count, nor does the first fifth or the last tenth of each turn. Pairs: %d; the figures are their medians, and the difference is the median of those within each pair. The run with the CRM begins in every other pair.",
			r.crmCommand(4*turn), turn, lasts, what, r.size(4*turn, 0), rounds)
		s.note("%s Calm seconds of the two runs: %s; stolen processor time: %s.", whatIsCalm, strings.Join(seconds, ", then "), strings.Join(stolen, ", then "))
		return s, nil
	}
}

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

// turn is for how many seconds one of a pair has the machine while the other rests;
// what happens each minute is in the turns of both.
const turn = 7

// crmLoad is the load of the runs that tell what is felt of a CRM; nothing counts while
// it warms up for so many seconds.
func (r *run) crmLoad(people, warm int) loadgen.Options {
	return loadgen.Options{Rate: 300, Conversations: people, WarmUp: time.Duration(r.size(warm, 0)) * time.Second}
}

// crmCommand is what somebody types to have that load.
func (r *run) crmCommand(warm int) string {
	return fmt.Sprintf("psi-router loadtest --rate 300 --warm %ds --conversations 20000 --statuses 0 --duplicates 0", r.size(warm, 0))
}

// inTurn does two runs that have the machine in turn for so many seconds, one of them
// without a CRM: two that follow each other differ by more wherever its host shares
// processors. Without a way there is no CRM in either. They change places every round,
// so that over two of them each begins as often as the other.
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

// together lets two begin when both are ready.
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

// crmFor measures for ten minutes, twice, what is felt of a CRM that is so all the time.
// Each pair has installations of its own, as two that are equal do not run alike. Without
// a way it says how much they differ.
func crmFor(way string) func(context.Context, *run) (*section, error) {
	return func(ctx context.Context, r *run) (*section, error) {
		bin, err := r.program(ctx)
		if err != nil {
			return nil, err
		}
		rounds, lasts := r.size(2, 1), r.size(600, 20)
		what := "in neither is a CRM"
		if way != "" {
			what = "in one the CRM is so all that time, in the other there is none"
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
		addFelt(s, r, "the machine in turn", pairs, way != "")
		s.add(crmRow("CPU for a message, the machine in turn", "µs", pairs, cpu, false))
		s.note("The machine in turn: two runs of `%s`, each on an installation of its own, write for %d s each in turn, for %d s; %s. The first %d s are not counted, nor the first fifth of each turn and its last tenth. Pairs: %d, whose medians these are; what differs is the median of the differences within each. The CRM has the first turn in every other one.",
			r.crmCommand(4*turn), turn, lasts, what, r.size(4*turn, 0), rounds)
		s.note("%s Calm seconds of the two in turn: %s; the machine was without %s.", whatIsCalm, strings.Join(seconds, ", then "), strings.Join(stolen, ", then "))
		return s, nil
	}
}

package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// readying is how long the two of a pair may take until people can write.
	readying = 15 * time.Second
	// turn is for how many seconds one of them has the machine while the other rests;
	// what happens each minute is in the turns of both.
	turn = 7
)

// loadFlags is the load of the runs that go on for long; nothing counts while it warms up.
func (r *run) loadFlags(warm int) []string {
	return []string{
		"loadtest", "--json", "--rate", "300", "--warm", strconv.Itoa(r.size(warm, 0)) + "s", "--conversations", "20000",
		"--statuses", "0", "--duplicates", "0",
	}
}

// inTurn does two runs that have the machine in turn for so many seconds, one of them
// without a CRM: two that follow each other differ by more wherever its host shares
// processors. Without a way there is no CRM in either. They change places every round,
// so that over two of them each begins as often as the other.
func (r *run) inTurn(ctx context.Context, bin, way string, round, lasts int, command ...string) (pair crmPair, err error) {
	command = append(command, "--duration", strconv.Itoa(lasts)+"s", "--turns", strconv.Itoa(turn)+"s",
		"--begin", time.Now().Add(readying).Format(time.RFC3339), "--seed", newSeed())
	with, without := slices.Clone(command), slices.Clone(command)
	if way != "" {
		with = append(with, "--crm", way, "--crm-stays")
	}
	if round%2 == 0 {
		without = append(without, "--second")
	} else {
		with = append(with, "--second")
	}
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error { return loadtest(ctx, bin, with, &pair.with) })
	both.Go(func() error { return loadtest(ctx, bin, without, &pair.without) })
	return pair, both.Wait()
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
		load := r.loadFlags(4 * turn)
		what := "in neither is a CRM"
		if way != "" {
			what = "in one the CRM is so all that time, in the other there is none"
		}
		var pairs []crmPair
		var stolen, calm []string
		for round := range rounds {
			pair, err := r.inTurn(ctx, bin, way, round, lasts, load...)
			if err != nil {
				return nil, err
			}
			r.progress("pair %d of %d: %s", round+1, rounds, pair)
			pairs = append(pairs, pair)
			calm = append(calm, fmt.Sprintf("%.0f and %.0f", pair.with.Calm.Seconds, pair.without.Calm.Seconds))
			stolen = append(stolen, fmt.Sprintf("%.1f and %.1f %%", pair.with.Stolen*100, pair.without.Stolen*100))
		}
		s := &section{}
		addFelt(s, r, "the machine in turn", pairs, way != "")
		s.add(crmRow("CPU for a message, the machine in turn", "µs", pairs, crmReport.cpu, false))
		s.note("The machine in turn: two runs of `psi-router %s`, each on an installation of its own, write for %d s each in turn, for %d s; %s. The first %d s are not counted, nor the first fifth of each turn and its last tenth. Pairs: %d, whose medians these are; what differs is the median of the differences within each. The CRM has the first turn in every other one.",
			strings.Join(load, " "), turn, lasts, what, r.size(4*turn, 0), rounds)
		s.note("%s Calm seconds of the two in turn: %s; the machine was without %s.", whatIsCalm, strings.Join(calm, ", then "), strings.Join(stolen, ", then "))
		return s, nil
	}
}

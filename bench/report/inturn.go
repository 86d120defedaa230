package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// enduring is the load of the runs that go on for long.
func (r *run) enduring() []string {
	return []string{
		"loadtest", "--json", "--rate", "300", "--warm", strconv.Itoa(r.size(10, 0)) + "s", "--conversations", "20000",
		"--statuses", "0", "--duplicates", "0",
	}
}

// inTurn measures for twenty minutes what is felt of a CRM that is so all the time: two
// runs share the machine in turn, one of them without a CRM, as two that follow each
// other differ by more wherever its host shares processors. Without a way there is no
// CRM in either, which says how much two equal runs differ by chance.
func inTurn(way string) func(context.Context, *run) (*section, error) {
	return func(ctx context.Context, r *run) (*section, error) {
		bin, err := r.program(ctx)
		if err != nil {
			return nil, err
		}
		lasts := r.size(1200, 20)
		both := append(r.enduring(), "--duration", strconv.Itoa(lasts)+"s", "--turns", strconv.Itoa(turn)+"s",
			"--begin", time.Now().Add(readying).Format(time.RFC3339), "--seed", newSeed())
		with, without := slices.Clone(both), append(slices.Clone(both), "--second")
		what := " without a CRM"
		if way != "" {
			what = ", with a CRM that is so all that time and without"
			with = append(with, "--crm", way, "--crm-stays")
		}
		r.say("psi-router %s", strings.Join(with, " "))
		pair, err := r.crmPair(ctx, bin, with, without)
		if err != nil {
			return nil, err
		}
		pairs := []crmPair{pair}
		s := &section{}
		addFelt(s, r, "the machine in turn", pairs, way != "")
		s.add(crmRow("CPU for a message, the machine in turn", "µs", pairs, crmReport.cpu, false))
		s.note("The machine in turn: two runs%s, each on an installation of its own, write for %d s each in turn, for %d s. The first fifth of each turn and its last tenth are not counted.", what, turn, lasts)
		s.note("%s", whatIsCalm+fmt.Sprintf(" Calm seconds of the two in turn: %.0f and %.0f; the machine was without %.1f and %.1f %% on the whole.",
			pair.with.Calm.Seconds, pair.without.Calm.Seconds, pair.with.Stolen*100, pair.without.Stolen*100))
		return s, nil
	}
}

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/psivisionhub/psi-router/internal/rehearse"
)

// crmWays is how the CRM behaves, as loadtest knows it and as people read it; ""
// is none. One that misbehaves must not be felt; one that works takes two events for
// each message, which costs what it costs.
var crmWays = []struct {
	key, name  string
	misbehaves bool
}{
	{"slow", "a CRM that answers after 5 s", true},
	{"fails", "a CRM that answers 500", true},
	{"hangs", "a CRM that hangs", true},
	{"gone", "a CRM that is gone", true},
	{"", "none in both", false}, // how much two equal runs differ
	{"works", "a CRM that works", false},
}

// felt is what people and WhatsApp would feel of a CRM.
var felt = []struct {
	name string
	of   func(webhook, reply rehearse.Latency) float64 // ms
}{
	{"webhook p99", func(webhook, _ rehearse.Latency) float64 { return webhook.P99 }},
	{"reply p50", func(_, reply rehearse.Latency) float64 { return reply.P50 }},
	{"reply p99", func(_, reply rehearse.Latency) float64 { return reply.P99 }},
}

// calm is how it went while nobody else had the processors.
func calm(r rehearse.Report) rehearse.Calm {
	if r.Calm == nil {
		return rehearse.Calm{}
	}
	return *r.Calm
}

// calmest is the fewest calm seconds of any run.
func calmest(pairs []crmPair) float64 {
	return slices.Min(columnOf(pairs, func(p crmPair) float64 { return float64(min(calm(p.with).Seconds, calm(p.without).Seconds)) }))
}

// crmPair is two runs that had the machine in turn, one of them without a CRM.
type crmPair struct{ with, without rehearse.Report }

// String is what was felt with a CRM and, in brackets, without.
func (p crmPair) String() string {
	text := make([]string, len(felt))
	for i, f := range felt {
		text[i] = fmt.Sprintf("%s %.1f ms (%.1f)", f.name, f.of(p.with.Webhook, p.with.Reply), f.of(p.without.Webhook, p.without.Reply))
	}
	return strings.Join(text, ", ")
}

// crm measures what a CRM costs that works or does not, against none, in rounds of
// one pair for each way.
func crm(ctx context.Context, r *run) (*section, error) {
	bin, err := r.program(ctx)
	if err != nil {
		return nil, err
	}
	rounds, lasts := r.size(2, 1), r.size(180, 2*turn)
	pairs := map[string][]crmPair{}
	for round := range rounds {
		for i := range crmWays {
			way := crmWays[(i+round)%len(crmWays)]
			if way.key == "works" && round > 0 { // it has no aim: one pair says what it costs
				continue
			}
			pair, err := inTurn(ctx, bin, way.key, round, lasts, r.crmLoad(1000, 2*turn))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", way.name, err)
			}
			r.progress("round %d of %d, %s: %s", round+1, rounds, way.name, pair)
			pairs[way.key] = append(pairs[way.key], pair)
		}
	}
	s := &section{}
	for _, way := range crmWays {
		addFelt(s, r, way.name, pairs[way.key], way.misbehaves)
	}
	for _, way := range crmWays {
		each := func(of func(rehearse.Report) float64) float64 {
			return median(columnOf(pairs[way.key], func(p crmPair) float64 { return of(p.with) }))
		}
		s.add(row{
			What: "CPU for a message, " + way.name, Unit: "µs", Value: each(cpu),
			Detail: fmt.Sprintf("%+.0f %%; the router %.0f, Redis %.0f, PostgreSQL %.0f; memory at most: all processes of the router %.0f MB, Redis %.1f MB",
				(median(columnOf(pairs[way.key], func(p crmPair) float64 { return cpu(p.with) / cpu(p.without) }))-1)*100,
				each(func(c rehearse.Report) float64 { return c.CPU.Router }), each(func(c rehearse.Report) float64 { return c.CPU.Redis }), each(func(c rehearse.Report) float64 { return c.CPU.Postgres }),
				each(func(c rehearse.Report) float64 { return float64(c.Memory.Router) })/1e6, each(func(c rehearse.Report) float64 { return float64(c.Memory.Redis) })/1e6),
		})
	}
	s.note("Pairs of runs, each run on an installation of its own: in one there is no CRM. 300 messages/s of 1,000 people over Redis (every write synced) and PostgreSQL, one webhook and two worker processes. The two have the machine in turn, %d s each, for %d s; the first %d s are not counted, nor the first fifth of each turn and its last tenth. Time counts from when a message was due. Load, WhatsApp, CRM and servers share the cores.", turn, lasts, 2*turn)
	s.note("%s", whatIsCalm)
	s.note("Medians of %d rounds (one where the CRM works). What differs is the median of the differences within each pair: from one minute to the next the machine itself differs by more. The pair with none in both says how much two equal runs differ by chance; longer pairs, which differ less, are in the next sections.", rounds)
	s.note("Every message brings two events or more. That every event is there, in order, once the CRM is back, and that memory stays bounded, is tested: TestCRMMisbehaves and TestProofCRM of internal/rehearse; for ten minutes of 500 it is in the next section.")
	return s, nil
}

func cpu(c rehearse.Report) float64 { return c.CPU.Router + c.CPU.Redis + c.CPU.Postgres }

// whatIsCalm explains the rows that addFelt adds.
const whatIsCalm = "A second is calm in which the machine was without 2 % of its processors at most: its host may give them to other machines while it has work for them (steal in /proc/stat)."

// addFelt adds what was felt in all seconds and, if there were enough, in calm ones.
func addFelt(s *section, r *run, name string, pairs []crmPair, judged bool) {
	for _, f := range felt {
		s.add(crmRow(f.name+", "+name, "ms", pairs, func(r rehearse.Report) float64 { return f.of(r.Webhook, r.Reply) }, judged))
	}
	if n := calmest(pairs); n < float64(r.size(30, 1)) {
		s.note("Too few calm seconds to compare, %.0f: %s.", n, name)
		return
	}
	for _, f := range felt {
		s.add(crmRow(f.name+" in calm seconds, "+name, "ms", pairs, func(r rehearse.Report) float64 { return f.of(calm(r).Webhook, calm(r).Reply) }, judged))
	}
}

func crmRow(what, unit string, pairs []crmPair, of func(rehearse.Report) float64, misbehaves bool) row {
	with := columnOf(pairs, func(p crmPair) float64 { return of(p.with) })
	without := columnOf(pairs, func(p crmPair) float64 { return of(p.without) })
	ratios := columnOf(pairs, func(p crmPair) float64 { return of(p.with) / of(p.without) })
	raw := map[string]float64{}
	for i := range pairs {
		raw[fmt.Sprintf("run %d", i+1)], raw[fmt.Sprintf("without, run %d", i+1)] = with[i], without[i]
	}
	detail := fmt.Sprintf("%+.0f %%", (median(ratios)-1)*100)
	if len(pairs) > 1 {
		detail += fmt.Sprintf(" (%+.0f to %+.0f %%)", (slices.Min(ratios)-1)*100, (slices.Max(ratios)-1)*100)
	}
	one := row{What: what, Unit: unit, Value: median(with), Raw: raw, Detail: fmt.Sprintf("%s; none: %s %s", detail, human(median(without)), unit)}
	if misbehaves {
		one.Aim, one.Met = "within 10 % of none", atMost(1.1, "").met(median(ratios))
	}
	return one
}

func columnOf(pairs []crmPair, of func(crmPair) float64) []float64 {
	all := make([]float64, len(pairs))
	for i, p := range pairs {
		all[i] = of(p)
	}
	return all
}

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/psivisionhub/psi-router/internal/rehearse"
)

// crmWays are the modes of the CRM, with the key of loadtest and a name; "" is no CRM. A
// CRM that misbehaves must not slow anything down. A working one has no aim: it takes two
// events for each message.
var crmWays = []struct {
	key, name  string
	misbehaves bool
}{
	{"slow", "a CRM that answers after 5 s", true},
	{"fails", "a CRM that answers 500", true},
	{"hangs", "a CRM that hangs", true},
	{"gone", "a CRM that is gone", true},
	{"", "none in both", false}, // shows how much two equal runs differ
	{"works", "a CRM that works", false},
}

// felt are the figures that people and WhatsApp would notice.
var felt = []struct {
	name string
	of   func(webhook, reply rehearse.Latency) float64 // ms
}{
	{"webhook p99", func(webhook, _ rehearse.Latency) float64 { return webhook.P99 }},
	{"reply p50", func(_, reply rehearse.Latency) float64 { return reply.P50 }},
	{"reply p99", func(_, reply rehearse.Latency) float64 { return reply.P99 }},
}

// calm returns the figures of the calm seconds.
func calm(r rehearse.Report) rehearse.Calm {
	if r.Calm == nil {
		return rehearse.Calm{}
	}
	return *r.Calm
}

// calmest is the smallest number of calm seconds of any run.
func calmest(pairs []crmPair) float64 {
	return slices.Min(columnOf(pairs, func(p crmPair) float64 { return float64(min(calm(p.with).Seconds, calm(p.without).Seconds)) }))
}

// crmPair is two runs that took turns on the machine, one of them without a CRM.
type crmPair struct{ with, without rehearse.Report }

// String lists the figures with a CRM and, in brackets, without.
func (p crmPair) String() string {
	text := make([]string, len(felt))
	for i, f := range felt {
		text[i] = fmt.Sprintf("%s %.1f ms (%.1f)", f.name, f.of(p.with.Webhook, p.with.Reply), f.of(p.without.Webhook, p.without.Reply))
	}
	return strings.Join(text, ", ")
}

// crm compares each mode of a CRM with no CRM, in rounds of one pair for each mode.
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
			if way.key == "works" && round > 0 { // it has no aim: one pair is enough
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
			Detail: fmt.Sprintf("%+.0f %%; the router %.0f, Redis %.0f, PostgreSQL %.0f; peak memory: all processes of the router %.0f MB, Redis %.1f MB",
				(median(columnOf(pairs[way.key], func(p crmPair) float64 { return cpu(p.with) / cpu(p.without) }))-1)*100,
				each(func(c rehearse.Report) float64 { return c.CPU.Router }), each(func(c rehearse.Report) float64 { return c.CPU.Redis }), each(func(c rehearse.Report) float64 { return c.CPU.Postgres }),
				each(func(c rehearse.Report) float64 { return float64(c.Memory.Router) })/1e6, each(func(c rehearse.Report) float64 { return float64(c.Memory.Redis) })/1e6),
		})
	}
	s.note("Pairs of runs, one of them without a CRM, each with its own installation. 300 messages/s from 1,000 people on Redis (every write synced) and PostgreSQL, with one webhook process and two workers. The two take turns on the machine, %d s each, for %d s; the first %d s do not count, nor does the first fifth or the last tenth of each turn. Time counts from when a message was due. Load, WhatsApp, CRM and servers share the cores.", turn, lasts, 2*turn)
	s.note("%s", whatIsCalm)
	s.note("Medians of %d rounds (one where the CRM works). The difference is the median of those within each pair, as the machine's speed changes more from minute to minute. The pair without any CRM shows how much two equal runs differ by chance. The next sections have longer pairs, which differ less.", rounds)
	s.note("Every message brings two events or more. TestCRMMisbehaves and TestProofCRM of internal/rehearse check that the CRM has every event in order after its recovery, and that memory stays bounded. The next section shows it for ten minutes of 500.")
	return s, nil
}

func cpu(c rehearse.Report) float64 { return c.CPU.Router + c.CPU.Redis + c.CPU.Postgres }

// whatIsCalm explains the rows that addFelt adds.
const whatIsCalm = "In a calm second the host gave at most 2 % of the processor time to other machines (steal in /proc/stat)."

// addFelt adds the figures of all seconds and, if there are enough, of the calm ones.
func addFelt(s *section, r *run, name string, pairs []crmPair, judged bool) {
	for _, f := range felt {
		s.add(crmRow(f.name+", "+name, "ms", pairs, func(r rehearse.Report) float64 { return f.of(r.Webhook, r.Reply) }, judged))
	}
	if n := calmest(pairs); n < float64(r.size(30, 1)) {
		s.note("Too few calm seconds to compare (%.0f): %s.", n, name)
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

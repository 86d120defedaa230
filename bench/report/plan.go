package main

import (
	"context"
	"fmt"
	"strconv"
)

// Sides of BenchmarkPlanStack.
const (
	planSide    = "PlanStack/plan/everysec"
	relaxedSide = "PlanStack/ours/everysec"
	fsyncSide   = "PlanStack/ours/always"
)

// plan measures the original plan's stack and ours, in rounds of one run of each. They are
// compared within a round, as the machine's speed changes from round to round.
func plan(ctx context.Context, r *run) (*section, error) {
	rounds, messages := r.size(6, 1), r.size(40_000, 1_000)
	sides := map[string][]map[string]float64{}
	for round := range rounds {
		r.progress("round %d of %d", round+1, rounds)
		all, err := r.gobench(ctx, "./bench", "^BenchmarkPlanStack$", "1x", "BENCH_MESSAGES="+strconv.Itoa(messages))
		if err != nil {
			return nil, err
		}
		for _, key := range []string{planSide, relaxedSide, fsyncSide} {
			m := find(all, key).metrics
			if m == nil {
				return nil, fmt.Errorf("%s did not run", key)
			}
			sides[key] = append(sides[key], m)
		}
	}
	s := &section{}
	for _, side := range []struct{ name, key string }{
		{"the plan, AOF everysec", planSide},
		{"PSI Router, AOF everysec, relaxed", relaxedSide},
		{"PSI Router, AOF always, fsync", fsyncSide},
	} {
		s.sideRows(side.name, side.key, sides)
	}
	s.note("Medians of %d rounds, each with the plan, ours relaxed and ours with always. The factor over the plan is the median of the rounds' ratios.", rounds)
	s.note("The plan's stack is bench/plan-stack: Express, BullMQ, five workers with ten jobs each, four queries a message. It neither authenticates nor deduplicates, and its five workers reorder the messages of a person.")
	s.note("Load and database share the cores, so a rate is at most cores × 1,000,000 µs divided by the sum of the CPU times: ten times the plan's rate needs a tenth of the plan's CPU for each message. In %s messages from 5,000 people, one in %d makes a contact and a conversation, and as many open a ticket.", human(float64(messages)), max(1, messages/5_000))
	s.note("Ours: one webhook process and two workers with two batches at once, sends paused, the same Redis settings and PostgreSQL (durable), and a signed body for each message.")
	return s, nil
}

func (s *section) sideRows(name, key string, sides map[string][]map[string]float64) {
	of := func(metric string) float64 { return median(column(sides[key], metric)) }
	times := func(metric string) float64 {
		all := column(sides[key], metric)
		for i, its := range column(sides[planSide], metric) {
			all[i] /= its
		}
		return median(all)
	}
	webhook := row{
		What: name + ": webhook", Value: of("requests/s"), Unit: "requests/s",
		Detail: fmt.Sprintf("32 connections, one message each; p50 %.1f ms; CPU for each: webhook %.0f µs, Redis %.0f µs",
			of("p50-ms"), of("door-webhook-us/msg"), of("door-redis-us/msg")),
		Raw: rawValues(sides[key]),
	}
	late := row{What: name + ": webhook p99", Value: of("p99-ms"), Unit: "ms"}
	handled := row{
		What: name + ": processed into PostgreSQL", Value: of("handled/s"), Unit: "messages/s",
		Detail: fmt.Sprintf("CPU for each: workers %.0f µs, PostgreSQL %.0f µs, Redis %.0f µs", of("workers-us/msg"), of("postgres-us/msg"), of("redis-us/msg")),
	}
	if key != planSide {
		handled.times(times("handled/s"), 10)
	}
	if key == relaxedSide { // always promises more than the plan, so it has no aim
		webhook.times(times("requests/s"), 3)
		a := atMost(median(column(sides[planSide], "p99-ms")), "ms")
		late.Aim, late.Met = "below the plan's p99", a.met(late.Value)
	}
	s.add(webhook)
	s.add(late)
	s.add(handled)
}

// times adds the factor over the plan to a row, and its aim.
func (r *row) times(n, aim float64) {
	a := atLeast(aim, "")
	r.Aim, r.Met = fmt.Sprintf("%.0f times the plan's", aim), a.met(n)
	r.Detail = fmt.Sprintf("%.1f times the plan's; ", n) + r.Detail
}

func column(rounds []map[string]float64, metric string) []float64 {
	all := make([]float64, len(rounds))
	for i, m := range rounds {
		all[i] = m[metric]
	}
	return all
}

// rawValues returns the figures of every round, for the JSON file.
func rawValues(rounds []map[string]float64) map[string]float64 {
	if len(rounds) == 1 {
		return rounds[0]
	}
	all := map[string]float64{}
	for i, m := range rounds {
		for k, v := range m {
			all[fmt.Sprintf("%s, round %d", k, i+1)] = v
		}
	}
	return all
}

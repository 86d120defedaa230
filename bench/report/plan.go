package main

import (
	"context"
	"fmt"
	"strconv"
)

// plan measures the original plan's own stack and ours in one run.
func plan(ctx context.Context, r *run) (*section, error) {
	all, err := r.gobench(ctx, "./bench", "^BenchmarkPlanStack$", "1x", "BENCH_MESSAGES="+strconv.Itoa(r.size(20_000, 1_000)))
	if err != nil {
		return nil, err
	}
	its := find(all, "PlanStack/plan/everysec").metrics
	if its == nil {
		return nil, fmt.Errorf("the plan's stack did not run")
	}
	s := &section{}
	for _, side := range []struct{ name, key string }{
		{"the plan, AOF everysec", "PlanStack/plan/everysec"},
		{"PSI Router, AOF everysec, relaxed", "PlanStack/ours/everysec"},
		{"PSI Router, AOF always, fsync", "PlanStack/ours/always"},
	} {
		m := find(all, side.key).metrics
		if m == nil {
			continue
		}
		var rate, late, handled aim
		if side.key != "PlanStack/plan/everysec" {
			handled = ratio(its["handled/s"], 10, "messages/s")
		}
		if side.key == "PlanStack/ours/everysec" { // with always it promises more than the plan
			rate, late = ratio(its["requests/s"], 3, "requests/s"), atMost(its["p99-ms"], "ms")
			late.text = "below the plan's p99"
		}
		s.add(row{
			What: side.name + ": webhook", Value: m["requests/s"], Unit: "requests/s", Aim: rate.text, Met: rate.met(m["requests/s"]),
			Detail: fmt.Sprintf("32 connections, one message each; p50 %.1f ms", m["p50-ms"]), Raw: m,
		})
		s.add(row{What: side.name + ": webhook p99", Value: m["p99-ms"], Unit: "ms", Aim: late.text, Met: late.met(m["p99-ms"])})
		times := ""
		if handled.text != "" {
			times = fmt.Sprintf("%.1f times the plan's; ", m["handled/s"]/its["handled/s"])
		}
		s.add(row{
			What: side.name + ": processed into PostgreSQL", Value: m["handled/s"], Unit: "messages/s", Aim: handled.text, Met: handled.met(m["handled/s"]),
			Detail: times + fmt.Sprintf("CPU for each: workers %.0f µs, PostgreSQL %.0f µs, Redis %.0f µs",
				m["workers-us/msg"], m["postgres-us/msg"], m["redis-us/msg"]),
		})
	}
	s.note("The plan's stack is bench/plan-stack: Express, BullMQ, five workers of ten jobs each, four of its queries a message. It neither authenticates nor deduplicates and its five workers reorder one person's messages.")
	s.note("Where processing falls short of ten times: load and database share the cores, so a rate is at most cores × 1,000,000 µs over the sum of the CPU times; ten times the plan's rate needs a tenth of the plan's CPU for each message. In 20,000 messages of 5,000 people a quarter of the messages make a contact and a conversation, and a quarter open a ticket.")
	s.note("Ours: one webhook and two worker processes, sends paused, the same Redis settings and PostgreSQL (durable), a signed body for each message.")
	return s, nil
}

func ratio(of, times float64, unit string) aim {
	a := atLeast(of*times, unit)
	a.text = fmt.Sprintf("%.0f times the plan's", times)
	return a
}

package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// failsReport is what the section needs of the report of psi-router loadtest.
type failsReport struct {
	crmReport
	Accepted, Stored, Answers int
	CRM                       struct {
		Events, Taken, Waited, Repeated int
		Lost, Doubled, Reordered        int
		WakeUps                         int     `json:"wake_ups"`
		Back                            float64 `json:"back_seconds"`
	}
}

// fails has a CRM answer 500 for ten minutes and more. One run has no pause, and
// then the CRM comes back; what it costs is seen in a pair that has the machine in
// turn, as the machine itself is faster in one minute than in the next.
func fails(ctx context.Context, r *run) (*section, error) {
	bin, err := r.program(ctx)
	if err != nil {
		return nil, err
	}
	lasts := r.size(600, 10)
	common := []string{"loadtest", "--json", "--rate", "300", "--warm", strconv.Itoa(r.size(10, 0)) + "s", "--conversations", "20000", "--statuses", "0", "--duplicates", "0"}
	alone := append(slices.Clone(common), "--duration", strconv.Itoa(lasts)+"s", "--crm", "fails", "--settle", "10m")
	r.say("psi-router %s", strings.Join(alone, " "))
	var one failsReport
	if err := loadtest(ctx, bin, alone, &one); err != nil {
		return nil, err
	}
	c := one.CRM
	r.say("webhook p99 %.1f ms, reply p50 %.1f ms, p99 %.1f ms; %d messages; %d events, the last of them %.1f s after the CRM was back", one.Webhook.P99, one.Reply.P50, one.Reply.P99, one.Stored, c.Events, c.Back)

	turn := r.size(30, 5)
	both := append(slices.Clone(common), "--duration", strconv.Itoa(2*lasts)+"s", "--turns", strconv.Itoa(turn)+"s",
		"--begin", time.Now().Add(readying).Format(time.RFC3339), "--seed", newSeed())
	with, without := append(slices.Clone(both), "--crm", "fails", "--crm-stays"), append(slices.Clone(both), "--second")
	r.say("psi-router %s", strings.Join(with, " "))
	pair, err := r.crmPair(ctx, bin, with, without)
	if err != nil {
		return nil, err
	}
	pairs := []crmPair{pair}

	s := &section{}
	s.add(crmRow("webhook p99", "ms", pairs, func(c crmReport) float64 { return c.Webhook.P99 }, true))
	s.add(crmRow("reply p50", "ms", pairs, func(c crmReport) float64 { return c.Reply.P50 }, true))
	s.add(crmRow("reply p99", "ms", pairs, func(c crmReport) float64 { return c.Reply.P99 }, true))
	s.add(crmRow("CPU for a message", "µs", pairs, crmReport.cpu, false))
	s.add(crmRow("memory of all processes of the router, at most", "MB", pairs, func(c crmReport) float64 { return c.Memory.Router / 1e6 }, false))
	s.add(crmRow("memory of Redis, at most", "MB", pairs, func(c crmReport) float64 { return c.Memory.Redis / 1e6 }, false))
	none, wrong := atMost(0, ""), float64(c.Lost+c.Doubled+c.Reordered)
	none.text = "none"
	s.add(row{
		What: "without a pause: events lost, doubled or out of order", Unit: "events", Value: wrong, Aim: none.text, Met: none.met(wrong),
		Detail: fmt.Sprintf("of %s events of %s messages and %s answers, %s waited; all there %.1f s after the CRM was back; %d came again under their id",
			human(float64(c.Events)), human(float64(one.Stored)), human(float64(one.Answers)), human(float64(c.Waited)), c.Back, c.Repeated),
	})
	s.add(row{What: "without a pause: webhook p99", Unit: "ms", Value: one.Webhook.P99, Detail: fmt.Sprintf("reply p50 %s ms, p99 %s ms", human(one.Reply.P50), human(one.Reply.P99))})
	s.add(row{
		What: "without a pause: wake-ups in the queue, at most", Unit: "wake-ups", Value: float64(c.WakeUps),
		Detail: fmt.Sprintf("memory at most: all processes of the router %s MB, Redis %s MB, also while the CRM catches up", human(one.Memory.Router/1e6), human(one.Memory.Redis/1e6)),
	})
	s.note("Without a pause: `psi-router %s`. The CRM answers 500 for %d s; when people stop writing it works, and every event is asked for: each message brings two or more. Back-offs pass as fast as the clock.", strings.Join(alone, " "), lasts)
	s.note("What differs is of a pair of runs, one without a CRM, that have the machine in turn, %d s each, for %d s; the CRM answers 500 all that time. The first fifth of each turn and its last tenth are not counted.", turn, 2*lasts)
	return s, nil
}

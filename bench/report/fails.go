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

// fails has a CRM answer 500 for long under a load that never pauses, and then come
// back. Runs without a CRM are before the first and after the last.
func fails(ctx context.Context, r *run) (*section, error) {
	bin, err := r.program(ctx)
	if err != nil {
		return nil, err
	}
	lasts := r.size(600, 10)
	without := []string{
		"loadtest", "--json", "--rate", "300", "--duration", strconv.Itoa(lasts) + "s", "--warm", strconv.Itoa(r.size(10, 0)) + "s",
		"--conversations", "20000", "--statuses", "0", "--duplicates", "0", "--settle", "10m",
	}
	with := append(slices.Clone(without), "--crm", "fails")
	var reports [4]failsReport
	for i, args := range [][]string{without, with, with, without} {
		args = append(slices.Clone(args), "--seed", strconv.FormatInt(time.Now().UnixNano()%1_000_000+1, 10))
		r.say("psi-router %s", strings.Join(args, " "))
		one := &reports[i]
		if err := loadtest(ctx, bin, args, one); err != nil {
			return nil, err
		}
		r.say("webhook p99 %.1f ms, reply p50 %.1f ms, p99 %.1f ms; %d messages; %d events, the last of them %.1f s after the CRM was back", one.Webhook.P99, one.Reply.P50, one.Reply.P99, one.Stored, one.CRM.Events, one.CRM.Back)
	}
	pairs := []crmPair{
		{with: reports[1].crmReport, without: reports[0].crmReport},
		{with: reports[2].crmReport, without: reports[3].crmReport},
	}
	s := &section{}
	s.add(crmRow("webhook p99", "ms", pairs, func(c crmReport) float64 { return c.Webhook.P99 }, true))
	s.add(crmRow("reply p50", "ms", pairs, func(c crmReport) float64 { return c.Reply.P50 }, true))
	s.add(crmRow("reply p99", "ms", pairs, func(c crmReport) float64 { return c.Reply.P99 }, true))
	s.add(crmRow("CPU for a message", "µs", pairs, crmReport.cpu, false))
	s.add(crmRow("memory of all processes of the router, at most", "MB", pairs, func(c crmReport) float64 { return c.Memory.Router / 1e6 }, false))
	s.add(crmRow("memory of Redis, at most", "MB", pairs, func(c crmReport) float64 { return c.Memory.Redis / 1e6 }, false))
	none := atMost(0, "")
	none.text = "none"
	for i, one := range []failsReport{reports[1], reports[2]} {
		c := one.CRM
		s.add(row{
			What: fmt.Sprintf("run %d, events lost, doubled or out of order", i+1), Unit: "events",
			Value: float64(c.Lost + c.Doubled + c.Reordered), Aim: none.text, Met: none.met(float64(c.Lost + c.Doubled + c.Reordered)),
			Detail: fmt.Sprintf("of %s events of %s messages and %s answers, %s waited; all there %.1f s after the CRM was back; %d came again under their id; the queue held %d wake-ups at most",
				human(float64(c.Events)), human(float64(one.Stored)), human(float64(one.Answers)), human(float64(c.Waited)), c.Back, c.Repeated, c.WakeUps),
		})
	}
	s.note("`psi-router %s`", strings.Join(with, " "))
	s.note("Four runs of %d s, one after the other, each on an installation of its own: without a CRM, with one that answers 500 all the time, the same again, and again without. What differs is the median of the two pairs. Back-offs pass as fast as the clock.", lasts)
	s.note("When people stop writing the CRM works, and every event is asked for: each message brings two or more. The memory is the most until then and while it catches up.")
	return s, nil
}

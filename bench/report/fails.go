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
	Stored, Answers int
	CRM             struct {
		Events, Waited, Repeated int
		Lost, Doubled, Reordered int
		WakeUps                  int     `json:"wake_ups"`
		Back                     float64 `json:"back_seconds"`
	}
}

// fails has a CRM answer 500 for ten minutes under a load that never pauses, and then
// come back. Runs without a CRM are before the first and after the last. Where the
// machine shares its processors with others, two equal runs, one after the other,
// differ by more than anybody could feel of a CRM; so what is judged is one more pair
// that has the machine in turn: all of it, and the seconds when it was for itself.
func fails(ctx context.Context, r *run) (*section, error) {
	bin, err := r.program(ctx)
	if err != nil {
		return nil, err
	}
	lasts := r.size(600, 10)
	const turn = 7 // seconds; what happens each minute is in the turns of both
	common := []string{"loadtest", "--json", "--rate", "300", "--warm", strconv.Itoa(r.size(10, 0)) + "s", "--conversations", "20000", "--statuses", "0", "--duplicates", "0"}

	none := append(slices.Clone(common), "--duration", strconv.Itoa(lasts)+"s", "--settle", "10m")
	broken := append(slices.Clone(none), "--crm", "fails")
	var runs [4]failsReport
	for i, args := range [][]string{none, broken, broken, none} {
		r.say("psi-router %s", strings.Join(args, " "))
		one := &runs[i]
		if err := loadtest(ctx, bin, args, one); err != nil {
			return nil, err
		}
		r.say("webhook p99 %.1f ms, reply p50 %.1f ms, p99 %.1f ms; %d messages; %d events, the last of them %.1f s after the CRM was back", one.Webhook.P99, one.Reply.P50, one.Reply.P99, one.Stored, one.CRM.Events, one.CRM.Back)
	}
	alone := []crmPair{{with: runs[1].crmReport, without: runs[0].crmReport}, {with: runs[2].crmReport, without: runs[3].crmReport}}
	equal := []crmPair{{with: runs[3].crmReport, without: runs[0].crmReport}}

	both := append(slices.Clone(common), "--duration", strconv.Itoa(2*lasts)+"s", "--turns", strconv.Itoa(turn)+"s",
		"--begin", time.Now().Add(readying).Format(time.RFC3339), "--seed", newSeed())
	with, without := append(slices.Clone(both), "--crm", "fails", "--crm-stays"), append(slices.Clone(both), "--second")
	r.say("psi-router %s", strings.Join(with, " "))
	inTurn, err := r.crmPair(ctx, bin, with, without)
	if err != nil {
		return nil, err
	}

	s := &section{}
	compared := []struct {
		name   string
		pairs  []crmPair
		judged bool
	}{{"the machine in turn", []crmPair{inTurn}, true}, {"one after the other", alone, false}, {"none in both, one after the other", equal, false}}
	for _, c := range compared {
		if calmest(c.pairs) < float64(r.size(60, 1)) {
			s.note("Too few calm seconds to compare: %s.", c.name)
			continue
		}
		for _, f := range felt {
			s.add(crmRow(f.name+" in calm seconds, "+c.name, "ms", c.pairs, whileCalm(f.of), c.judged))
		}
	}
	for _, c := range compared {
		for _, f := range felt {
			s.add(crmRow(f.name+" of all seconds, "+c.name, "ms", c.pairs, always(f.of), c.judged))
		}
	}
	s.add(crmRow("CPU for a message", "µs", alone, crmReport.cpu, false))
	s.add(crmRow("memory of all processes of the router, at most", "MB", alone, func(c crmReport) float64 { return c.Memory.Router / 1e6 }, false))
	s.add(crmRow("memory of Redis, at most", "MB", alone, func(c crmReport) float64 { return c.Memory.Redis / 1e6 }, false))
	for i, one := range runs[1:3] {
		c, aim := one.CRM, noneAtAll()
		wrong := float64(c.Lost + c.Doubled + c.Reordered)
		s.add(row{
			What: fmt.Sprintf("run %d, events lost, doubled or out of order", i+1), Unit: "events", Value: wrong, Aim: aim.text, Met: aim.met(wrong),
			Detail: fmt.Sprintf("of %s events of %s messages and %s answers, %s waited; all there %.1f s after the CRM was back; %d came again under their id; the queue held %s wake-ups at most",
				human(float64(c.Events)), human(float64(one.Stored)), human(float64(one.Answers)), human(float64(c.Waited)), c.Back, c.Repeated, human(float64(c.WakeUps))),
		})
	}
	s.note("`psi-router %s`: four runs of %d s without a pause, one after the other, each on an installation of its own: without a CRM, with one that answers 500 all the time, the same again, and again without. What differs is the median of the two pairs. Back-offs pass as fast as the clock.", strings.Join(broken, " "), lasts)
	var calm []string
	for _, one := range []crmReport{runs[0].crmReport, runs[1].crmReport, runs[2].crmReport, runs[3].crmReport, inTurn.with, inTurn.without} {
		calm = append(calm, fmt.Sprintf("%.0f (%.1f %%)", one.Calm.Seconds, one.Stolen*100))
	}
	s.note("A second is calm in which the machine was without 2 %% of its processors at most: its host may give them to other machines while it has work for them (steal in /proc/stat). Calm seconds of the four runs and of the two in turn, and what part of the processors was missing on the whole: %s.", strings.Join(calm, ", "))
	s.note("When people stop writing the CRM works, and every event is asked for: each message brings two or more. The memory is the most until then and while it catches up.")
	s.note("The machine in turn: two more runs, with such a CRM and without, write for %d s each in turn, for %d s; the CRM answers 500 all that time. The first fifth of each turn and its last tenth are not counted.", turn, 2*lasts)
	return s, nil
}

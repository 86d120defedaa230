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
// come back: that shows every event and the memory. What people feel meanwhile is
// judged by a pair that has the machine in turn, as two runs one after the other
// differ by more wherever the machine shares its processors with others.
func fails(ctx context.Context, r *run) (*section, error) {
	bin, err := r.program(ctx)
	if err != nil {
		return nil, err
	}
	lasts := r.size(600, 10)
	common := []string{"loadtest", "--json", "--rate", "300", "--warm", strconv.Itoa(r.size(10, 0)) + "s", "--conversations", "20000", "--statuses", "0", "--duplicates", "0"}

	broken := append(slices.Clone(common), "--duration", strconv.Itoa(lasts)+"s", "--settle", "10m", "--crm", "fails")
	r.say("psi-router %s", strings.Join(broken, " "))
	var one failsReport
	if err := loadtest(ctx, bin, broken, &one); err != nil {
		return nil, err
	}
	c := one.CRM
	r.say("%d messages; %d events, the last of them %.1f s after the CRM was back", one.Stored, c.Events, c.Back)

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
	aim, wrong := noneAtAll(), float64(c.Lost+c.Doubled+c.Reordered)
	s.add(row{
		What: "events lost, doubled or out of order", Unit: "events", Value: wrong, Aim: aim.text, Met: aim.met(wrong),
		Detail: fmt.Sprintf("of %s events of %s messages and %s answers, %s waited; all there %.1f s after the CRM was back; %d came again under their id; the queue held %s wake-ups at most",
			human(float64(c.Events)), human(float64(one.Stored)), human(float64(one.Answers)), human(float64(c.Waited)), c.Back, c.Repeated, human(float64(c.WakeUps))),
	})
	s.add(row{What: "memory of all processes of the router, at most", Unit: "MB", Value: one.Memory.Router / 1e6})
	s.add(row{What: "memory of Redis, at most", Unit: "MB", Value: one.Memory.Redis / 1e6})
	addFelt(s, r, "the machine in turn", pairs, true)
	s.add(crmRow("CPU for a message, the machine in turn", "µs", pairs, crmReport.cpu, false))
	s.note("`psi-router %s`: %d s without a pause; the CRM answers 500 all the time. When people stop writing it works, and every event is asked for: each message brings two or more. The memory is the most until then and while it catches up. Back-offs pass as fast as the clock.", strings.Join(broken, " "), lasts)
	s.note("The machine in turn: two more runs, with such a CRM and without, each on an installation of its own, write for %d s each in turn, for %d s; the CRM answers 500 all that time. The first fifth of each turn and its last tenth are not counted.", turn, 2*lasts)
	s.note("%s Calm seconds of the two in turn: %.0f and %.0f; the machine was without %.1f and %.1f %% on the whole.", whatIsCalm, pair.with.Calm.Seconds, pair.without.Calm.Seconds, pair.with.Stolen*100, pair.without.Stolen*100)
	return s, nil
}

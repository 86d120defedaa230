package main

import (
	"context"
	"fmt"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster"
	"github.com/psivisionhub/psi-router/internal/rehearse"
)

// fails has a CRM answer 500 for ten minutes under a load that never pauses, and then
// come back: that shows every event and the memory. What people feel of such a CRM is
// in crm-fails.
func fails(ctx context.Context, r *run) (*section, error) {
	bin, err := r.program(ctx)
	if err != nil {
		return nil, err
	}
	lasts := r.size(600, 10)
	command := fmt.Sprintf("%s --duration %ds --settle 10m --crm fails", r.crmCommand(10), lasts)
	r.progress("%s", command)
	one, err := loadtest(ctx, rehearse.Options{
		Program: bin, Duration: time.Duration(lasts) * time.Second, Settle: 10 * time.Minute, CRM: []string{cluster.CRMFails}, Load: r.crmLoad(20_000, 10),
	})
	if err != nil {
		return nil, err
	}
	c := one.CRM
	r.progress("%d messages; %d events, the last of them %.1f s after the CRM was back", one.Stored, c.Events, c.Back)

	s := &section{}
	aim, wrong := atMostNone(), float64(c.Lost+c.Doubled+c.Reordered)
	s.add(row{
		What: "events lost, doubled or out of order", Unit: "events", Value: wrong, Aim: aim.text, Met: aim.met(wrong),
		Detail: fmt.Sprintf("of %s events of %s messages and %s answers, %s waited; all there %.1f s after the CRM was back; %d came again under their id; the queue held %s wake-ups at most",
			human(float64(c.Events)), human(float64(one.Stored)), human(float64(one.Answers)), human(float64(c.Waited)), c.Back, c.Repeated, human(float64(c.WakeUps))),
	})
	s.add(row{What: "memory of all processes of the router, at most", Unit: "MB", Value: float64(one.Memory.Router) / 1e6})
	s.add(row{What: "memory of Redis, at most", Unit: "MB", Value: float64(one.Memory.Redis) / 1e6})
	s.note("`%s`: %d s without a pause; the CRM answers 500 all the time. When people stop writing it works, and every event is asked for: each message brings two or more. The memory is the most until then and while it catches up. Back-offs pass as fast as the clock.", command, lasts)
	return s, nil
}

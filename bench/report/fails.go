package main

import (
	"context"
	"fmt"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster"
	"github.com/psivisionhub/psi-router/internal/rehearse"
)

// fails measures the events and the memory with a CRM that answers 500 for ten minutes
// under a constant load, and then recovers. crm-fails measures what people notice of it.
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
	r.progress("%d messages; %d events, the last one %.1f s after the CRM recovered", one.Stored, c.Events, c.Back)

	s := &section{}
	aim, wrong := atMostNone(), float64(c.Lost+c.Doubled+c.Reordered)
	s.add(row{
		What: "events lost, doubled or out of order", Unit: "events", Value: wrong, Aim: aim.text, Met: aim.met(wrong),
		Detail: fmt.Sprintf("of %s events of %s messages and %s answers, %s waited; complete %.1f s after the CRM recovered; %d repeated under the same id; at most %s wake-ups in the queue",
			human(float64(c.Events)), human(float64(one.Stored)), human(float64(one.Answers)), human(float64(c.Waited)), c.Back, c.Repeated, human(float64(c.WakeUps))),
	})
	s.add(row{What: "peak memory of all processes of the router", Unit: "MB", Value: float64(one.Memory.Router) / 1e6})
	s.add(row{What: "peak memory of Redis", Unit: "MB", Value: float64(one.Memory.Redis) / 1e6})
	s.note("`%s`: %d s without a pause, during which the CRM answers 500. When the load ends the CRM recovers, and every event is verified: each message brings two or more. The memory is the peak over the whole run. Back-offs have their normal length.", command, lasts)
	return s, nil
}

package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/psivisionhub/psi-router/internal/loadgen"
	"github.com/psivisionhub/psi-router/internal/rehearse"
)

type drillCmd struct {
	Messages      int           `default:"10000" help:"Messages to write."`
	Conversations int           `default:"500" help:"People who write them."`
	Webhooks      int           `default:"2" help:"Webhook processes."`
	Workers       int           `default:"3" help:"Worker processes."`
	Embedded      bool          `help:"One process on SQLite, without Redis and PostgreSQL."`
	Faults        int           `default:"10" help:"How many things go wrong, one after the other."`
	Only          []string      `placeholder:"FAULT" help:"Only these faults; --only list names them."`
	Hurry         float64       `default:"1" help:"Back-offs pass so many times faster: with 60, an outage of a second is as hard as one of a minute."`
	Duration      time.Duration `help:"Stop writing after so long, for example 5m."`
	Seed          uint64        `help:"Decides what goes wrong and when; otherwise a new one."`
	Keep          bool          `help:"Keep all files: configuration, databases, logs."`
}

func (drillCmd) Help() string {
	return `It rehearses the bad days on an installation of its own, which is thrown away: people write, processes are killed, Redis and PostgreSQL go away, WhatsApp refuses and hangs; then every message and every answer is accounted for. Yours is not touched: it reads no configuration, listens on loopback only, and ends only what it started. It needs redis-server and PostgreSQL (apt-get install redis-server postgresql); without them it drills one process on SQLite.

It exits with 1 unless nothing was lost, reordered or doubled. What waits is done within the lease of a process that was killed, so the end takes half a minute.

Examples:
  psi-router drill
  psi-router drill --embedded --messages 1000 --faults 3
  psi-router drill --messages 100000 --conversations 2000 --workers 4 --faults 30
  psi-router drill --only kill_redis --only stop_postgres --faults 6 --seed 7
  psi-router drill --json > drill.json`
}

func (c *drillCmd) Run(e *env) error {
	v := e.rehearsal(drillFallback, drillInterrupted)
	v.nameWidth, v.valueWidth, v.number = 16, 8, func(n int64) string { return strconv.FormatInt(n, 10) }
	if len(c.Only) == 1 && c.Only[0] == "list" {
		return c.list(v)
	}
	program, embedded, err := v.program(c.Embedded, false)
	if err != nil {
		return err
	}
	c.Seed = seedOr(c.Seed)
	where := v.say(drillEmbedded)
	if !embedded {
		where = v.say(drillServers, c.Webhooks, c.Workers)
	}
	v.title = v.say(drillTitle, c.Seed, where, c.Messages, c.Conversations, c.Faults)
	v.fault = func(ev rehearse.Event) (text, mark string) {
		name := v.say(faultTexts[ev.Fault])
		if ev.Over {
			return v.say(drillOver, name), v.style(green, "+")
		}
		return name + " (" + ev.What + ")", v.style(yellow, "-")
	}
	v.figures = func(p rehearse.Progress) []string {
		router := v.say(rehearsalSilent)
		if p.Known {
			router = v.say(drillRouter, p.Handled, p.Depth, p.Pending, p.Dead)
		}
		return []string{
			v.say(drillProgress, p.Messages, p.WantMessages, p.MessagesPerSecond), router,
			v.say(drillSent, p.Answers), v.say(drillDone, p.Faults, p.OfFaults),
		}
	}
	return v.run(rehearse.Options{
		Program: program, Webhooks: c.Webhooks, Workers: c.Workers, Embedded: embedded, BackoffSpeedup: c.Hurry, Duration: c.Duration, Keep: c.Keep,
		Load:  loadgen.Options{Messages: c.Messages, Conversations: c.Conversations, Seed: c.Seed},
		Drill: &rehearse.Drill{Faults: c.Faults, Only: c.Only},
	}, func(rehearse.Report) error { return nil }, func(r rehearse.Report) { c.print(v, r) })
}

// list names the faults.
func (c *drillCmd) list(v *rehearsal) error {
	names := rehearse.Kinds(c.Embedded)
	if v.e.JSON {
		return v.e.printJSON(names)
	}
	table(v.e, []string{v.say(drillFault), v.say(drillWhat)}, names, func(name string) []string {
		return []string{name, v.say(faultTexts[name])}
	})
	return nil
}

func (c *drillCmd) print(v *rehearsal, r rehearse.Report) {
	took := func(seconds float64) string { return age(time.Duration(seconds * float64(time.Second))) }
	fmt.Fprintln(v.out)
	if r.Outage > 0 {
		v.row(drillOutage, took(r.Outage), "", v.say(drillOutageMore, c.Hurry))
	}
	v.count(drillAccepted, int64(r.Accepted), v.say(drillAcceptedMore, r.Unsure, r.Repeated, r.Retried))
	v.count(drillHandled, int64(r.Handled), "")
	v.count(drillLate, int64(r.Late), v.say(drillLateMore))
	v.count(rehearsalAnswers, int64(r.Sent), v.say(drillAnswersMore, r.Uncertain, r.Failed))
	v.count(drillLeft, r.Left, v.say(drillLeftMore))
	v.verdict(rehearsalLost, r.Lost)
	v.verdict(rehearsalUnanswered, r.Unanswered)
	v.verdict(rehearsalReordered, r.Reordered)
	v.verdict(rehearsalDoubled, r.Doubled)
	v.verdict(drillDead, int(r.Dead))
	v.row(drillLongest, fmt.Sprintf("%.1fs", r.LongestWait), "", v.say(drillLongestMore, r.P99Wait, r.LongestHandled))
	v.row(drillDoor, fmt.Sprintf("%.0fms", r.Webhook.Max), "", v.say(drillDoorMore, r.Webhook.P50, r.Webhook.P99))
	fmt.Fprintln(v.out)
	v.conclude(r, v.say(drillKept, len(r.Faults), took(r.Took)), v.say(drillBroken, r.Seed))
}

package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/drill"
	"github.com/psivisionhub/psi-router/internal/servers"
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

// Help implements kong's help.
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

// Run drills and reports.
func (c *drillCmd) Run(e *env) error {
	if len(c.Only) == 1 && c.Only[0] == "list" {
		return c.list(e)
	}
	program, err := os.Executable()
	if err != nil {
		return problem("find this program: %w", err)
	}
	if c.Seed == 0 {
		c.Seed = rand.Uint64N(1_000_000) + 1
	}
	out := e.out
	if e.JSON {
		out = e.err
	}
	w := drillWordsIn(e.Lang)
	if !c.Embedded {
		if missing := errors.Join(servers.HaveRedis(), servers.HavePostgres()); missing != nil {
			c.Embedded = true
			fmt.Fprintf(out, "%s\n%s\n\n", w.fallback, strings.ReplaceAll(missing.Error(), "\n", "; "))
		}
	}
	view := newDrillView(e, out, w, c)
	r, err := drill.Run(e.ctx, drill.Options{
		Program: program, Messages: c.Messages, Conversations: c.Conversations, Webhooks: c.Webhooks, Workers: c.Workers,
		Embedded: c.Embedded, Faults: c.Faults, BackoffSpeedup: c.Hurry, Only: c.Only, Duration: c.Duration, Seed: c.Seed, Keep: c.Keep,
		Tell: view.onEvent, Progress: view.onProgress,
	})
	view.clear()
	switch {
	case e.ctx.Err() != nil:
		return problem("%s", w.interrupted)
	case errors.Is(err, drill.ErrOptions):
		return usage("%w", err)
	case err != nil && r.Files != "":
		return problem("%w\n%s %s", err, w.files, r.Files)
	case err != nil:
		return problem("%w", err)
	}
	if e.JSON {
		if err := e.printJSON(r); err != nil {
			return err
		}
	} else {
		c.print(e.out, w, r, view.style)
	}
	if r.Err() != nil {
		return errSilent
	}
	return nil
}

// list names the faults.
func (c *drillCmd) list(e *env) error {
	w := drillWordsIn(e.Lang)
	names := drill.Kinds(c.Embedded)
	if e.JSON {
		return e.printJSON(names)
	}
	rows := make([][]string, len(names))
	for i, name := range names {
		rows[i] = []string{name, w.faults[name]}
	}
	e.table([]string{w.fault, w.what}, rows)
	return nil
}

// print is the report for people.
func (c *drillCmd) print(out io.Writer, w drillWords, r drill.Report, style func(code, s string) string) {
	row := func(name string, n int64, bad bool, more string) {
		code := ""
		switch {
		case bad && n > 0:
			code = red
		case bad:
			code = green
		}
		fmt.Fprintf(out, "  %-16s %s  %s\n", name, style(code, fmt.Sprintf("%8d", n)), style(dim, more))
	}
	fmt.Fprintln(out)
	if r.Outage > 0 {
		fmt.Fprintf(out, "  %-16s %8s  %s\n", w.outage, age(time.Duration(r.Outage*float64(time.Second))), style(dim, fmt.Sprintf(w.outageMore, c.Hurry)))
	}
	row(w.accepted, int64(r.Accepted), false, fmt.Sprintf(w.acceptedMore, r.Unsure, r.Repeated, r.Retried))
	row(w.handled, int64(r.Handled), false, "")
	row(w.late, int64(r.Late), false, w.lateMore)
	row(w.answers, int64(r.Sent), false, fmt.Sprintf(w.answersMore, r.Uncertain, r.Failed))
	row(w.left, r.Left, false, w.leftMore)
	row(w.lost, int64(r.Lost), true, "")
	row(w.unanswered, int64(r.Unanswered), true, "")
	row(w.reordered, int64(r.Reordered), true, "")
	row(w.doubled, int64(r.Doubled), true, "")
	row(w.dead, r.Dead, true, "")
	fmt.Fprintf(out, "  %-16s %7.1fs  %s\n", w.longest, r.LongestWait, style(dim, fmt.Sprintf(w.longestMore, r.P99Wait, r.LongestHandled)))
	fmt.Fprintf(out, "  %-16s %6.0fms  %s\n\n", w.door, r.Webhook.Max, style(dim, fmt.Sprintf(w.doorMore, r.Webhook.P50, r.Webhook.P99)))
	for _, line := range append(append([]string{}, r.Notes...), r.Wrong...) {
		fmt.Fprintf(out, "  %s %s\n", style(red, "✗"), oneLine(line, 300))
	}
	if r.Err() == nil {
		fmt.Fprintf(out, "%s %s\n", style(green, "✓"), fmt.Sprintf(w.kept, len(r.Faults), age(time.Duration(r.Took*float64(time.Second)))))
	} else {
		fmt.Fprintf(out, "%s %s\n", style(red, "✗"), fmt.Sprintf(w.broken, r.Seed))
	}
	if r.Files != "" {
		fmt.Fprintf(out, "%s %s\n", w.files, r.Files)
	}
}

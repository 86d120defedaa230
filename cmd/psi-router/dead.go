package main

import (
	"bufio"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/psivisionhub/psi-router/internal/api"
	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/phone"
)

type deadCmd struct {
	List    deadList    `cmd:"" help:"List them, newest first."`
	Show    deadShow    `cmd:"" help:"Show one with its body."`
	Redrive deadRedrive `cmd:"" help:"Put them back at the tail of their lanes."`
	Drop    deadDrop    `cmd:"" help:"Delete them for good."`
}

func (deadCmd) Help() string {
	return `A message that comes back is stored as late and changes nothing: its person is not answered, and is in the list of ` + "`psi-router left`" + `. What has to be sent is sent.

Examples:
  psi-router dead list --queue inbound
  psi-router dead show 17
  psi-router dead redrive 17 18
  psi-router dead redrive --reason "disk is full"
  psi-router dead drop 17`
}

type deadList struct {
	Queue string `help:"Only of this queue."`
	Limit int    `default:"50" help:"How many at most; 0 for all."`
}

func (c *deadList) Run(e *env) error {
	if c.Limit < 0 {
		return usage("--limit %d: write 0 for all, or how many", c.Limit)
	}
	return e.withClient(func(cl *client) error {
		all, more, err := cl.deadLetters(e, c.Queue, c.Limit)
		if err != nil {
			return err
		}
		if e.JSON {
			return e.printJSON(map[string]any{"items": all, "more": more})
		}
		if len(all) == 0 {
			e.printf("No dead letters.\n")
			return nil
		}
		table(e, []string{"id", "queue", "lane", "attempts", "given up", "error"}, all, func(d deadLetter) []string {
			return []string{
				strconv.FormatInt(d.ID, 10), d.Queue, oneLine(d.Lane, 50), strconv.Itoa(d.Attempts),
				formatTime(d.DiedAt, cl.cfg.Location()), oneLine(d.Error, textWidth),
			}
		})
		if more {
			e.printf("There are more: --limit 0 shows all.\n")
		}
		return nil
	})
}

// deadLetters reads the dead letters of a queue ("": of all), at most limit (0: all).
func (c *client) deadLetters(e *env, queue string, limit int) (all []deadLetter, more bool, err error) {
	query := url.Values{}
	if queue != "" {
		query.Set("queue", queue)
	}
	return collect(e, c, "/dead-letters", query, limit, func(deadLetter) bool { return true })
}

type deadShow struct {
	ID int64 `arg:"" help:"Its id."`
}

// Run prints JSON with or without --json: the body is data.
func (c *deadShow) Run(e *env) error {
	return e.withClient(func(cl *client) error {
		err := cl.printAnswer(e, "/dead-letters/"+strconv.FormatInt(c.ID, 10))
		if notFound(err) {
			return problem("there is no dead letter %d: `psi-router dead list` lists them", c.ID)
		}
		return err
	})
}

type deadRedrive struct {
	IDs    []int64 `arg:"" optional:"" name:"id" help:"These."`
	Queue  string  `help:"All of this queue."`
	Reason string  `help:"All whose error contains this."`
}

func (c *deadRedrive) Run(e *env) error {
	if byFilter := c.Queue != "" || c.Reason != ""; byFilter == (len(c.IDs) > 0) {
		return usage("say which: ids alone, or --queue, --reason or both; `psi-router dead list` lists them")
	}
	return e.withClient(func(cl *client) error {
		all, _, err := cl.deadLetters(e, c.Queue, 0)
		if err != nil {
			return err
		}
		done := struct {
			api.Redriven
			Leaves []string `json:"leaves"`
		}{Leaves: c.leftWithoutAnswer(all)}
		if err := cl.post(e.ctx, "/dead-letters/redrive", api.RedriveBody{IDs: c.IDs, Queue: c.Queue, Reason: c.Reason}, &done); err != nil {
			return err
		}
		if n := len(done.Leaves); n > 0 && !e.JSON {
			some := strings.Join(done.Leaves[:min(n, 20)], ", ")
			if n > 20 {
				some += ", …"
			}
			e.printf("%s\n", e.say(redriveLeft, n, some))
		}
		return e.printCount(done, "redriven", done.Redriven.Redriven, len(c.IDs))
	})
}

// leftWithoutAnswer lists the people, masked, whose messages are redriven. They get no answer
// unless they have written since.
func (c *deadRedrive) leftWithoutAnswer(all []deadLetter) []string {
	people := map[string]string{}
	for _, d := range all {
		if d.Queue != job.Inbound || len(c.IDs) > 0 && !slices.Contains(c.IDs, d.ID) || !strings.Contains(d.Error, c.Reason) {
			continue
		}
		line, person, _ := strings.Cut(d.Lane, ":")
		people[d.Lane] = line + " " + phone.Mask(person)
	}
	return append([]string{}, slices.Sorted(maps.Values(people))...) // [] and not null
}

type deadDrop struct {
	IDs []int64 `arg:"" name:"id" help:"These."`
	Yes bool    `short:"y" help:"Do not ask."`
}

// Run asks before it drops, if a person is there to answer.
func (c *deadDrop) Run(e *env) error {
	if !c.Yes && e.interactive() {
		e.printf("Delete %d for good? There is no way back. [y/N] ", len(c.IDs))
		text, _ := bufio.NewReader(e.in).ReadString('\n')
		if a := strings.ToLower(strings.TrimSpace(text)); a != "y" && a != "yes" && a != "s" && a != "si" && a != "sí" {
			return problem("nothing was deleted")
		}
	}
	return e.withClient(func(cl *client) error {
		var done api.Dropped
		if err := cl.post(e.ctx, "/dead-letters/drop", api.DropBody{IDs: c.IDs}, &done); err != nil {
			return err
		}
		return e.printCount(done, "dropped", done.Dropped, len(c.IDs))
	})
}

// printCount prints the count, and fails if some of the named ones did not exist.
func (e *env) printCount(v any, verb string, n, asked int) error {
	if err := e.report(v, "%d %s\n", n, verb); err != nil {
		return err
	}
	if n < asked {
		return problem("%d of %d were not there any more", asked-n, asked)
	}
	return nil
}

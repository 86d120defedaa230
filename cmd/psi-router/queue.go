package main

import (
	"encoding/json"
	"net/url"
	"strconv"
	"time"

	"github.com/alecthomas/kong"
)

type queueCmd struct {
	Stats  queueStats `cmd:"" help:"What waits, runs and was given up."`
	Pause  queueState `cmd:"" help:"Hand out nothing until it is resumed."`
	Resume queueState `cmd:"" help:"End a pause."`
	Drain  queueDrain `cmd:"" help:"Wait until nothing is left, or say what is."`
}

func (queueCmd) Help() string {
	return `Examples:
  psi-router queue stats
  psi-router queue pause send:wsp4
  psi-router queue resume send:wsp4
  psi-router queue drain`
}

type queueStats struct{}

func (queueStats) Run(e *env) error {
	return e.withClient(func(cl *client) error {
		if e.JSON {
			return cl.printAnswer(e, "/queues")
		}
		var list queueList
		if err := cl.get(e.ctx, "/queues", &list); err != nil {
			return err
		}
		queueTable(e, cl, list.Items)
		if at := list.EmptiedAt; at != nil {
			e.printf("\nRedis came back empty on %s: what had arrived and was not handled by then is lost, and so are dead letters.\n",
				at.In(cl.cfg.Location()).Format("02/01/2006 15:04"))
		}
		return nil
	})
}

func queueTable(e *env, cl *client, queues []queueRow) {
	table(e, []string{"queue", "waiting", "running", "dead", "oldest", "rate", "state"}, queues, func(q queueRow) []string {
		oldest, rate, state := "–", "–", "open"
		if q.Depth > 0 {
			oldest = age(time.Duration(q.OldestAge * float64(time.Second)))
		}
		if q.Rate != nil {
			rate = strconv.FormatFloat(*q.Rate, 'g', -1, 64) + "/s"
		}
		if q.HeldUntil != nil {
			state = "held until " + q.HeldUntil.In(cl.cfg.Location()).Format("15:04:05") + ": " + oneLine(q.HeldFor, textWidth)
		}
		if q.Paused {
			state = "paused"
		}
		return []string{
			q.Name, strconv.FormatInt(q.Depth-q.InFlight, 10), strconv.FormatInt(q.InFlight, 10),
			strconv.FormatInt(q.Dead, 10), oldest, rate, state,
		}
	})
}

// queueState serves pause and resume: the command's name is the API's verb.
type queueState struct {
	Name string `arg:"" help:"Name of the queue."`
}

func (c *queueState) Run(e *env, k *kong.Context) error {
	verb := k.Selected().Name
	return e.withClient(func(cl *client) error {
		var q json.RawMessage
		err := cl.post(e.ctx, "/queues/"+url.PathEscape(c.Name)+"/"+verb, nil, &q)
		if notFound(err) {
			return problem("there is no queue %q: `psi-router queue stats` lists them", c.Name)
		}
		if err != nil {
			return err
		}
		return e.report(q, "%s %sd\n", singleLine(c.Name), verb)
	})
}

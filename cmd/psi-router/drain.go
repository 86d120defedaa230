package main

import (
	"fmt"
	"time"
)

type queueDrain struct {
	Timeout time.Duration `default:"1m" help:"Give up after so long."`
}

func (queueDrain) Help() string {
	return `Shut the door first (take the webhook out of nginx: WhatsApp repeats for days what gets no 200), and leave the router running. This waits until all that has come is handled and sent, and says what is left if it is not. Then the router can be stopped, and its store moved to PostgreSQL and its queue left behind.

Examples:
  psi-router queue drain
  psi-router queue drain --timeout 10m
  psi-router queue drain --json`
}

// drained is what the queues still hold.
type drained struct {
	Drained bool       `json:"drained"`
	Waiting int64      `json:"waiting"`
	Dead    int64      `json:"dead"`
	Queues  []queueRow `json:"queues"` // the queues that are not empty
}

// looks is the pause between two looks at the queues.
const looks = 500 * time.Millisecond

func (c *queueDrain) Run(e *env) error {
	return e.withClient(func(cl *client) error {
		var left drained
		for began, note := e.now(), int64(-1); ; {
			var err error
			if left, err = cl.drained(e); err != nil {
				return err
			}
			if left.Waiting == 0 || !cl.live || e.now().Sub(began) >= c.Timeout {
				break
			}
			if left.Waiting != note && !e.JSON {
				fmt.Fprintf(e.err, "%s left\n", thousands(left.Waiting))
				note = left.Waiting
			}
			select {
			case <-time.After(looks):
			case <-e.ctx.Done():
				return problem("interrupted: %s left", plural(int(left.Waiting), "job"))
			}
		}
		if e.JSON {
			if err := e.printJSON(left); err != nil {
				return err
			}
			return failIf(!left.Drained)
		}
		if left.Drained {
			e.printf("Drained: nothing waits, nothing runs, and there is no dead letter.\n")
			return nil
		}
		queueTable(e, cl, left.Queues)
		switch {
		case left.Waiting == 0:
			return problem("nothing waits, and %s left: see `psi-router dead list`, then redrive or drop them", plural(int(left.Dead), "dead letter"))
		case !cl.live:
			return problem("%s left, and no router runs that would handle them: start it, and keep its door shut", plural(int(left.Waiting), "job"))
		}
		return problem("%s left after %s: wait longer with --timeout, or see what holds a queue up with `psi-router queue stats`", plural(int(left.Waiting), "job"), c.Timeout)
	})
}

func (c *client) drained(e *env) (d drained, err error) {
	var list queueList
	if err := c.get(e.ctx, "/queues", &list); err != nil {
		return d, err
	}
	d.Queues = []queueRow{}
	for _, q := range list.Items {
		d.Waiting, d.Dead = d.Waiting+q.Depth, d.Dead+q.Dead
		if q.Depth+q.Dead > 0 {
			d.Queues = append(d.Queues, q)
		}
	}
	d.Drained = d.Waiting+d.Dead == 0
	return d, nil
}

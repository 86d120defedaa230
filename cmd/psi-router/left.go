package main

import (
	"net/url"

	"github.com/psivisionhub/psi-router/internal/api"
)

type leftCmd struct {
	List    leftList    `cmd:"" default:"withargs" help:"List them, the oldest word first."`
	Dismiss leftDismiss `cmd:"" help:"Take somebody off the list: nothing is sent."`
}

func (leftCmd) Help() string {
	return `People whose last message of this week has no answer of ours: no team has them, and nothing waits to be sent. Who writes again and is answered, is handed off or closed, or is answered by anybody, is not in the list any more.

Examples:
  psi-router left
  psi-router left --line wsp4 --lang en
  psi-router left dismiss 5491155550001 --reason "ya lo llamamos"`
}

type leftList struct {
	Line  string `help:"Only of this line."`
	Limit int    `default:"50" help:"How many at most; 0 for all."`
}

type leftDismiss struct{ convID }

func (c *leftDismiss) Run(e *env) error {
	return c.command(e, "left/dismiss", api.CommandBody{Reason: c.Reason})
}

func (c *leftList) Run(e *env) error {
	if c.Limit < 0 {
		return usage("--limit %d: write 0 for all, or how many", c.Limit)
	}
	return e.withClient(func(cl *client) error {
		query := url.Values{"left": {"true"}}
		if c.Line != "" {
			query.Set("line", c.Line)
		}
		all, more, err := collect(e, cl, "/conversations", query, c.Limit, func(c conversation) bool { return c.Left != nil })
		if err != nil {
			return err
		}
		if e.JSON {
			return e.printJSON(map[string]any{"items": all, "more": more})
		}
		if len(all) == 0 {
			e.printf("%s\n", e.say(nobodyLeft))
			return nil
		}
		w := explainer{e, cl.cfg.Location(), e.now()}
		table(e, []string{e.say(sinceColumn), e.say(lineColumn), e.say(whoColumn), "id", e.say(whyColumn)}, all, func(c conversation) []string {
			return []string{w.clock(c.Left.Since), c.Line, contactLabel(c.Contact), c.ID, w.reason(c.Left.Reason)}
		})
		if more {
			e.printf("%s\n", e.say(moreLeft))
		}
		e.printf("\n%s\n", e.say(leftTodo))
		return nil
	})
}

// leftText says since when the person has no answer, and why; "" if they were answered.
func (w explainer) leftText(c conversation) string {
	if c.Left == nil {
		return ""
	}
	ago, why := age(w.now.Sub(c.Left.Since)), w.reason(c.Left.Reason)
	return w.say(leftSince, ago, why)
}

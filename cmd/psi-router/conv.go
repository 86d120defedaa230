package main

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/psivisionhub/psi-router/internal/api"
)

type convCmd struct {
	Close      convChange  `cmd:"" help:"Close: the ticket is resolved, the next message gets the menu."`
	Reset      convChange  `cmd:"" help:"Back to the start of the flow."`
	Handoff    convHandoff `cmd:"" help:"Hand over to a team."`
	Reopen     convChange  `cmd:"" help:"Reopen a closed conversation."`
	Disconnect convChange  `cmd:"" help:"Silence the bot."`
	Reconnect  convChange  `cmd:"" help:"Let the bot answer again."`
	Block      convBlock   `cmd:"" help:"Block the person: nothing is answered or sent."`
	Unblock    convBlock   `cmd:"" help:"Unblock the person."`
}

func (convCmd) Help() string {
	return `ID is a conversation's id, its ticket, or the phone of a person with one conversation.

Examples:
  psi-router conv close PSI-2026-000123
  psi-router conv reset 5491155550001
  psi-router conv handoff 5491155550001 --area admin --tag pagos
  psi-router conv block 5491155550001 --reason amenazas`
}

// convID is the conversation that a command is about, and why.
type convID struct {
	ID     string `arg:"" help:"Conversation id, ticket or phone."`
	Line   string `help:"Line, when a person has conversations on several."`
	Reason string `help:"Why; it stays in the audit."`
}

// convChange and convBlock serve several commands each: the command's name is the API's verb.
type (
	convChange  struct{ convID }
	convBlock   struct{ convID }
	convHandoff struct {
		convID
		Area string `required:"" help:"Team to hand over to."`
		Tag  string `help:"What it is about."`
	}
)

func (c *convChange) Run(e *env, k *kong.Context) error {
	return c.command(e, k.Selected().Name, api.CommandBody{Reason: c.Reason})
}

// Run blocks or unblocks the person of a conversation, and says what WhatsApp did.
func (c *convBlock) Run(e *env, k *kong.Context) error {
	return e.withClient(func(cl *client) error {
		id, err := c.find(e, cl)
		if err != nil {
			return err
		}
		var conv conversation
		if err := cl.get(e.ctx, "/conversations/"+url.PathEscape(id), &conv); err != nil {
			return err
		}
		var after api.Contact
		if err := cl.post(e.ctx, "/contacts/"+url.PathEscape(conv.Contact.ID)+"/"+k.Selected().Name, api.CommandBody{Reason: c.Reason}, &after); err != nil {
			return err
		}
		after = printed(after)
		switch {
		case after.HereOnly:
			return e.report(after, "%s is blocked here only: WhatsApp did not block them too, the audit says why (psi-router trace %s)\n", after.ID, id)
		case after.Blocked:
			return e.report(after, "%s is blocked, at WhatsApp too\n", after.ID)
		}
		return e.report(after, "%s is not blocked\n", after.ID)
	})
}

func (c *convHandoff) Run(e *env) error {
	return c.command(e, "handoff", api.HandoffBody{Area: c.Area, Tag: c.Tag, Reason: c.Reason})
}

// command posts a command and prints the conversation after it.
func (c *convID) command(e *env, verb string, body any) error {
	return e.withClient(func(cl *client) error {
		id, err := c.find(e, cl)
		if err != nil {
			return err
		}
		var after conversation
		if err := cl.post(e.ctx, "/conversations/"+url.PathEscape(id)+"/"+verb, body, &after); err != nil {
			return err
		}
		return e.report(after, "%s\n", summary(after))
	})
}

var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$`)

// find returns the conversation of an id, a ticket or a phone.
func (c *convID) find(e *env, cl *client) (string, error) {
	if uuid.MatchString(c.ID) {
		return c.ID, nil
	}
	var t trace
	if err := cl.get(e.ctx, "/trace/"+url.PathEscape(c.ID), &t); err != nil {
		return "", err
	}
	var fits []conversation
	for _, conv := range t.Conversations {
		if c.Line == "" || conv.Line == c.Line {
			fits = append(fits, conv)
		}
	}
	switch len(fits) {
	case 1:
		return fits[0].ID, nil
	case 0:
		where := ""
		if c.Line != "" {
			where = " on line " + c.Line
		}
		return "", problem("%s has no conversation%s", c.ID, where)
	}
	lines := make([]string, len(fits))
	for i, conv := range fits {
		lines[i] = "  " + summary(conv)
	}
	return "", usage("%s has several conversations: name the line with --line, or give the id\n%s", c.ID, strings.Join(lines, "\n"))
}

// summary describes a conversation in one line.
func summary(c conversation) string {
	parts := []string{c.ID, c.Line, c.State}
	for _, p := range []struct{ name, value string }{{"area", c.Area}, {"tag", c.Tag}, {"ticket", c.Ticket}, {"menu", c.Menu}} {
		if p.value != "" {
			parts = append(parts, p.name+"="+p.value)
		}
	}
	return oneLine(strings.Join(parts, " "), 300)
}

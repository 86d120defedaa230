package transcript

import (
	"fmt"
	"strings"

	"github.com/psivisionhub/psi-router/internal/router"
)

// message reads what a person does, in the syntax of ">" lines and the terminal: a text, or
// brackets with a text after them.
//
//	hola                     a text
//	[image] mirá esto        a message of another type
//	[tap: Administración]    taps the newest row or button with that title
//	[reply: principal/1/0]   taps the row or button with this id
//	[button: turnos/si] Sí   taps the button of a template with this payload
//	[form] nombre: Ana       completes a form
//	[unseen]                 writes a message whose content WhatsApp withholds
//	[stale] hola             also late, group, blocked, opted_out, echo
//	\[hola]                  a text that begins with a bracket
func (p *player) message(s string) (router.Message, error) {
	m := router.Message{Type: "text"}
	flags := map[string]*bool{
		"stale": &m.Stale, "late": &m.Late, "group": &m.Group, "blocked": &m.Blocked, "opted_out": &m.OptedOut, "echo": &m.Echo,
	}
	for strings.HasPrefix(s, "[") {
		inside, rest, closed := strings.Cut(s[1:], "]")
		if !closed {
			return m, fmt.Errorf(`"]" is missing; write \[ for a text that begins with a bracket`)
		}
		s = strings.TrimSpace(rest)
		verb, value, _ := strings.Cut(inside, ":")
		verb, value = strings.TrimSpace(verb), strings.TrimSpace(value)
		if flag := flags[verb]; flag != nil {
			*flag = true
			continue
		}
		switch verb {
		case "form":
			m.Type, m.Form = "interactive", true
		case "unseen":
			m.Type, m.Unseen = "unsupported", true
		case "button":
			if value != "" {
				m.ReplyID = value
			}
			m.Type = "button"
		case "reply":
			m.Type, m.ReplyID = "interactive", value
		case "tap":
			tapped, found := p.tap(value)
			if !found {
				return m, fmt.Errorf("no row or button %q was shown%s", value, p.tappable())
			}
			m.Type, m.Text, m.ReplyID = tapped.Type, tapped.Text, tapped.ReplyID
		case "":
			return m, fmt.Errorf("the brackets are empty; write a message type, for example [image]")
		default:
			m.Type = verb
		}
	}
	if s != "" {
		m.Text = strings.TrimPrefix(s, `\`)
	}
	return m, nil
}

func (p *player) tappable() string {
	if len(p.shown) == 0 {
		return ""
	}
	var titles []string
	for _, o := range p.shown[len(p.shown)-1].Options {
		titles = append(titles, o.Title)
	}
	return "; the last ones were: " + strings.Join(titles, ", ")
}

// commandKinds are the commands by their word in "*" lines.
var commandKinds = map[string]router.CommandKind{
	"handoff":    router.CommandHandoff,
	"agent":      router.CommandAgentSent,
	"close":      router.CommandClose,
	"reopen":     router.CommandReopen,
	"disconnect": router.CommandDisconnect,
	"reconnect":  router.CommandReconnect,
	"reset":      router.CommandReset,
	"timeout":    router.CommandTimeout,
}

// parseCommand reads a command of our side, in the syntax of "*" lines:
//
//	close
//	notice Mañana a las 10   sends a notice, which changes nothing
//	handoff area=ventas tag=precios
//	agent Hola, soy Vale
func parseCommand(s string) (router.Command, error) {
	verb, rest, _ := strings.Cut(strings.TrimSpace(s), " ")
	kind, known := commandKinds[verb]
	if !known {
		return router.Command{}, fmt.Errorf("unknown command %q; write one of: agent, close, disconnect, handoff, notice, outage, reconnect, reopen, reset, timeout", verb)
	}
	cmd := router.Command{Kind: kind}
	if kind != router.CommandHandoff {
		return cmd, nil
	}
	for _, pair := range strings.Fields(rest) {
		key, value, _ := strings.Cut(pair, "=")
		switch key {
		case "area":
			cmd.Area = value
		case "tag":
			cmd.Tag = value
		case "note":
			cmd.Note = value
		default:
			return cmd, fmt.Errorf("unknown word %q; write handoff area=admin tag=pagos", pair)
		}
	}
	if cmd.Area == "" {
		return cmd, fmt.Errorf("the area is missing; write handoff area=admin")
	}
	return cmd, nil
}

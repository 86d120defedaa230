// Package transcript plays conversations against a flow without any service. A .chat file is a
// specification, a test and documentation at once; the chat command is the same player at a
// terminal. It must never send, store or decide: the router decides, and this package shows and
// compares its decisions.
package transcript

import (
	"fmt"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/router"
)

// player is one conversation under the rules, with its history.
type player struct {
	rules        router.Rules
	conversation router.Conversation
	tickets      int
	shown        []router.Reply // menus and offers, oldest first
	optedOut     bool           // the person wants no marketing
	// delay is how long messages take to arrive. unansweredAt is when the person's last
	// message got no answer because of it; zero if it got one.
	delay        time.Duration
	unansweredAt time.Time
}

// The server's defaults: the age from which a message is stale, and the delay of the apology to
// a person who was left.
const (
	staleAfter   = 10 * time.Minute
	apologyDelay = 2 * time.Minute
)

func newPlayer(rules router.Rules, line string) *player {
	return &player{rules: rules, conversation: router.NewConversation(line)}
}

// newPerson returns a player for a new person on a line. The numbering of tickets continues.
func (p *player) newPerson(line string) *player {
	other := newPlayer(p.rules, strings.TrimSpace(line))
	other.tickets = p.tickets
	return other
}

// step is the outcome of one step of a transcript.
type step struct {
	before router.Conversation
	router.Decision
}

func (p *player) personWrites(m router.Message, now time.Time) step {
	m.OptedOut = m.OptedOut || p.optedOut
	if p.delay > 0 {
		m.SentAt, m.ReceivedAt, m.Stale = now.Add(-p.delay), now, m.Stale || p.delay > staleAfter
	}
	t := p.apply(p.rules.Step(p.conversation, m, now), now)
	switch t.Reason {
	case router.Stale, router.Late:
		if p.rules.Asks(p.conversation, m, t.Decision) {
			p.unansweredAt = now
		}
	default:
		p.unansweredAt = time.Time{}
	}
	return t
}

// act carries out a line of a person (">") or of our side ("*"). It returns nil if that was
// no step of the conversation.
func (p *player) act(sign byte, s string, now time.Time) (*step, error) {
	var t step
	verb, rest, _ := strings.Cut(s, " ")
	switch {
	case sign == '>':
		m, err := p.message(s)
		if err != nil {
			return nil, err
		}
		t = p.personWrites(m, now)
	case verb == "outage":
		return nil, p.outage(strings.TrimSpace(rest))
	case verb == "notice": // nothing of the conversation changes
		t = p.apply(router.Decision{Next: p.conversation, Reason: router.ByAPI}, now)
	default:
		cmd, err := parseCommand(s)
		if err != nil {
			return nil, err
		}
		p.unansweredAt = time.Time{}
		t = p.apply(p.rules.Apply(p.conversation, cmd, now), now)
	}
	return &t, nil
}

// runTimers fires the timer that is due: the end of a hand-off, or the apology to a person who
// was left.
func (p *player) runTimers(now time.Time) step {
	cmd := router.Command{Kind: router.CommandTimeout}
	if left := p.unansweredAt; !left.IsZero() && now.Sub(left) >= apologyDelay {
		cmd.Kind, p.unansweredAt = router.CommandApologize, time.Time{}
	}
	return p.apply(p.rules.Apply(p.conversation, cmd, now), now)
}

// outage reads the duration of "outage 25m": from here on messages take so long to arrive.
func (p *player) outage(s string) error {
	late, err := time.ParseDuration(s)
	if err != nil || late < 0 {
		return fmt.Errorf("%q is not a duration; write outage 25m, and outage 0m when it is over", s)
	}
	p.delay = late
	return nil
}

// apply does the store's part of a decision: it makes the ticket and puts it into the texts.
func (p *player) apply(d router.Decision, now time.Time) step {
	ticket := p.conversation.Ticket
	if h := d.Handoff; h != nil && (!h.Transfer || ticket == "") {
		p.tickets++
		ticket = fmt.Sprintf("PSI-%d-%06d", now.Year(), p.tickets)
	}
	if d.Handoff != nil {
		d.Next.Ticket = ticket
	}
	for i, r := range d.Replies {
		d.Replies[i].Text = strings.ReplaceAll(r.Text, "{ticket}", ticket)
		if len(r.Options) > 0 {
			p.shown = append(p.shown, r)
		}
	}
	if d.OptOut || d.OptIn {
		p.optedOut = d.OptOut
	}
	t := step{before: p.conversation, Decision: d}
	p.conversation = d.Next
	return t
}

// tap returns the message of a tap on the newest row or button with the title.
func (p *player) tap(title string) (router.Message, bool) {
	want := flow.Normalize(title)
	for i := len(p.shown) - 1; i >= 0; i-- {
		for _, o := range p.shown[i].Options {
			if flow.Normalize(o.Title) == want {
				return router.Message{Type: "interactive", Text: o.Title, ReplyID: o.ID}, true
			}
		}
	}
	return router.Message{}, false
}

// effects returns the effects of a step, as "!" lines write them.
func (t step) effects() []string {
	var list []string
	if h := t.Handoff; h != nil {
		verb := "handoff"
		if h.Transfer {
			verb = "transfer"
		}
		line := verb + " area=" + h.Area
		if h.Tag != "" {
			line += " tag=" + h.Tag
		}
		if h.FromArea != "" {
			line += " from=" + h.FromArea
		}
		list = append(list, line)
	}
	if t.Closed {
		list = append(list, "close")
	}
	if t.before.State == router.StateClosed && t.Next.State == router.StateMenu {
		list = append(list, "reopen")
	}
	if t.Label != "" {
		list = append(list, "tag "+t.Label)
	}
	if t.OptOut {
		list = append(list, "opted_out")
	}
	if t.OptIn {
		list = append(list, "opted_in")
	}
	for _, r := range t.Replies {
		if r.Menu != "" {
			list = append(list, "menu "+r.Menu+" style="+string(r.Style))
		}
	}
	if len(t.Replies) == 0 {
		list = append(list, "silence")
	}
	if t.before.State != t.Next.State {
		list = append(list, "state "+string(t.Next.State))
	}
	return list
}

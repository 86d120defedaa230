package router

import (
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/flow"
)

// Apply carries out a command of an agent, a program or a timer. The reason is NoEffect if
// the command changes nothing or does not fit the state.
func (r Rules) Apply(c Conversation, cmd Command, now time.Time) Decision {
	t := r.turn(c, Message{Late: true}, now) // late, so that touch changes nothing
	var d Decision
	switch cmd.Kind {
	case CommandHandoff:
		d = t.applyHandoff(cmd)
	case CommandAgentSent:
		d = t.applyAgentSent(cmd.Area)
	case CommandClose:
		d = t.applyClose()
	case CommandTimeout:
		d = t.applyTimeout()
	case CommandReopen:
		d = t.backToMenu(StateClosed, Reopened)
	case CommandReconnect:
		d = t.backToMenu(StateDisconnected, Reconnect)
	case CommandReset:
		d = t.applyReset()
	case CommandDisconnect:
		d = t.applyDisconnect()
	case CommandApologize:
		d = t.applyApologize()
	default:
		d = t.noEffect()
	}
	was, next := t.was, d.Next
	d.Changed = was.State != next.State || was.Area != next.Area || was.Epoch != next.Epoch
	return d
}

func (t *turn) noEffect() Decision { return Decision{Next: t.was, Reason: NoEffect} }

// applyHandoff gives the conversation to a team, or from one team to another. An area that
// the flow does not have has no effect; callers check it first.
func (t *turn) applyHandoff(cmd Command) Decision {
	area, ok := t.flow.Area(cmd.Area)
	already := t.was.State == StateHandedOff && t.was.Area == area.ID
	if !ok || already {
		return t.noEffect()
	}
	transfer := t.was.Area != "" // a disconnected conversation keeps its team too
	sentence := t.flow.Texts.HandedOff
	if transfer {
		sentence = t.flow.Texts.Transferred
	}
	next := handedOff(t.was, area.ID, cmd.Tag)
	if !transfer {
		next.Ticket = ""
	}
	next.TimeoutAt = t.timeoutFrom(t.now)
	return Decision{
		Next: next, Reason: HandedOff, Replies: confirmation(t.flow, sentence, area.ID),
		Handoff: &Handoff{FromArea: t.was.Area, Area: area.ID, Tag: cmd.Tag, Note: cmd.Note, Transfer: transfer},
	}
}

// applyAgentSent notes that our side wrote. A conversation in the menu or closed is handed to
// the area, or to the flow's OfferArea if there is no such area. A disconnected one stays
// disconnected.
func (t *turn) applyAgentSent(area string) Decision {
	next := t.was
	team, ok := t.flow.Area(area)
	if !ok {
		team.ID = t.flow.Policies.OfferArea
	}
	switch {
	case next.State == StateDisconnected:
	case next.State != StateHandedOff:
		next = handedOff(next, team.ID, "")
	case next.Area == "":
		next.Area = team.ID
	}
	next.LastHuman = later(next.LastHuman, t.now)
	if next.State == StateHandedOff {
		next.TimeoutAt = later(next.TimeoutAt, t.timeoutFrom(t.now))
	}
	return Decision{Next: next, Reason: ByAgent}
}

func (t *turn) applyClose() Decision {
	if t.was.State == StateClosed {
		return t.noEffect()
	}
	d := Decision{Next: closed(t.was), Reason: Closed, Closed: true}
	if t.was.State != StateDisconnected && t.flow.Texts.Closed != "" {
		d.Replies = t.text(Closed, t.flow.Texts.Closed).Replies
	}
	return d
}

func (t *turn) applyTimeout() Decision {
	at := t.was.TimeoutAt
	if t.was.State != StateHandedOff || at.IsZero() || t.now.Before(at) {
		return t.noEffect()
	}
	return Decision{Next: closed(t.was), Reason: HandoffTimeout, Closed: true}
}

// backToMenu returns a conversation from the given state to the menu. Nothing is sent until
// the contact writes.
func (t *turn) backToMenu(from State, why Reason) Decision {
	if t.was.State != from {
		return t.noEffect()
	}
	return Decision{Next: inMenu(t.was), Reason: why}
}

func (t *turn) applyReset() Decision {
	if t.was.State == StateMenu && t.was.Menu == "" && t.was.Invalid == 0 && !t.was.Offered {
		return t.noEffect()
	}
	return Decision{Next: inMenu(t.was), Reason: ResetByHand}
}

// applyDisconnect silences the bot. The team and the ticket stay.
func (t *turn) applyDisconnect() Decision {
	if t.was.State == StateDisconnected {
		return t.noEffect()
	}
	next := t.was
	next.State, next.TimeoutAt = StateDisconnected, time.Time{}
	next.Menu, next.Invalid, next.Offered = "", 0, false
	next.Epoch++
	return Decision{Next: next, Reason: Disconnect}
}

// applyApologize sends the apology, with the menu or hand-off that the flow asks for. A
// conversation with a team is left to the team.
func (t *turn) applyApologize() Decision {
	apology := t.flow.Texts.Apology
	if t.was.State != StateMenu && t.was.State != StateClosed {
		return t.noEffect()
	}
	switch t.flow.Policies.AfterOutage {
	case flow.AfterOutageMenu:
		if t.was.State == StateClosed {
			t.next = inMenu(t.was)
		}
		return t.start(AfterOutage, apology)
	case flow.AfterOutageApologize:
		d := t.silent(AfterOutage)
		d.Replies = []Reply{{Text: apology, Style: flow.StyleText}}
		return d
	case flow.AfterOutageHandoff:
		d := t.handoff(AfterOutage, t.flow.Policies.OfferArea, tagOutage)
		if len(d.Replies) == 0 {
			d.Replies = []Reply{{Style: flow.StyleText}}
		}
		d.Replies[0].Text = strings.TrimSpace(join(apology, d.Replies[0].Text))
		return d
	case flow.AfterOutageList:
	}
	return t.noEffect()
}

// closed returns the conversation closed: the contact's next message shows the menu.
func closed(c Conversation) Conversation {
	c = inMenu(c)
	c.State = StateClosed
	return c
}

package router

import (
	"cmp"

	"github.com/psivisionhub/psi-router/internal/flow"
)

// answerButton answers a tap on a template's button. It changes nothing, whoever has the
// conversation.
func (t *turn) answerButton() Decision {
	d := t.silent(TemplateButton)
	d.Label = t.button.Tag
	d.Replies = []Reply{{Text: t.button.Reply, Style: flow.StyleText}}
	return d
}

// pressButton carries out a template's button. No team has the conversation.
func (t *turn) pressButton() Decision {
	if t.button.Reply != "" {
		return t.answerButton()
	}
	reopened := t.next.State == StateClosed
	if reopened {
		t.next = inMenu(t.next)
	}
	var d Decision
	if h := t.button.Handoff; h != nil {
		d = t.handoff(HandedOff, h.Area, cmp.Or(h.Tag, t.button.Tag))
	} else {
		choice, _ := t.flow.OptionNamed(t.button.Option)
		d = t.choose(choice, ReplyChoice)
	}
	d.Label, d.Changed = t.button.Tag, d.Changed || reopened
	return d
}

// leaveToTeam says nothing: the team that has the conversation answers.
func (t *turn) leaveToTeam() Decision {
	d := t.silent(HandedOffSilent)
	if t.pressed {
		d.Note, d.Label = "button="+t.msg.ReplyID, t.button.Tag
	}
	return d
}

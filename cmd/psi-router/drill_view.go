package main

import (
	"fmt"
	"io"

	"github.com/psivisionhub/psi-router/internal/drill"
)

// drillView shows a drill while it runs.
type drillView struct {
	liveDisplay
	w    drillWords
	last drill.Progress
}

func newDrillView(e *env, out io.Writer, w drillWords, c *drillCmd) *drillView {
	where := w.embedded
	if !c.Embedded {
		where = fmt.Sprintf(w.servers, c.Webhooks, c.Workers)
	}
	title := fmt.Sprintf(w.title, c.Seed, where, c.Messages, c.Conversations, c.Faults)
	return &drillView{liveDisplay: newLiveDisplay(e, out, title), w: w}
}

// onEvent prints what happened.
func (v *drillView) onEvent(ev drill.Event) {
	var text string
	mark := " "
	switch {
	case ev.Phase != "":
		text = v.w.phases[ev.Phase]
	case ev.Note != "":
		text, mark = v.style(red, oneLine(ev.Note, 300)), v.style(red, "!")
	case ev.Over:
		text, mark = fmt.Sprintf(v.w.over, v.w.faults[ev.Fault]), v.style(green, "+")
	default:
		text, mark = v.w.faults[ev.Fault], v.style(yellow, "-")
		if ev.What != "" {
			text += " (" + ev.What + ")"
		}
	}
	v.logEvent(ev.At, mark, text)
	v.show()
}

// onProgress keeps the block fresh, or says now and then where the drill stands.
func (v *drillView) onProgress(p drill.Progress) {
	v.last = p
	if v.live {
		v.show()
	} else {
		v.logFigures(p.Elapsed, v.figures(p))
	}
}

// figures says where the drill stands.
func (v *drillView) figures(p drill.Progress) []string {
	router := v.w.silent
	if p.Known {
		router = fmt.Sprintf(v.w.router, p.Handled, p.Depth, p.Pending, p.Dead)
	}
	return []string{
		fmt.Sprintf(v.w.progress, p.Accepted, p.Messages, p.PerSecond), router,
		fmt.Sprintf(v.w.sent, p.Sent), fmt.Sprintf(v.w.done, p.Faults, p.OfFaults),
	}
}

func (v *drillView) show() {
	p := v.last
	if !v.live || p.Phase == "" {
		return
	}
	now := v.w.phases[p.Phase]
	if p.Fault != "" {
		now = v.w.faults[p.Fault] + " (" + p.What + ")"
	}
	v.draw(progressBar(p.Accepted, p.Messages, 40)+"  "+now, v.figures(p))
}

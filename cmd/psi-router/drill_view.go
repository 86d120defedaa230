package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/psivisionhub/psi-router/internal/drill"
	"github.com/psivisionhub/psi-router/internal/observe"
)

// drillView shows a drill while it runs: what happens, line by line, and on a
// terminal below it a block that is written anew. It is called by one at a time.
type drillView struct {
	out   io.Writer
	w     drillWords
	title string // until it was shown
	live  bool
	color bool
	block int // lines of the block that are on the screen
	last  drill.Progress
	said  time.Duration // when progress was told in a line
}

// drillLine is how often progress is told where nobody watches.
const drillLine = 10 * time.Second

func newDrillView(e *env, out io.Writer, w drillWords, c *drillCmd) *drillView {
	v := &drillView{out: out, w: w, live: observe.Terminal(out) && !e.dumb()}
	v.color = v.live && !e.plain()
	where := w.embedded
	if !c.Embedded {
		where = fmt.Sprintf(w.servers, c.Webhooks, c.Workers)
	}
	v.title = fmt.Sprintf(w.title, c.Seed, where, c.Messages, c.Conversations, c.Faults)
	return v
}

func (v *drillView) style(code, s string) string {
	if !v.color || code == "" || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// tell prints what happened.
func (v *drillView) tell(ev drill.Event) {
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
	v.clear()
	if v.title != "" {
		fmt.Fprintf(v.out, "%s\n\n", v.title)
		v.title = ""
	}
	fmt.Fprintf(v.out, "%s %s %s\n", v.style(dim, clock(ev.At)), mark, text)
	v.draw()
}

// progress keeps the block fresh, or says now and then where the drill stands.
func (v *drillView) progress(p drill.Progress) {
	v.last = p
	if v.live {
		v.clear()
		v.draw()
		return
	}
	if p.Elapsed-v.said < drillLine {
		return
	}
	v.said = p.Elapsed
	fmt.Fprintf(v.out, "%s   %s\n", clock(p.Elapsed), strings.Join(v.figures(p), " · "))
}

func clock(d time.Duration) string {
	return fmt.Sprintf("%3d:%04.1f", int(d.Minutes()), (d % time.Minute).Seconds())
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

// draw writes the block below everything else.
func (v *drillView) draw() {
	if !v.live || v.last.Phase == "" {
		return
	}
	p := v.last
	now := v.w.phases[p.Phase]
	if p.Fault != "" {
		now = v.w.faults[p.Fault] + " (" + p.What + ")"
	}
	lines := append([]string{"", bar(p.Accepted, p.Messages, 40) + "  " + now}, v.figures(p)...)
	width := 80
	if f, ok := v.out.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 10 {
			width = w
		}
	}
	for i, l := range lines {
		if i == 1 {
			fmt.Fprintln(v.out, cut(l, width-1))
		} else {
			fmt.Fprintln(v.out, v.style(dim, cut(l, width-1)))
		}
	}
	v.block = len(lines)
}

// clear takes the block off the screen.
func (v *drillView) clear() {
	if v.block > 0 {
		fmt.Fprintf(v.out, "\x1b[%dA\x1b[J", v.block)
		v.block = 0
	}
}

func bar(n, of int64, width int) string {
	full := 0
	if of > 0 {
		full = min(width, int(n*int64(width)/of))
	}
	return strings.Repeat("█", full) + strings.Repeat("░", width-full)
}

func cut(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

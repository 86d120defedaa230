package main

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"

	"github.com/psivisionhub/psi-router/internal/lang"
	"github.com/psivisionhub/psi-router/internal/observe"
	"github.com/psivisionhub/psi-router/internal/rehearse"
	"github.com/psivisionhub/psi-router/internal/servers"
)

// rehearsal is what drill and loadtest share: it shows the run and then the report.
type rehearsal struct {
	liveDisplay
	e                     *env
	fallback, interrupted lang.Text
	fault                 func(rehearse.Event) (text, mark string) // describes a fault; "" hides it
	figures               func(rehearse.Progress) []string
	last                  rehearse.Progress
	waits                 []float64 // p99 of the webhook in the newest seconds, in milliseconds
	// The format of the report.
	nameWidth, valueWidth int
	number                func(int64) string
}

func (e *env) rehearsal(fallback, interrupted lang.Text) *rehearsal {
	out := e.out
	if e.JSON {
		out = e.err
	}
	live := observe.IsTerminal(out) && !e.dumb()
	return &rehearsal{liveDisplay: liveDisplay{out: out, live: live, color: live && !e.plain()}, e: e, fallback: fallback, interrupted: interrupted}
}

func (v *rehearsal) say(text lang.Text, args ...any) string { return text.In(v.e.Lang, args...) }

// seedOr returns the chosen seed, or a random one.
func seedOr(chosen uint64) uint64 { return cmp.Or(chosen, rand.Uint64N(1_000_000)+1) }

// program returns the path of this program, and whether it runs on SQLite. It falls back to
// SQLite, and says so, if servers are missing; with need that is an error.
func (v *rehearsal) program(embedded, need bool) (string, bool, error) {
	program, err := os.Executable()
	if err != nil {
		return "", false, problem("find this program: %w", err)
	}
	missing := errors.Join(servers.HaveRedis(), servers.HavePostgres())
	switch {
	case embedded || missing == nil:
		return program, embedded, nil
	case need:
		return "", false, problem("%w", missing)
	}
	fmt.Fprintf(v.out, "%s\n%s\n\n", v.say(v.fallback), strings.ReplaceAll(missing.Error(), "\n", "; "))
	return program, true, nil
}

// run runs the rehearsal and prints its report. done always gets the report, show only without
// --json.
func (v *rehearsal) run(o rehearse.Options, done func(rehearse.Report) error, show func(rehearse.Report)) error {
	o.Tell, o.Progress = v.onEvent, v.onProgress
	r, err := rehearse.Run(v.e.ctx, o)
	v.clear()
	switch {
	case errors.Is(err, rehearse.ErrOptions):
		return usage("%w", err)
	case err != nil && v.e.ctx.Err() != nil:
		return problem("%s", v.say(v.interrupted))
	case err != nil && r.Files != "":
		return problem("%w\n%s %s", err, v.say(rehearsalFiles), r.Files)
	case err != nil:
		return problem("%w", err)
	}
	if err := done(r); err != nil {
		return err
	}
	if !v.e.JSON {
		show(r)
		if r.Files != "" {
			fmt.Fprintf(v.out, "%s %s\n", v.say(rehearsalFiles), r.Files)
		}
	} else if err := v.e.printJSON(r); err != nil {
		return err
	}
	return failIf(r.Err() != nil)
}

func (v *rehearsal) onEvent(ev rehearse.Event) {
	var text, mark string
	switch {
	case ev.Phase != "":
		text, mark, v.last.Phase = v.say(phaseTexts[ev.Phase]), " ", ev.Phase
	case ev.Note != "":
		text, mark = v.style(red, oneLine(ev.Note, 300)), v.style(red, "!")
	default:
		if text, mark = v.fault(ev); text == "" {
			return
		}
	}
	v.logEvent(ev.At, mark, text)
	v.show()
}

// onProgress redraws the block, or logs the figures.
func (v *rehearsal) onProgress(p rehearse.Progress) {
	v.last = p
	if p.Phase == rehearse.PhaseLoad {
		v.waits = append(v.waits, p.Recent.P99.Seconds()*1000)
	}
	if v.live {
		v.show()
	} else {
		v.logFigures(p.At, v.figures(p))
	}
}

func (v *rehearsal) show() {
	p := v.last
	if !v.live || p.At == 0 {
		return
	}
	now := v.say(phaseTexts[p.Phase])
	if p.Fault != "" {
		now, _ = v.fault(rehearse.Event{Fault: p.Fault, What: p.What})
	}
	done, of := int64(p.Elapsed), int64(p.WantDuration)
	if p.WantMessages > 0 {
		done, of = p.Messages, int64(p.WantMessages)
	}
	v.draw(progressBar(min(done, of), of, 40)+"  "+now, v.figures(p))
}

// row prints one figure of the report.
func (v *rehearsal) row(name lang.Text, value, code, more string) {
	fmt.Fprintf(v.out, "  %-*s %s  %s\n", v.nameWidth, v.say(name), v.style(code, fmt.Sprintf("%*s", v.valueWidth, value)), v.style(dim, more))
}

func (v *rehearsal) count(name lang.Text, n int64, more string) { v.row(name, v.number(n), "", more) }

// verdict prints a figure that has to be 0.
func (v *rehearsal) verdict(name lang.Text, n int) {
	code := green
	if n > 0 {
		code = red
	}
	v.row(name, v.number(int64(n)), code, "")
}

// conclude prints what is wrong and the verdict.
func (v *rehearsal) conclude(r rehearse.Report, kept, broken string) {
	for _, line := range append(append([]string{}, r.Notes...), r.Wrong...) {
		fmt.Fprintf(v.out, "  %s %s\n", v.style(red, "✗"), oneLine(line, 300))
	}
	if r.Err() == nil {
		fmt.Fprintf(v.out, "%s %s\n", v.style(green, "✓"), kept)
	} else {
		fmt.Fprintf(v.out, "%s %s\n", v.style(red, "✗"), broken)
	}
}

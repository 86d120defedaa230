package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster"
	"github.com/psivisionhub/psi-router/internal/loadtest"
)

// loadView shows a load test while it runs.
type loadView struct {
	liveDisplay
	w     loadWords
	last  loadtest.Progress
	waits []float64 // p99 of the newest seconds, in milliseconds
}

func newLoadView(e *env, out io.Writer, w loadWords, c *loadtestCmd, o loadtest.Options) *loadView {
	where := fmt.Sprintf(w.servers, c.Webhooks, c.Workers)
	switch {
	case o.Target != nil:
		where = o.Target.URL
	case c.Embedded:
		where = w.embedded
	}
	pace := w.closed
	if c.Rate > 0 {
		pace = fmt.Sprintf(w.rate, c.Rate)
	}
	title := fmt.Sprintf(w.title, c.Seed, where, pace, c.Conversations)
	if o.Target != nil && o.Target.Graph != "" {
		title += fmt.Sprintf(w.graph, "http://"+o.Target.Graph+"/sandbox/graph/v26.0")
	}
	return &loadView{liveDisplay: newLiveDisplay(e, out, title), w: w}
}

// onEvent prints what happened.
func (v *loadView) onEvent(ev loadtest.Event) {
	text, mark := v.w.phases[ev.Phase], " "
	switch {
	case ev.Note != "":
		text, mark = v.style(red, oneLine(ev.Note, 300)), v.style(red, "!")
	case ev.CRM != "":
		text, mark = v.w.crm+": "+v.w.ways[ev.CRM], v.style(map[bool]string{true: green, false: yellow}[ev.CRM == cluster.CRMWorks], "~")
	case ev.Redis == "down":
		text, mark = v.w.redisDown, v.style(yellow, "-")
	case ev.Redis != "":
		text, mark = v.w.redisUp, v.style(green, "+")
	}
	if ev.Phase != "" && v.last.Phase != "" {
		v.last.Phase = ev.Phase
	}
	v.logEvent(ev.At, mark, text)
	v.show()
}

// onProgress keeps the block fresh, or says now and then where the test stands.
func (v *loadView) onProgress(p loadtest.Progress) {
	v.last = p
	if p.Phase == loadtest.PhaseLoad {
		v.waits = append(v.waits, p.Recent.P99.Seconds()*1000)
	}
	if v.live {
		v.show()
	} else {
		v.logFigures(p.Elapsed, v.figures(p))
	}
}

// figures says where the test stands.
func (v *loadView) figures(p loadtest.Progress) []string {
	router := v.w.silent
	if p.Known {
		router = fmt.Sprintf(v.w.router, thousands(p.Depth), thousands(p.Pending), p.Dead)
	}
	ms := func(d time.Duration) string {
		if d == 0 { // nothing happened lately
			return "–"
		}
		return span(d.Seconds() * 1000)
	}
	return []string{
		fmt.Sprintf(v.w.posted, thousands(p.Requests), p.PerSecond, thousands(p.Messages), thousands(p.Statuses)),
		fmt.Sprintf(v.w.waited, ms(p.Recent.P50), ms(p.Recent.P99), ms(p.Latency.Max)),
		fmt.Sprintf(v.w.taken, thousands(p.Answers), p.AnswersPerSecond, ms(p.Reply.P50), ms(p.Reply.P99)),
		router,
	}
}

func (v *loadView) show() {
	p := v.last
	if !v.live || p.Phase == "" {
		return
	}
	done, of := int64(p.Elapsed), int64(p.WantDuration)
	if p.WantMessages > 0 {
		done, of = p.Messages, int64(p.WantMessages)
	}
	curve := v.w.curve + " " + sparkline(v.waits, min(60, v.width()-20))
	v.draw(progressBar(min(done, of), of, 40)+"  "+v.w.phases[p.Phase], append(v.figures(p), curve))
}

// sparkline draws the newest values as a row of bars.
func sparkline(values []float64, most int) string {
	values = values[max(0, len(values)-max(most, 1)):]
	top := 1.0
	for _, v := range values {
		top = max(top, v)
	}
	var b strings.Builder
	for _, v := range values {
		b.WriteRune([]rune("▁▂▃▄▅▆▇█")[min(7, int(v/top*8))])
	}
	if len(values) > 0 {
		b.WriteString(" ≤ " + span(top))
	}
	return b.String()
}

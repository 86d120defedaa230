package dashboard

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/observe"
	"github.com/psivisionhub/psi-router/internal/queue"
)

// Level says how bad things are; it is a class of the page's style.
type Level string

// Levels.
const (
	LevelOK      Level = "well"
	LevelWarning Level = "worried" // something waits for a person
	LevelBroken  Level = "bad"     // something does not work
)

// From these ages on, waiting is worth a sentence.
const (
	waitWarnAfter = time.Minute
	ageWarnAfter  = 30 * time.Second
)

// view is what the template shows: words, no decisions.
type view struct {
	Words
	CSS      template.CSS
	JS       template.JS
	Level    Level
	Sentence string
	Fix      string
	Lines    []lineView
	Queues   []queueView
	Checks   []checkView
	Open     []alertView
	Figures  []figure
	Release  string // version
	Since    string
	Clock    string
	HasPhone bool
}

type lineView struct {
	ID, Provider, Last, Problem string
	Level                       Level
}

type queueView struct {
	Name, Label, Depth, InFlight, Oldest, Dead, State, Why string
	Level                                                  Level
}

type checkView struct {
	Name, State, Detail string
	Level               Level
}

type alertView struct {
	Problem, Fix, Since string
	Level               Level
}

type figure struct{ Label, Value string }

func newView(s Status, lang string) view {
	s.translate(lang)
	v := view{Words: wordsIn(lang), Release: s.Version, HasPhone: s.Sandbox, Clock: s.Now.Format("15:04:05")}
	v.Level, v.Sentence, v.Fix = v.headline(s)
	if !s.Started.IsZero() {
		v.Since = v.formatDuration(s.Now.Sub(s.Started))
	}
	for _, l := range s.Lines {
		row := lineView{ID: l.ID, Provider: l.Provider, Problem: l.Problem, Level: LevelOK, Last: v.Never}
		if last := s.Gauges.Lines[l.ID]; !last.IsZero() {
			row.Last = fmt.Sprintf(v.Ago, v.formatDuration(s.Now.Sub(last)))
		}
		if l.Problem != "" {
			row.Level = LevelBroken
		}
		v.Lines = append(v.Lines, row)
	}
	for _, q := range s.Queues {
		v.Queues = append(v.Queues, v.queue(q, s.Now))
	}
	for _, a := range s.Alerts {
		v.Open = append(v.Open, alertView{a.text(lang).Problem, a.text(lang).Fix, fmt.Sprintf(v.Ago, v.formatDuration(s.Now.Sub(a.Since))), a.level()})
	}
	for _, c := range s.Checks {
		row := checkView{Name: v.checkName(c.Name), State: v.Fine, Detail: c.Detail, Level: LevelOK}
		if !c.OK {
			row.State, row.Level = v.Broken, LevelBroken
			if c.Info {
				row.Level = LevelWarning
			}
		}
		v.Checks = append(v.Checks, row)
	}
	v.Figures = []figure{
		{v.Pending, fmt.Sprint(s.Gauges.PendingSends)},
		{v.Unanswered, v.formatDuration(s.Gauges.OldestUnanswered)},
		{v.Uncertain, fmt.Sprint(s.Gauges.UncertainSends)},
		{v.Left, fmt.Sprint(s.Gauges.Left)},
	}
	if at := s.Gauges.OldestHandedOff; !at.IsZero() {
		v.Figures = append(v.Figures, figure{v.HandedOff, v.formatDuration(s.Now.Sub(at))})
	}
	return v
}

func (a Alert) text(lang string) AlertText {
	if lang == "en" {
		return a.English
	}
	return a.Spanish
}

func (a Alert) level() Level {
	if a.Critical {
		return LevelBroken
	}
	return LevelWarning
}

// translate says in the language why queues, lines and checks are held.
func (s *Status) translate(lang string) {
	s.Lines, s.Queues, s.Checks = slices.Clone(s.Lines), slices.Clone(s.Queues), slices.Clone(s.Checks)
	for i := range s.Lines {
		s.Lines[i].Problem = observe.HoldReason(lang, s.Lines[i].Problem)
	}
	for i := range s.Queues {
		s.Queues[i].HeldReason = observe.HoldReason(lang, s.Queues[i].HeldReason)
	}
	for i := range s.Checks {
		s.Checks[i].Detail = observe.HoldReason(lang, s.Checks[i].Detail)
	}
}

// headline returns the first thing that is broken and what to do about it.
func (w Words) headline(s Status) (level Level, sentence, fix string) {
	for _, c := range s.Checks {
		if !c.OK && !c.Info {
			sentence, fix = w.checkFailure(c)
			return LevelBroken, sentence, fix
		}
	}
	for _, l := range s.Lines {
		if l.Problem != "" {
			return LevelBroken, fmt.Sprintf(w.LineFails, l.ID, strings.TrimSuffix(l.Problem, ".")), w.LineFix
		}
	}
	for _, q := range s.Queues {
		if !held(q, s.Now) {
			continue
		}
		why := strings.TrimSuffix(q.HeldReason, ".")
		if line, ok := strings.CutPrefix(q.Name, "send:"); ok {
			return LevelBroken, fmt.Sprintf(w.HeldSend, line, why), w.HeldFix
		}
		return LevelBroken, fmt.Sprintf(w.HeldOther, q.Name, why), w.HeldFix
	}
	for _, a := range s.Alerts {
		if a.Critical {
			return LevelBroken, a.text(w.Lang).Problem, a.text(w.Lang).Fix
		}
	}
	for _, q := range s.Queues {
		if q.Paused {
			return LevelWarning, fmt.Sprintf(w.PausedQueue, q.Name), fmt.Sprintf(w.PausedFix, q.Name)
		}
	}
	for _, q := range s.Queues {
		switch {
		case q.Dead == 1:
			return LevelWarning, fmt.Sprintf(w.DeadOne, q.Name), w.DeadFix
		case q.Dead > 1:
			return LevelWarning, fmt.Sprintf(w.DeadMany, q.Dead, q.Name), w.DeadFix
		}
	}
	if age := s.Gauges.OldestUnanswered; age >= waitWarnAfter {
		return LevelWarning, fmt.Sprintf(w.Waited, w.formatDuration(age)), w.WaitedFix
	}
	for _, q := range s.Queues {
		if q.OldestAge >= ageWarnAfter && q.Depth > 0 {
			return LevelWarning, fmt.Sprintf(w.Behind, q.Name, w.formatDuration(q.OldestAge)), w.BehindFix
		}
	}
	for _, c := range s.Checks {
		if !c.OK {
			sentence, fix = w.checkFailure(c)
			return LevelWarning, sentence, fix
		}
	}
	if len(s.Alerts) > 0 {
		text := s.Alerts[0].text(w.Lang)
		return LevelWarning, text.Problem, text.Fix
	}
	switch n := s.Gauges.UncertainSends; {
	case n == 1:
		return LevelWarning, w.UncertainOne, w.UncertainFix
	case n > 1:
		return LevelWarning, fmt.Sprintf(w.UncertainMany, n), w.UncertainFix
	}
	return LevelOK, w.AllWell, w.AllWellMore
}

func (w Words) checkFailure(c Check) (sentence, fix string) {
	name := w.checkName(c.Name)
	if c.Detail != "" {
		name += " (" + c.Detail + ")"
	}
	fix, ok := w.CheckFixes[c.Name]
	if !ok {
		fix = w.CheckFix
	}
	return fmt.Sprintf(w.CheckFails, name), fix
}

func held(q queue.Stats, now time.Time) bool { return q.HeldUntil.After(now) }

func (w Words) queue(q queue.Stats, now time.Time) queueView {
	v := queueView{
		Name: q.Name, Label: w.queueLabel(q.Name), Depth: fmt.Sprint(q.Depth), InFlight: fmt.Sprint(q.InFlight),
		Dead: fmt.Sprint(q.Dead), Oldest: "–", State: w.Works, Level: LevelOK,
	}
	if q.Depth > 0 {
		v.Oldest = w.formatDuration(q.OldestAge)
	}
	switch {
	case held(q, now):
		v.State, v.Why, v.Level = w.Held+" "+q.HeldUntil.In(now.Location()).Format("15:04"), q.HeldReason, LevelBroken
	case q.Paused:
		v.State, v.Level = w.Paused, LevelWarning
	case q.Dead > 0, q.Depth > 0 && q.OldestAge >= ageWarnAfter:
		v.Level = LevelWarning
	}
	return v
}

func (w Words) queueLabel(name string) string {
	kind, owner, owned := strings.Cut(name, ":")
	label, ok := w.QueueNames[kind]
	switch {
	case !ok:
		return ""
	case owned:
		return fmt.Sprintf(label, owner)
	default:
		return label
	}
}

func (w Words) checkName(name string) string {
	if text, ok := w.CheckNames[name]; ok {
		return text
	}
	return name
}

// formatDuration writes a duration as people say it.
func (w Words) formatDuration(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf(w.Seconds, int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf(w.Minutes, int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf(w.Hours, int(d.Hours()))
	default:
		return fmt.Sprintf(w.Days, int(d.Hours()/24))
	}
}

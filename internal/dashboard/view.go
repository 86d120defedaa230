package dashboard

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/lang"
	"github.com/psivisionhub/psi-router/internal/observe"
	"github.com/psivisionhub/psi-router/internal/queue"
)

// Level is how bad the state is; it is a CSS class of the page.
type Level string

// Levels.
const (
	LevelOK      Level = "well"
	LevelWarning Level = "worried" // something waits for a person
	LevelBroken  Level = "bad"     // something does not work
)

// Waiting times from which the page has a sentence about them.
const (
	waitWarnAfter = time.Minute
	ageWarnAfter  = 30 * time.Second
)

// view is the data of the template: words, no decisions.
type view struct {
	language
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

// language is es or en.
type language string

func (l language) in(text lang.Text, args ...any) string { return text.In(string(l), args...) }

// Lang is for the template.
func (l language) Lang() string { return string(l) }

// Say is the label of the template that has this name.
func (l language) Say(name string) (string, error) {
	text, ok := labels[name]
	if !ok {
		return "", fmt.Errorf("no label %q", name)
	}
	return l.in(text), nil
}

func newView(s Status, asked string) view {
	l := language("es")
	if asked == "en" {
		l = "en"
	}
	s.translate(l)
	v := view{language: l, Release: s.Version, HasPhone: s.Sandbox, Clock: s.Now.Format("15:04:05")}
	v.Level, v.Sentence, v.Fix = v.headline(s)
	if !s.Started.IsZero() {
		v.Since = formatDuration(s.Now.Sub(s.Started))
	}
	for _, line := range s.Lines {
		row := lineView{ID: line.ID, Provider: line.Provider, Problem: line.Problem, Level: LevelOK, Last: v.in(never)}
		if last := s.Gauges.Lines[line.ID]; !last.IsZero() {
			row.Last = v.in(ago, formatDuration(s.Now.Sub(last)))
		}
		if line.Problem != "" {
			row.Level = LevelBroken
		}
		v.Lines = append(v.Lines, row)
	}
	for _, q := range s.Queues {
		v.Queues = append(v.Queues, v.queue(q, s.Now))
	}
	for _, a := range s.Alerts {
		problem, fix := a.Text(string(l))
		v.Open = append(v.Open, alertView{problem, fix, v.in(ago, formatDuration(s.Now.Sub(a.Since))), a.level()})
	}
	for _, c := range s.Checks {
		row := checkView{Name: v.checkName(c.Name), State: v.in(fine), Detail: c.Detail, Level: LevelOK}
		if !c.OK {
			row.State, row.Level = v.in(broken), LevelBroken
			if c.Info {
				row.Level = LevelWarning
			}
		}
		v.Checks = append(v.Checks, row)
	}
	v.Figures = []figure{
		{v.in(pending), fmt.Sprint(s.Gauges.PendingSends)},
		{v.in(unanswered), formatDuration(s.Gauges.OldestUnanswered)},
		{v.in(uncertain), fmt.Sprint(s.Gauges.UncertainSends)},
		{v.in(left), fmt.Sprint(s.Gauges.Left)},
	}
	if at := s.Gauges.OldestHandedOff; !at.IsZero() {
		v.Figures = append(v.Figures, figure{v.in(handedOff), formatDuration(s.Now.Sub(at))})
	}
	return v
}

func (a Alert) level() Level {
	if a.Critical {
		return LevelBroken
	}
	return LevelWarning
}

// translate says in a language why queues, lines and checks are held.
func (s *Status) translate(l language) {
	s.Lines, s.Queues, s.Checks = slices.Clone(s.Lines), slices.Clone(s.Queues), slices.Clone(s.Checks)
	for i := range s.Lines {
		s.Lines[i].Problem = observe.HoldReason(string(l), s.Lines[i].Problem)
	}
	for i := range s.Queues {
		s.Queues[i].HeldReason = observe.HoldReason(string(l), s.Queues[i].HeldReason)
	}
	for i := range s.Checks {
		s.Checks[i].Detail = observe.HoldReason(string(l), s.Checks[i].Detail)
	}
}

// headline returns the first thing that is broken and what to do about it.
func (l language) headline(s Status) (level Level, sentence, fix string) {
	for _, c := range s.Checks {
		if !c.OK && !c.Info {
			sentence, fix = l.checkFailure(c)
			return LevelBroken, sentence, fix
		}
	}
	for _, line := range s.Lines {
		if line.Problem != "" {
			return LevelBroken, l.in(lineFails, line.ID, strings.TrimSuffix(line.Problem, ".")), l.in(lineFix)
		}
	}
	for _, q := range s.Queues {
		if !held(q, s.Now) {
			continue
		}
		why := strings.TrimSuffix(q.HeldReason, ".")
		if line, ok := job.SendLine(q.Name); ok {
			return LevelBroken, l.in(heldSend, line, why), l.in(heldFix)
		}
		return LevelBroken, l.in(heldOther, q.Name, why), l.in(heldFix)
	}
	for _, a := range s.Alerts {
		if a.Critical {
			sentence, fix = a.Text(string(l))
			return LevelBroken, sentence, fix
		}
	}
	for _, q := range s.Queues {
		if q.Paused {
			return LevelWarning, l.in(pausedQueue, q.Name), l.in(pausedFix, q.Name)
		}
	}
	for _, q := range s.Queues {
		switch {
		case q.Dead == 1:
			return LevelWarning, l.in(deadOne, q.Name), l.in(deadFix)
		case q.Dead > 1:
			return LevelWarning, l.in(deadMany, q.Dead, q.Name), l.in(deadFix)
		}
	}
	if age := s.Gauges.OldestUnanswered; age >= waitWarnAfter {
		return LevelWarning, l.in(waited, formatDuration(age)), l.in(waitedFix)
	}
	for _, q := range s.Queues {
		if q.OldestAge >= ageWarnAfter && q.Depth > 0 {
			return LevelWarning, l.in(behind, q.Name, formatDuration(q.OldestAge)), l.in(behindFix)
		}
	}
	for _, c := range s.Checks {
		if !c.OK {
			sentence, fix = l.checkFailure(c)
			return LevelWarning, sentence, fix
		}
	}
	if len(s.Alerts) > 0 {
		sentence, fix = s.Alerts[0].Text(string(l))
		return LevelWarning, sentence, fix
	}
	switch n := s.Gauges.UncertainSends; {
	case n == 1:
		return LevelWarning, l.in(uncertainOne), l.in(uncertainFix)
	case n > 1:
		return LevelWarning, l.in(uncertainMany, n), l.in(uncertainFix)
	}
	return LevelOK, l.in(allWell), l.in(allWellMore)
}

func (l language) checkFailure(c Check) (sentence, fix string) {
	name := l.checkName(c.Name)
	if c.Detail != "" {
		name += " (" + c.Detail + ")"
	}
	how, ok := checkFixes[c.Name]
	if !ok {
		how = checkFix
	}
	return l.in(checkFails, name), l.in(how)
}

func held(q queue.Stats, now time.Time) bool { return q.HeldUntil.After(now) }

func (l language) queue(q queue.Stats, now time.Time) queueView {
	v := queueView{
		Name: q.Name, Label: l.queueLabel(q.Name), Depth: fmt.Sprint(q.Depth), InFlight: fmt.Sprint(q.InFlight),
		Dead: fmt.Sprint(q.Dead), Oldest: "–", State: l.in(works), Level: LevelOK,
	}
	if q.Depth > 0 {
		v.Oldest = formatDuration(q.OldestAge)
	}
	switch {
	case held(q, now):
		v.State, v.Why, v.Level = l.in(heldTo, q.HeldUntil.In(now.Location()).Format("15:04")), q.HeldReason, LevelBroken
	case q.Paused:
		v.State, v.Level = l.in(paused), LevelWarning
	case q.Dead > 0, q.Depth > 0 && q.OldestAge >= ageWarnAfter:
		v.Level = LevelWarning
	}
	return v
}

func (l language) queueLabel(name string) string {
	kind, owner, owned := job.Split(name)
	label, ok := queueNames[kind]
	switch {
	case !ok:
		return ""
	case owned:
		return l.in(label, owner)
	default:
		return l.in(label)
	}
}

func (l language) checkName(name string) string {
	if text, ok := checkNames[name]; ok {
		return l.in(text)
	}
	return name
}

// formatDuration writes a duration as people say it.
func formatDuration(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d d", int(d.Hours()/24))
	}
}

package alert

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/observe"
)

// Text is what people are told: a mark, the problem and what to do, or that it is
// over. lang is es or en.
func Text(r *Rule, n Notice, lang string) string {
	if n.Resolved {
		over, lasted := r.Spanish.Resolved, " Duró "
		if lang == "en" {
			over, lasted = r.English.Resolved, " It lasted "
		}
		return "🟢 " + render(r, n.Incident, over, lang) + lasted + formatDuration(n.At.Sub(n.Since), lang) + "."
	}
	mark := "🟠 "
	if r.Severity == Critical {
		mark = "🔴 "
	}
	problem, fix := Describe(r, n.Incident, lang)
	return mark + problem + "\n" + fix
}

// Describe is what is wrong, and what to do, with the command that does or shows it.
func Describe(r *Rule, i Incident, lang string) (problem, fix string) {
	w, run := r.Spanish, "\nEjecutá: "
	if lang == "en" {
		w, run = r.English, "\nRun: "
	}
	return render(r, i, w.Problem, lang), render(r, i, w.Fix, lang) + run + commandFor(r, i)
}

func render(r *Rule, i Incident, text, lang string) string {
	return strings.NewReplacer(
		"{subject}", i.Subject, "{value}", r.Unit.format(i.Value, lang), "{detail}", strings.TrimRight(observe.HoldReason(lang, i.Detail), ". "),
	).Replace(text)
}

func commandFor(r *Rule, i Incident) string {
	return strings.ReplaceAll(r.Command, "{subject}", i.Subject)
}

func (u Unit) format(v float64, lang string) string {
	switch u {
	case Seconds:
		return formatDuration(time.Duration(v*float64(time.Second)), lang)
	case Ratio:
		return strconv.Itoa(int(v*100)) + " %"
	case Count:
	}
	return strconv.FormatInt(int64(v), 10)
}

func formatDuration(d time.Duration, lang string) string {
	switch days := "días"; {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	default:
		if lang == "en" {
			days = "days"
		}
		return fmt.Sprintf("%d %s", int(d.Hours()/24), days)
	}
}

func formatNumber(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

package alert

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/lang"
	"github.com/psivisionhub/psi-router/internal/observe"
)

var (
	lasted = lang.Text{ES: " Duró %s.", EN: " It lasted %s."}
	run    = lang.Text{ES: "\nEjecutá: ", EN: "\nRun: "}
	days   = lang.Text{ES: "%d días", EN: "%d days"}
)

// Text is what people are told: a mark, the problem and what to do, or that it is
// over.
func Text(r *Rule, n Notice, language string) string {
	if n.Resolved {
		return "🟢 " + render(r, n.Incident, r.Resolved, language) + lasted.In(language, formatDuration(n.At.Sub(n.Since), language))
	}
	mark := "🟠 "
	if r.Severity == Critical {
		mark = "🔴 "
	}
	problem, fix := Describe(r, n.Incident, language)
	return mark + problem + "\n" + fix
}

// Describe is what is wrong, and what to do, with the command that does or shows it.
func Describe(r *Rule, i Incident, language string) (problem, fix string) {
	return render(r, i, r.Problem, language), render(r, i, r.Fix, language) + run.In(language) + commandFor(r, i)
}

func render(r *Rule, i Incident, text lang.Text, language string) string {
	return strings.NewReplacer(
		"{subject}", i.Subject, "{value}", r.Unit.format(i.Value, language), "{detail}", strings.TrimRight(observe.HoldReason(language, i.Detail), ". "),
	).Replace(text.In(language))
}

func commandFor(r *Rule, i Incident) string {
	return strings.ReplaceAll(r.Command, "{subject}", i.Subject)
}

func (u Unit) format(v float64, language string) string {
	switch u {
	case Seconds:
		return formatDuration(time.Duration(v*float64(time.Second)), language)
	case Ratio:
		return strconv.Itoa(int(v*100)) + " %"
	case Count:
	}
	return strconv.FormatInt(int64(v), 10)
}

func formatDuration(d time.Duration, language string) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	default:
		return days.In(language, int(d.Hours()/24))
	}
}

func formatNumber(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

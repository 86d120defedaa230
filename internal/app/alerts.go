package app

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/psivisionhub/psi-router/internal/alert"
	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/dashboard"
	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/observe"
	"github.com/psivisionhub/psi-router/internal/skew"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

// alerting has what the alerts need, in every role.
type alerting struct {
	engines *engines
	role    string
	host    string
	lines   []string
	sources observe.Sources
	health  *observe.Health
	tally   alert.Tally
	clock   *skew.Meter
	manager *alert.Manager
}

// meter counts the work of all parts, and the sends for the alerts.
type meter struct {
	*observe.Metrics
	tally *alert.Tally
}

// Sent implements delivery's Meter.
func (m *meter) Sent(line, verdict string, took time.Duration) {
	m.Metrics.Sent(line, verdict, took)
	m.tally.Sent(line, verdict, time.Now())
}

// setupAlerts creates the alert manager and adds it to the sources.
func (a *App) setupAlerts(e *engines, sources *observe.Sources, lines []line) *alerting {
	cfg := a.cfg
	sources.Clock = a.clock.Ahead
	w := &alerting{engines: e, role: a.opts.Role, clock: a.clock, sources: *sources}
	w.host, _ = os.Hostname() // "" if unknown: only a name in reports
	hours := alert.Hours{Zone: cfg.Location()}
	for _, s := range cfg.Alerts.Hours.Spans() {
		hours.Spans = append(hours.Spans, alert.Span{Day: s.Day, From: s.From, To: s.To})
	}
	for _, l := range lines {
		w.lines = append(w.lines, l.ID)
	}
	w.manager = alert.NewManager(alert.Options{
		Process: fmt.Sprintf("%s %s %d %s", w.role, w.host, os.Getpid(), uuid.NewString()[:8]),
		Store:   e.store, Collect: w.collect, Report: w.report, Hours: hours, Receivers: receivers(cfg, lines), Every: cfg.Alerts.Every.D(), Log: a.log,
		Rules: speedUpRules(alert.Rules(alert.Tuning{SilentAfter: cfg.Alerts.SilentAfter.D(), TeamAfter: cfg.Alerts.TeamAfter.D()}), a.opts.BackoffSpeedup),
	})
	sources.Workers = w.manager.Workers
	sources.Alerts = func() (open []observe.OpenAlert) {
		for _, i := range w.manager.Firing() {
			open = append(open, observe.OpenAlert{Rule: i.Rule, Subject: i.Subject})
		}
		return open
	}
	a.addPart("alerts", w.manager.Run)
	return w
}

// speedUpRules makes rules fire and resolve sooner, for drills.
func speedUpRules(rules []alert.Rule, times float64) []alert.Rule {
	if times > 1 {
		for i := range rules {
			rules[i].For = time.Duration(float64(rules[i].For) / times)
			rules[i].Clear = time.Duration(float64(rules[i].Clear) / times)
		}
	}
	return rules
}

// receivers returns the configured receivers.
func receivers(cfg *config.Config, lines []line) []alert.Receiver {
	var to []alert.Receiver
	c := &cfg.Alerts
	if url := c.URL.First(); url != "" {
		to = append(to, &alert.Webhook{URL: url, Lang: c.Language, Client: httpcall.NewClient()})
	}
	for _, l := range lines {
		if c.WhatsApp != "" && l.ID == c.Line && l.Provider == whatsapp.Provider {
			to = append(to, &alert.WhatsApp{
				Number: c.WhatsApp, Template: c.Template, TemplateLang: c.TemplateLanguage, Lang: c.Language, Line: l.ID, Sender: l.sender,
			})
		}
	}
	return to
}

// collectTimeout bounds the collection of facts for one round.
const collectTimeout = 5 * time.Second

// collect gathers the facts for the rules.
func (w *alerting) collect(ctx context.Context) alert.Facts {
	ctx, cancel := context.WithTimeout(ctx, collectTimeout)
	defer cancel()
	f := alert.Facts{Lines: w.lines, Down: map[string]string{}}
	for _, r := range w.health.Results(ctx) {
		if (r.Name == "store" || r.Name == "queue") && !r.OK {
			f.Down[r.Name] = r.Error
		}
	}
	var err error
	f.Queues, err = w.sources.Queues(ctx)
	f.NoQueues = err != nil
	f.Emptied, err = w.engines.emptied(ctx)
	f.NoEmptied = err != nil
	g, err := w.sources.StoreStats(ctx)
	f.NoStats = err != nil
	f.OldestUnanswered, f.OldestHandedOff, f.Left, f.LastInbound = g.OldestUnanswered, g.OldestHandedOff, g.Left, g.LastInbound
	return f
}

// report returns this process's report.
func (w *alerting) report() alert.Report {
	r := alert.Report{Role: w.role, Host: cmp.Or(w.host, "here"), Sends: w.tally.Counts(time.Now())}
	if d, err := w.sources.Disk(); err == nil {
		r.Disk = alert.Disk{Dir: d.Dir, Free: d.Free, Size: d.Size}
	}
	r.ClockAhead = w.clock.Skew()
	if w.sources.Spool != nil {
		_, r.Spooled = w.sources.Spool()
	}
	return r
}

// mayBeSpooled reports whether an arrival waits, or may wait, in any spool.
func (w *alerting) mayBeSpooled() bool {
	oldest, known := w.manager.Spooled()
	return !known || oldest > 0
}

// openAlerts returns the firing alerts for the status page.
func (w *alerting) openAlerts() (out []dashboard.Alert) {
	for _, i := range w.manager.Firing() {
		r := w.manager.Rule(i.Rule)
		if r == nil {
			continue
		}
		text := func(language string) (problem, fix string) { return alert.Describe(r, i, language) }
		out = append(out, dashboard.Alert{Critical: r.Severity == alert.Critical, Since: i.Since, Text: text})
	}
	return out
}

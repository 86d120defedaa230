package app

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/alert"
	"github.com/psivisionhub/psi-router/internal/api"
	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/dashboard"
	"github.com/psivisionhub/psi-router/internal/hosts"
	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/observe"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/sandbox"
	"github.com/psivisionhub/psi-router/internal/spool"
	"github.com/psivisionhub/psi-router/internal/store"
)

// hosts returns the names under which the pages at an address may be opened.
func (a *App) hosts(listen string) *hosts.Hosts {
	names := a.cfg.Hosts
	if a.cfg.TLSDomain != "" {
		names = append(slices.Clone(names), a.cfg.TLSDomain)
	}
	return hosts.New(hosts.Options{Listen: listen, PublicURL: a.cfg.PublicURL, Names: names})
}

// addAPIAndDashboard adds the API and the status page. If the API's key is public, the API
// too answers only to our own host names: otherwise the key is what protects it from a
// website in somebody's browser.
func (a *App) addAPIAndDashboard(mux, pages *http.ServeMux, hostNames *hosts.Hosts, e *engines, alerts *alerting, lines []line) error {
	o := a.apiOptions(e, lines)
	o.Keys = apiKeys(a.cfg)
	h, err := api.New(o)
	if err != nil {
		return err
	}
	h = a.admission.CountUnauthorized(h)
	if a.cfg.Sandbox { // it has the development key
		h = hostNames.Guard(h)
	}
	mux.Handle(api.Prefix+"/", h)
	mux.Handle("/openapi.json", h)
	page, err := dashboard.New(dashboard.Options{Status: a.status(e, alerts, lines), Log: a.log})
	if err != nil {
		return err
	}
	pages.Handle("/", page)
	return nil
}

// apiOptions returns what the public API and the operator's have in common.
func (a *App) apiOptions(e *engines, lines []line) api.Options {
	return api.Options{
		Store: e.store, Queue: e.queue, Areas: e.flow.AreaList(), Lines: apiLines(a.cfg), Country: a.cfg.DefaultCountry, Window: window, Windowless: windowless(lines),
		Wake: e.wake(a.log), Block: blocker(lines), Marketing: marketing(lines), Stale: e.stale, Emptied: e.emptied, Version: a.opts.Version, Log: a.log,
	}
}

// status collects the data of the status page.
func (a *App) status(e *engines, alerts *alerting, lines []line) func(context.Context) dashboard.Status {
	return func(ctx context.Context) dashboard.Status {
		s := dashboard.Status{Version: a.opts.Version, Now: time.Now(), Started: alerts.health.Started(), Sandbox: a.cfg.Sandbox, Alerts: alerts.openAlerts()}
		for _, r := range alerts.health.Results(ctx) {
			s.Checks = append(s.Checks, dashboard.Check{Name: r.Name, OK: r.OK, Info: r.Info, Detail: r.Error})
		}
		// A source that cannot be read is down, and the checks say so.
		s.Queues, _ = e.queue.Stats(ctx)
		s.Gauges, _ = e.store.Gauges(ctx, s.Now)
		held := map[string]string{}
		for _, q := range s.Queues {
			if q.HeldUntil.After(s.Now) {
				held[q.Name] = q.HeldReason
			}
		}
		for _, l := range lines {
			s.Lines = append(s.Lines, dashboard.Line{ID: l.ID, Provider: l.Provider, Problem: held[job.SendQueue(l.ID)]})
		}
		return s
	}
}

// checks returns the checks that the router cannot work without; an engine that can be read
// but not written is down. Two are informational: the queue if there is a spool, and the
// store on a webhook, which accepts without it.
func (e *engines) checks(role, dir string, doorSpool, oldSpool *spool.Spool) []observe.Check {
	all := []observe.Check{
		{Name: "queue", Info: doorSpool != nil, Run: e.trackedQueue.check},
		{Name: "store", Info: role == roleWebhook, Run: e.storeCheck},
		{Name: "sends", Info: true, Run: func(ctx context.Context) error {
			stats, err := e.queue.Stats(ctx)
			if err != nil {
				return err
			}
			return heldSends(stats, time.Now())
		}},
		{Name: "disk", Info: true, Run: func(context.Context) error {
			d, err := observe.DiskSpace(dir)
			if err == nil && d.Used() > alert.DiskFull {
				return fmt.Errorf("%d %% of the disk of %s is used", int(100*d.Used()), dir)
			}
			return err
		}},
	}
	all = append(all, e.endpointCheck()...)
	if doorSpool != nil {
		// If neither Redis nor the disk takes an arrival, the webhook refuses it.
		all = append(all, observe.Check{Name: "door", Run: func(context.Context) error {
			return e.enqueueHealth.check(func() error { return nil })
		}})
	}
	for _, s := range []*spool.Spool{doorSpool, oldSpool} {
		if s == nil {
			continue
		}
		all = append(all, observe.Check{Name: "spool", Info: true, Run: func(context.Context) error {
			if n := s.Depth(); n > 0 {
				return fmt.Errorf("%d messages wait in the spool, the oldest for %s", n, s.Oldest().Round(time.Second))
			}
			return nil
		}})
	}
	return all
}

// storeCheck checks that the store can be read and written. It does not write before both
// engines are ready, because Redis has the notes of how far the database was.
func (e *engines) storeCheck(ctx context.Context) error {
	if e.waiting() != "" {
		return e.store.Ping(ctx)
	}
	return e.trackedStore.check(ctx)
}

// heldSends returns an error that names the lines that cannot send now, with the reasons.
func heldSends(stats []queue.Stats, now time.Time) error {
	var held []string
	for _, q := range stats {
		if _, ok := job.SendLine(q.Name); ok && q.HeldUntil.After(now) {
			held = append(held, fmt.Sprintf("%s is held: %s", q.Name, q.HeldReason))
		}
	}
	if held == nil {
		return nil
	}
	return fmt.Errorf("%s", strings.Join(held, "; "))
}

// sources returns the sources of metrics and status.
func (e *engines) sources(dir string, doorSpool *spool.Spool) observe.Sources {
	s := observe.Sources{
		Disk:   func() (observe.Disk, error) { return observe.DiskSpace(dir) },
		Queues: func(ctx context.Context) ([]queue.Stats, error) { return e.queue.Stats(ctx) },
		StoreStats: func(ctx context.Context) (observe.StoreStats, error) {
			g, err := e.store.Gauges(ctx, time.Now())
			f := storeStats(g)
			if err == nil {
				f.Endpoints, err = e.endpointBacklogs(ctx)
			}
			return f, err
		},
	}
	if e.redis != nil {
		s.Emptied = func(ctx context.Context) (bool, error) {
			at, err := e.emptied(ctx)
			return time.Since(at) < 24*time.Hour, err
		}
	}
	if doorSpool != nil {
		s.Spool = func() (int, time.Duration) { return doorSpool.Depth(), doorSpool.Oldest() }
	}
	return s
}

func storeStats(g store.Gauges) observe.StoreStats {
	return observe.StoreStats{
		OldestUnanswered: g.OldestUnanswered, OldestHandedOff: g.OldestHandedOff, PendingSends: g.PendingSends, UncertainSends: g.UncertainSends,
		Left:             g.Left,
		EventsUnnumbered: g.EventsUnnumbered, LastInbound: g.Lines,
	}
}

func lineInfos(lines []line) []observe.LineInfo {
	infos := make([]observe.LineInfo, 0, len(lines))
	for _, l := range lines {
		infos = append(infos, observe.LineInfo{ID: l.ID, Provider: l.Provider, Number: l.Number})
	}
	return infos
}

// sandboxGraph is the path of the fake Graph API on this server.
const sandboxGraph = "/sandbox/graph/v26.0"

// addSandbox adds the fake WhatsApp and its phones.
func (a *App) addSandbox(mux *http.ServeMux) error {
	l := a.cfg.Lines[config.DevLine]
	key := ""
	for _, k := range a.cfg.APIKeys {
		if k.Name == config.DevAPIKey {
			key = k.Key.First()
		}
	}
	s, err := sandbox.New(sandbox.Options{
		PhoneNumberID: l.PhoneNumberID, DisplayNumber: l.Number, AppSecret: l.AppSecret.First(),
		VerifyToken: l.VerifyToken.First(), Token: l.Token.First(),
		WebhookURL: func() string { return a.URL() + "/webhook" },
		APIBase:    api.Prefix, APIKey: key, Log: a.log,
	})
	if err != nil {
		return err
	}
	h := a.admission.Charge(s.Handler()) // it has no authentication
	mux.Handle("/sandbox", h)
	mux.Handle("/sandbox/", h)
	// The phones' event streams never end by themselves, and the server waits for them:
	// they end at its shutdown.
	ctx, end := context.WithCancel(context.Background())
	a.public.RegisterOnShutdown(end)
	a.onClose("sandbox", func() error { end(); return nil })
	a.addPart("sandbox", func(work context.Context) error {
		stop := context.AfterFunc(work, end)
		defer stop()
		if err := s.Run(ctx); err != nil {
			return err
		}
		<-work.Done()
		return nil
	})
	return nil
}

// banner prints the URLs once the router is ready.
func (a *App) banner() {
	if a.opts.Out == nil {
		return
	}
	if a.listener == nil {
		fmt.Fprintf(a.opts.Out, "PSI Router %s, worker\n", a.opts.Version)
		return
	}
	fmt.Fprintf(a.opts.Out, "PSI Router %s\n\n  status    %s/\n  webhook   %s/webhook\n  api       %s%s\n", a.opts.Version, a.URL(), a.URL(), a.URL(), api.Prefix)
	if a.cfg.Sandbox {
		l := a.cfg.Lines[config.DevLine]
		fmt.Fprintf(a.opts.Out, "  phone     %s/sandbox   ← start here\n\n", a.URL())
		fmt.Fprintf(a.opts.Out, "  line %s · phone_number_id %s\n", l.ID, l.PhoneNumberID)
		if a.cfg.Dev {
			fmt.Fprintf(a.opts.Out, "  app secret %s · verify token %s · API key %s\n", l.AppSecret.First(), l.VerifyToken.First(), config.DevAPIKey)
		}
	}
	fmt.Fprintf(a.opts.Out, "\n  data in %s · Ctrl-C to stop\n\n", a.cfg.DataDir)
}

package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/pprof"
	"path/filepath"
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/admission"
	"github.com/psivisionhub/psi-router/internal/api"
	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/decode"
	"github.com/psivisionhub/psi-router/internal/delivery"
	"github.com/psivisionhub/psi-router/internal/evolution"
	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/ingest"
	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/n8n"
	"github.com/psivisionhub/psi-router/internal/observe"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/redact"
	"github.com/psivisionhub/psi-router/internal/skew"
	"github.com/psivisionhub/psi-router/internal/spool"
	"github.com/psivisionhub/psi-router/internal/worker"
)

// Roles of a process.
const (
	roleAll     = "all"
	roleWebhook = "webhook"
	roleWorker  = "worker"
)

// New opens, wires and listens; nothing runs before Run. On an error it closes what it
// opened.
func New(ctx context.Context, o Options) (*App, error) {
	o.Role = cmp.Or(o.Role, roleAll)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	a := &App{opts: o, cfg: o.Config, redact: redact.New(o.Config.Secrets()...), clock: skew.New(), started: time.Now()}
	a.log = slog.New(a.redact.Handler(o.Log.Handler()))
	if err := a.setup(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// setup is one straight line on purpose: it shows what the program is made of, in the order
// in which a message meets it.
func (a *App) setup(ctx context.Context) error {
	cfg, log := a.cfg, a.log
	a.admission = admission.New(admission.Options{Proxies: cfg.TrustedProxies, Log: log})
	var err error
	if a.opts.Role != roleWorker {
		if a.listener, err = a.listen(ctx); err != nil {
			return err
		}
		a.onClose("listener", func() error { a.listener.Close(); return nil })
		if err := a.openCertificate(); err != nil {
			return err
		}
	}
	graph := httpcall.NewClient()
	graph.Transport = a.clock.Transport(graph.Transport)
	lines, err := newLines(cfg, graph, a.URL()+sandboxGraph, a.redact, log)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(lines, line.atMeta) {
		a.addPart("clock", func(ctx context.Context) error { return a.clock.Run(ctx, graph, cfg.GraphURL, log) })
	}
	if err := a.drainedFile(ctx); err != nil {
		return err
	}
	e, err := openEngines(ctx, opening{
		cfg: cfg, windowless: windowless(lines), limits: a.limits(), log: log, patient: a.usesSpool(), awaits: a.awaits, backoffSpeedup: a.opts.BackoffSpeedup,
	})
	if err != nil {
		return err
	}
	a.onClose("engines", e.close)
	if e.db != nil {
		a.addPartOnceUsable(e, "database", e.db.Run)
	}
	if err := checkAreas(e.flow, cfg); err != nil {
		return err
	}
	doorSpool, oldSpool, err := a.openSpool(ctx, e)
	if err != nil {
		return err
	}
	if e.notifier != nil {
		a.addPart("hints", e.notifier.Run)
	}
	metrics := observe.NewMetrics(a.opts.Version)
	sources := e.sources(cfg.DataDir, doorSpool)
	alerts := a.setupAlerts(e, &sources, lines)
	checks := e.checks(a.opts.Role, cfg.DataDir, doorSpool, oldSpool)
	checks = append(checks, observe.Check{Name: "clock", Info: true, Run: func(context.Context) error {
		if d := a.clock.Skew(); d != 0 {
			return fmt.Errorf("the clock of this machine is %s ahead of WhatsApp's: set it", d)
		}
		return nil
	}})
	if a.certificate != nil {
		checks = append(checks, a.certificate.check())
	}
	health := observe.NewHealth(observe.HealthOptions{
		Version: a.opts.Version, Checks: checks, Sources: sources, Lines: lineInfos(lines), Redact: a.redact,
	})
	alerts.health = health
	metrics.RegisterHealth(health)

	if a.opts.Role != roleWebhook {
		if err := a.setupWork(ctx, e, lines, alerts, &meter{metrics, &alerts.tally}); err != nil {
			return err
		}
	}
	if a.opts.Role != roleWorker {
		if err := a.setupPublic(e, doorSpool, lines, alerts, metrics); err != nil {
			return err
		}
	}
	if err := a.adminSocket(ctx, e, health, metrics, lines); err != nil {
		return err
	}
	if err := a.serveMetrics(ctx, health, metrics); err != nil {
		return err
	}
	a.addPart("watchdog", a.feedWatchdog)
	a.makeReady(e)
	a.logUnusedLines(e)
	return nil
}

// setupWork sets up the work behind the queue: turns, sends, media, the pump.
func (a *App) setupWork(ctx context.Context, e *engines, lines []line, alerts *alerting, metrics *meter) error {
	cfg, log := a.cfg, a.log
	if e.sqliteQueue != nil { // on Redis the limits are set when it is opened
		for name, rate := range a.limits() {
			if err := e.queue.SetLimit(ctx, name, rate); err != nil {
				return fmt.Errorf("limit queue %s: %w", name, err)
			}
		}
	}
	turns := worker.New(worker.Options{Store: e.store, Queue: e.queue, BackoffSpeedup: a.opts.BackoffSpeedup, Meter: metrics, Log: log})
	a.addRunner(e, metrics, job.Inbound, turns.Inbound(), cfg.Worker.Concurrency)
	a.addRunner(e, metrics, job.Status, turns.Status(), cfg.Worker.Concurrency)

	fetchers := map[string]delivery.Fetcher{}
	for _, l := range lines {
		fetchers[l.ID] = l.fetcher
		sends := delivery.NewSends(delivery.SendOptions{
			Line: l.ID, Store: e.store, Queue: e.queue, Sender: l.sender, Marker: l.marker, Rate: l.rate(), Lease: a.opts.Lease, PostTimeout: a.opts.PostTimeout,
			Backoff: queue.Backoff{}.Faster(a.opts.BackoffSpeedup), BackoffSpeedup: a.opts.BackoffSpeedup, Drain: a.drain(), Meter: metrics, Runs: metrics, Log: log,
		})
		a.addPartOnceUsable(e, job.SendQueue(l.ID), sends.Run)
	}
	media := delivery.NewMedia(delivery.MediaOptions{
		Store: e.store, Queue: e.queue, Fetchers: fetchers, Dir: filepath.Join(cfg.DataDir, "media"),
		MaxBytes: int64(cfg.MediaMax), Drain: a.drain(), Meter: metrics, Runs: metrics, Log: log,
	})
	a.addPartOnceUsable(e, job.Media, media.Run)
	if err := a.addEndpoints(e, metrics); err != nil {
		return err
	}
	a.addPartOnceUsable(e, "pump", delivery.NewPump(delivery.PumpOptions{Store: e.store, Queue: e.queue, Spools: alerts.mayBeSpooled, Log: log}).Run)
	return nil
}

// limits returns the rates of the arrival queues that this process serves. Setting a rate
// creates the queue, so that an operator may pause it before its first job.
func (a *App) limits() map[string]queue.Limit {
	if a.opts.Role == roleWebhook {
		return nil
	}
	return map[string]queue.Limit{
		job.Inbound: rateLimit(float64(a.cfg.Worker.Rate)), job.Status: {}, job.Media: {},
	}
}

// setupPublic sets up the public paths: webhooks, the API and the pages.
func (a *App) setupPublic(e *engines, doorSpool *spool.Spool, lines []line, alerts *alerting, metrics *observe.Metrics) error {
	door := ingest.Options{
		Queue: e.queue, Decoder: decode.Decoder{Flat: n8n.Decoder{Zone: a.cfg.Location(), Country: a.cfg.DefaultCountry}}, Meta: metaProtocol(), Admission: a.admission, Ahead: a.clock.Skew,
		Insecure: a.cfg.Insecure, Meter: metrics, Log: a.log,
	}
	if doorSpool != nil {
		door.Queue = trackedEnqueuer{doorSpool, e.enqueueHealth}
	}
	for _, l := range lines {
		door.Lines = append(door.Lines, l.ingestLine())
	}
	h := ingest.New(door)
	mux := http.NewServeMux()
	mux.Handle("/webhook", h)
	mux.Handle("/webhook/", h)
	hostNames := a.hosts(a.cfg.Listen)
	alerts.health.RegisterProbes(mux, hostNames.Allows)
	pages := http.NewServeMux()
	alerts.health.RegisterPages(pages, metrics)
	mux.Handle("/", hostNames.Guard(pages))
	if err := a.addAPIAndDashboard(mux, pages, hostNames, e, alerts, lines); err != nil {
		return err
	}
	a.public, a.listener = a.newPublicServer(mux, a.listener)
	a.public.RegisterOnShutdown(alerts.health.Drain)
	if !a.cfg.Sandbox {
		return nil
	}
	return a.addSandbox(pages)
}

// gather is the longest time that turns wait for further arrivals after a batch has begun.
// A transaction costs as much as several of its messages, and people do not notice the
// wait.
const gather = 100 * time.Millisecond

// addRunner serves a queue of arrivals.
func (a *App) addRunner(e *engines, m queue.Meter, name string, h queue.Handler, slots int) {
	r := queue.NewRunner(queue.RunnerOptions{
		Queue: e.queue, Name: name, Handler: h, Slots: slots, Batch: a.cfg.Worker.Batch, Gather: gather,
		Backoff: queue.Backoff{}.Faster(a.opts.BackoffSpeedup), Drain: a.drain(), Meter: m, Log: a.log,
	})
	a.addPartOnceUsable(e, name, r.Run)
}

// adminSocket serves the API without a key to the operator of this machine, and the
// profiler.
func (a *App) adminSocket(ctx context.Context, e *engines, health *observe.Health, metrics *observe.Metrics, lines []line) error {
	o := a.apiOptions(e, lines)
	o.Trusted = true
	trusted, err := api.New(o)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", trusted)
	health.Register(mux, metrics)
	mux.HandleFunc("POST "+AfterRestorePath, e.serveAfterRestore)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	if a.socket, err = listenAdmin(ctx, a.cfg.DataDir, a.opts.Role); err != nil {
		return err
	}
	a.onClose("admin socket", func() error { a.socket.Close(); return nil })
	a.admin = a.newServer(mux)
	return nil
}

// logUnusedLines logs flow lines that are not configured.
func (a *App) logUnusedLines(e *engines) {
	absent := slices.Sorted(maps.Keys(e.flow.Lines))
	absent = slices.DeleteFunc(absent, func(id string) bool { return a.cfg.Lines[id] != nil })
	if len(absent) > 0 && !a.cfg.Dev {
		a.log.Info("the flow names lines that are not configured", "lines", absent)
	}
}

// apiLines returns the lines as the API takes them.
func apiLines(cfg *config.Config) []api.Line {
	all := []api.Line{}
	for id, l := range cfg.Lines {
		line := api.Line{ID: id}
		if l.Provider == evolution.Provider {
			line.Types = evolution.SendTypes()
		}
		all = append(all, line)
	}
	return all
}

// apiKeys returns the API keys as the API takes them.
func apiKeys(cfg *config.Config) []api.Key {
	all := make([]api.Key, 0, len(cfg.APIKeys))
	for _, k := range cfg.APIKeys {
		all = append(all, api.Key{Name: k.Name, Secrets: k.Key.Values(), Role: api.Role(k.Role), Lines: k.Lines, Areas: k.Areas, Rate: float64(k.Rate)})
	}
	return all
}

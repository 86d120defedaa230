package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/delivery"
	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/observe"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/webhookout"
)

// backlogWarnAfter is the age from which waiting events are reported.
const backlogWarnAfter = 5 * time.Minute

// deliveryEndpoints returns the configured endpoints as delivery takes them.
func deliveryEndpoints(cfg *config.Config, tree *flow.Flow) []delivery.Endpoint {
	all := make([]delivery.Endpoint, 0, len(cfg.Endpoints))
	for _, c := range cfg.Endpoints {
		e := delivery.Endpoint{Name: c.Name, Wants: store.EventFilter{Types: eventTypes(c), Lines: c.Lines}}
		for _, name := range c.Areas {
			id := name
			if area, ok := tree.Area(name); ok {
				id = area.ID
			}
			e.Wants.Areas = append(e.Wants.Areas, id)
		}
		all = append(all, e)
	}
	return all
}

// eventTypes returns the event types of an endpoint; n8n gets only those that have a
// notice.
func eventTypes(c config.Endpoint) []string {
	if c.Format != webhookout.Notice {
		return c.Events
	}
	asked, types := store.EventFilter{Types: c.Events}, []string{}
	for _, t := range webhookout.NoticeTypes() {
		if asked.Match(store.Event{Type: t}) {
			types = append(types, t)
		}
	}
	if len(types) == 0 {
		types = []string{"-"} // none: an empty list means all
	}
	return types
}

// addEndpoints adds the pushing of events.
func (a *App) addEndpoints(e *engines, metrics *meter) error {
	for i, c := range a.cfg.Endpoints {
		client, err := webhookout.New(webhookout.Options{
			Name: c.Name, URL: c.URL, Secrets: c.Secret.Values(), Format: c.Format, Allow: c.Allow,
			Key: fmt.Sprintf("endpoints.%d.allow", i), Conns: c.Concurrency, Redact: a.redact,
		})
		if err != nil {
			return err
		}
		a.onClose("endpoint "+c.Name, func() error { client.Close(); return nil })
		events := delivery.NewEvents(delivery.EventOptions{
			Endpoint: e.endpoints[i], Store: e.store, Queue: e.queue, Pusher: client, Rate: rateLimit(float64(c.Rate)), Posts: c.Concurrency,
			Backoff: queue.Backoff{}.Faster(a.opts.BackoffSpeedup), BackoffSpeedup: a.opts.BackoffSpeedup, Drain: a.cfg.DrainTimeout.D(), Meter: metrics, Runs: metrics, Log: a.log,
		})
		a.addPartOnceUsable(e, job.EventQueue(c.Name), events.Run)
	}
	if e.notifier == nil {
		return nil
	}
	a.addPartOnceUsable(e, "feeder", delivery.NewBacklogScanner(delivery.BacklogScannerOptions{
		Store: e.store, Queue: e.queue, Open: e.notifier.Open, Endpoints: e.endpoints, Log: a.log,
	}).Run)
	return nil
}

// endpointCheck reports the endpoints that do not take their events. It is informational:
// no event is lost.
func (e *engines) endpointCheck() []observe.Check {
	if len(e.endpoints) == 0 {
		return nil
	}
	return []observe.Check{{Name: "endpoints", Info: true, Run: func(ctx context.Context) error {
		stats, err := e.queue.Stats(ctx, delivery.EventQueues(e.endpoints)...)
		if err != nil {
			return err
		}
		names := e.endpointNames()
		backlogs, err := e.store.Backlogs(ctx, names)
		if err != nil {
			return err
		}
		return stuckEndpoints(names, stats, backlogs, time.Now())
	}}}
}

func (e *engines) endpointNames() []string {
	names := make([]string, len(e.endpoints))
	for i, x := range e.endpoints {
		names[i] = x.Name
	}
	return names
}

// stuckEndpoints returns an error that names the endpoints that are held or behind.
func stuckEndpoints(names []string, stats []queue.Stats, backlogs map[string]store.Backlog, now time.Time) error {
	var stuck []string
	for _, name := range names {
		var why []string
		i := slices.IndexFunc(stats, func(q queue.Stats) bool { return q.Name == job.EventQueue(name) })
		switch {
		case i < 0:
		case stats[i].Paused:
			why = append(why, "is paused")
		case stats[i].HeldUntil.After(now):
			why = append(why, "is held: "+stats[i].HeldReason)
		}
		if l, behind := backlogs[name]; behind && now.Sub(l.Oldest) >= backlogWarnAfter {
			// While the endpoint is held, its backlog is not counted fully.
			why = append(why, fmt.Sprintf("events of at least %d conversations wait, the oldest for %s", l.Conversations, now.Sub(l.Oldest).Round(time.Second)))
		}
		if len(why) > 0 {
			stuck = append(stuck, job.EventQueue(name)+" "+strings.Join(why, "; "))
		}
	}
	if stuck == nil {
		return nil
	}
	return fmt.Errorf("%s", strings.Join(stuck, "; "))
}

// endpointBacklogs returns the backlogs for the metrics; an endpoint without one is zero.
func (e *engines) endpointBacklogs(ctx context.Context) (map[string]observe.EndpointBacklog, error) {
	if len(e.endpoints) == 0 {
		return nil, nil
	}
	backlogs, err := e.store.Backlogs(ctx, e.endpointNames())
	if err != nil {
		return nil, err
	}
	out := map[string]observe.EndpointBacklog{}
	for _, name := range e.endpointNames() {
		l := backlogs[name]
		f := observe.EndpointBacklog{Conversations: l.Conversations}
		if l.Conversations > 0 {
			f.Oldest = max(0, time.Since(l.Oldest))
		}
		out[name] = f
	}
	return out, nil
}

package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/psivisionhub/psi-router/internal/api"
	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/evolution"
	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
)

// Offline opens the engines of a router that is not running, and returns its API for the
// operator who owns the files. If a router is running, it holds the files: then Offline
// returns an error, and the admin socket is the way. Redis and PostgreSQL may be in use by
// others. close releases the engines.
func Offline(ctx context.Context, cfg *config.Config) (handler http.Handler, close func() error, err error) {
	log := slog.New(slog.DiscardHandler)
	var free []string
	for id, l := range cfg.Lines {
		if l.Provider == evolution.Provider {
			free = append(free, id)
		}
	}
	e, err := openEngines(ctx, opening{cfg: cfg, windowless: free, asIs: true, log: log})
	if err != nil {
		return nil, nil, err
	}
	h, err := api.New(api.Options{
		Store: e.store, Queue: e.queue, Areas: e.flow.AreaList(), Lines: apiLines(cfg), Country: cfg.DefaultCountry, Window: window, Windowless: free, Trusted: true, Wake: e.wake(log), Block: cannotBlockOffline, Log: log,
	})
	if err != nil {
		return nil, nil, errors.Join(err, e.close())
	}
	return h, e.close, nil
}

// cannotBlockOffline tells why WhatsApp is not asked to block a person.
func cannotBlockOffline(context.Context, store.Conversation, bool) error {
	return errors.New("no router is running: repeat the command once one is")
}

// wake returns a function that wakes delivery after a command. The pump makes up for a lost
// wake-up within a minute.
func (e *engines) wake(logger *slog.Logger) func(ctx context.Context, line, conversation string) {
	return func(ctx context.Context, line, conversation string) {
		if _, err := e.queue.Enqueue(ctx, []queue.Job{job.WakeSends(line, conversation)}); err != nil {
			logger.Warn("wake-up lost until the pump finds it", "line", line, "conversation", conversation, "error", err)
		}
	}
}

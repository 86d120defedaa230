package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/psivisionhub/psi-router/internal/api"
	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/delivery"
	"github.com/psivisionhub/psi-router/internal/evolution"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
)

// Offline opens the engines of a router that does not run here, and returns its
// API for the operator who owns them. A router that does run holds its files: then
// this is an error, and the admin socket is the way. Redis and PostgreSQL may be
// used by others meanwhile. close releases what was opened.
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

// cannotBlockOffline is why WhatsApp is not asked to block somebody.
func cannotBlockOffline(context.Context, store.Conversation, bool) error {
	return errors.New("no router runs: say it again once one does")
}

// wake tells delivery that a command may have something to send. What is lost
// here the pump finds within a minute.
func (e *engines) wake(logger *slog.Logger) func(ctx context.Context, line, conversation string) {
	return func(ctx context.Context, line, conversation string) {
		if _, err := e.queue.Enqueue(ctx, []queue.Job{delivery.Wake(line, conversation)}); err != nil {
			logger.Warn("wake-up lost until the pump finds it", "line", line, "conversation", conversation, "error", err)
		}
	}
}

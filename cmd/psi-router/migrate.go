package main

import (
	"errors"
	"strings"

	"github.com/psivisionhub/psi-router/internal/app"
	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/sqlite"
)

type migrateCmd struct {
	AfterRestore bool `help:"The store went back in time: skip what the lost time may have used."`
}

func (migrateCmd) Help() string {
	return `serve does the same when it starts; this is for doing it beforehand. It goes forward only: keep a copy of data_dir.

A store that went back in time (a backup was put back, a standby was promoted that lagged, store.db is older than queue.db) is noticed, in PostgreSQL also under running routers: their doors stay open, and nothing is written to it until --after-restore was given. It runs beside the routers that wait: positions of events, tickets and sequence numbers jump over those that may have been given out, messages that are not sent become uncertain, because they may have been, and the routers go on by themselves.

Examples:
  psi-router migrate --config psi.yaml
  psi-router migrate --config psi.yaml --after-restore`
}

// Run opens the engines, which migrates them, and closes them.
func (c *migrateCmd) Run(e *env) error {
	cfg, err := e.engineConfig()
	if err != nil {
		return err
	}
	if c.AfterRestore {
		return e.afterRestore(cfg)
	}
	_, closeFiles, err := app.Offline(e.ctx, cfg)
	if err != nil {
		return problem("migrate %s: %w", cfg.DataDir, e.redacted(err))
	}
	if err := closeFiles(); err != nil {
		return problem("close %s: %w", cfg.DataDir, err)
	}
	return e.report(map[string]string{"data_dir": cfg.DataDir, "version": version}, "%s is up to date.\n", cfg.DataDir)
}

func (e *env) afterRestore(cfg *config.Config) error {
	n, err := app.AfterRestore(e.ctx, cfg)
	if errors.Is(err, sqlite.ErrLocked) { // the router that holds the files has to do it
		var done struct{ Uncertain int }
		err = e.withClient(func(c *client) error {
			return c.post(e.ctx, strings.TrimPrefix(app.AfterRestorePath, apiPrefix), nil, &done)
		})
		n = done.Uncertain
	}
	if err != nil {
		return problem("%w", e.redacted(err))
	}
	return e.report(map[string]int{"uncertain": n},
		"The database can be used again; %s may or may not have been sent and will not be sent now. Routers that wait go on by themselves.\n", plural(n, "message"))
}

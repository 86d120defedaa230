package main

import (
	"strings"

	"github.com/psivisionhub/psi-router/internal/app"
	"github.com/psivisionhub/psi-router/internal/observe"
	"github.com/psivisionhub/psi-router/internal/supervisor"
)

type serveCmd struct {
	Role  string  `enum:"all,webhook,worker" default:"all" help:"What this process does: all, webhook or worker."`
	Hurry float64 `hidden:"" default:"1" help:"For drills: back-offs pass so many times faster."`
}

func (serveCmd) Help() string {
	return `Without --config and without variables it starts with the sandbox: open the printed address and write "hola".

Examples:
  psi-router serve
  psi-router serve --config psi.yaml
  PSI_LISTEN=127.0.0.1:4000 psi-router serve`
}

func (c *serveCmd) Run(e *env) error {
	cfg, err := e.config()
	if err = refuseOldNames(e.environ, err); err != nil {
		return usage("%w\nNothing was started. docs/configuration.md explains every key.", err)
	}
	if err := cfg.CheckRole(c.Role); err != nil {
		return usage("%w", err)
	}
	if _, err := app.LoadFlow(cfg.Flow); err != nil {
		return usage("%w\nNothing was started. docs/flow.md explains the language.", err)
	}
	logger := observe.NewLogger(e.err, cfg.LogLevel, cfg.LogFormat)
	for _, note := range cfg.Notes {
		logger.Warn("configuration", "note", strings.TrimSuffix(note, "."))
	}
	sup, err := supervisor.FromEnvironment()
	if err != nil {
		return problem("%w", err)
	}
	return e.redacted(app.Run(e.ctx, app.Options{Config: cfg, Role: c.Role, Version: version, BackoffSpeedup: c.Hurry, Log: logger, Out: e.out, Supervisor: sup}))
}

package main

import (
	"fmt"

	"github.com/psivisionhub/psi-router/internal/app"
)

type migrateCmd struct{}

// Help implements kong's help.
func (migrateCmd) Help() string {
	return `serve does the same when it starts; this is for doing it beforehand. It goes forward only: keep a copy of data_dir.

Examples:
  psi-router migrate --config psi.yaml`
}

// Run opens the engines, which migrates them, and closes them.
func (migrateCmd) Run(e *env) error {
	cfg, err := e.files()
	if err != nil {
		return err
	}
	_, closeFiles, err := app.Offline(e.ctx, cfg)
	if err != nil {
		return problem("migrate %s: %w", cfg.DataDir, err)
	}
	if err := closeFiles(); err != nil {
		return problem("close %s: %w", cfg.DataDir, err)
	}
	if e.JSON {
		return e.printJSON(map[string]string{"data_dir": cfg.DataDir, "version": version})
	}
	fmt.Fprintf(e.out, "%s is up to date.\n", cfg.DataDir)
	return nil
}

// Package upgrade migrates a database to the version that its program knows, one migration
// after the other, and logs the progress, so that a long migration never looks like a hang.
// It must know no table, nor abandon a migration because it takes long.
package upgrade

import (
	"context"
	"log/slog"
	"path"
	"time"

	"github.com/pressly/goose/v3"
)

// logEvery is how often a running migration is logged.
const logEvery = 10 * time.Second

// Up applies the missing migrations. Each is a transaction of its own: after an error,
// those before it stay.
func Up(ctx context.Context, p *goose.Provider, logger *slog.Logger) error {
	now, last, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	for _, s := range p.ListSources() {
		if s.Version <= now {
			continue
		}
		name := path.Base(s.Path)
		err := logProgress(logger.With("name", name, "last", last), func() error {
			_, err := p.UpTo(ctx, s.Version)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// logProgress runs a migration and logs its start, its progress and its end.
func logProgress(logger *slog.Logger, run func() error) error {
	start := time.Now()
	logger.Info("migrating")
	done := make(chan error, 1)
	go func() { done <- run() }()
	t := time.NewTicker(logEvery)
	defer t.Stop()
	for {
		select {
		case err := <-done:
			if err == nil {
				logger.Info("migrated", "took", time.Since(start))
			}
			return err
		case <-t.C:
			logger.Info("still migrating", "for", time.Since(start))
		}
	}
}

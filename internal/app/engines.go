package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/psivisionhub/psi-router/flows"
	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/sqlitequeue"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlitestore"
)

// engines are what keeps everything: the queue and the store.
type engines struct {
	flow  *flow.Flow
	queue queue.Engine
	store store.Store
}

// openEngines opens the embedded ones. windowless are the lines without a
// customer service window.
func openEngines(ctx context.Context, cfg *config.Config, windowless []string, log *slog.Logger) (*engines, error) {
	tree, err := LoadFlow(cfg.Flow)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make data_dir: %w", err)
	}
	relaxed := cfg.Durability == "relaxed"
	q, err := sqlitequeue.Open(ctx, sqlitequeue.Options{
		Path: filepath.Join(cfg.DataDir, "queue.db"), Relaxed: relaxed, Logger: log,
	})
	if err != nil {
		return nil, err
	}
	s, err := sqlitestore.Open(ctx, sqlitestore.Options{
		Path: filepath.Join(cfg.DataDir, "store.db"), Relaxed: relaxed, Logger: log,
		Rules:   router.Rules{Flow: tree, HandoffTimeout: cfg.HandoffTimeout.D(), Window: window},
		Country: cfg.DefaultCountry, Zone: cfg.Location(), StaleAfter: cfg.StaleAfter.D(), Windowless: windowless,
	})
	if err != nil {
		return nil, errors.Join(err, q.Close())
	}
	return &engines{flow: tree, queue: q, store: s}, nil
}

func (e *engines) close() error { return errors.Join(e.store.Close(), e.queue.Close()) }

// checkAreas refuses a configuration that names areas which the flow lacks.
func (e *engines) checkAreas(cfg *config.Config) error {
	return cfg.CheckAreas(e.flow.AreaOrder, func(name string) bool {
		_, ok := e.flow.Area(name)
		return ok
	})
}

// LoadFlow reads and checks a flow; "" is the one that ships with the program.
func LoadFlow(path string) (*flow.Flow, error) {
	name := path
	src, err := os.ReadFile(path)
	if path == "" {
		name = "psi.yaml"
		src, err = fs.ReadFile(flows.FS, name)
	}
	if err != nil {
		return nil, fmt.Errorf("read flow: %w", err)
	}
	return flow.Parse(name, src)
}

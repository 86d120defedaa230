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
	"github.com/psivisionhub/psi-router/internal/queue/redisqueue"
	"github.com/psivisionhub/psi-router/internal/queue/sqlitequeue"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/pgstore"
	"github.com/psivisionhub/psi-router/internal/store/sqlitestore"
)

// engines are what keeps everything: the queue and the store.
type engines struct {
	flow  *flow.Flow
	queue queue.Engine
	store store.Store
	owner *pgstore.Owner // where the store may be used by one process only
}

// openEngines opens what the configuration names: Redis and PostgreSQL, or the
// files in data_dir. windowless are the lines without a customer service window.
func openEngines(ctx context.Context, cfg *config.Config, windowless []string, log *slog.Logger) (*engines, error) {
	e, err := openBoth(ctx, cfg, windowless, log)
	if err != nil {
		return nil, err
	}
	if m := e.memory(cfg, log); m != nil {
		if err := m.check(ctx); err != nil {
			return nil, errors.Join(err, e.close())
		}
	}
	return e, nil
}

// openBoth is openEngines for a database that may have been put back.
func openBoth(ctx context.Context, cfg *config.Config, windowless []string, log *slog.Logger) (*engines, error) {
	tree, err := LoadFlow(cfg.Flow)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make data_dir: %w", err)
	}
	q, err := openQueue(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	s, err := openStore(ctx, cfg, tree, windowless, log)
	if err != nil {
		return nil, errors.Join(err, q.Close())
	}
	e := &engines{flow: tree, queue: q, store: s}
	if err := e.own(ctx, cfg); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

// own takes a database for this process alone when the queue lives inside of it:
// two of those would each answer a person in an order of their own.
func (e *engines) own(ctx context.Context, cfg *config.Config) (err error) {
	s, ok := e.store.(*pgstore.Store)
	if !ok || !cfg.RedisURL.Empty() {
		return nil
	}
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		dir = cfg.DataDir
	}
	e.owner, err = s.Own(ctx, fmt.Sprintf("process %d on %s with data_dir %s", os.Getpid(), host, dir))
	return err
}

func openQueue(ctx context.Context, cfg *config.Config, log *slog.Logger) (queue.Engine, error) {
	if !cfg.RedisURL.Empty() {
		q, err := redisqueue.Open(ctx, redisqueue.Options{URL: cfg.RedisURL.First(), Durability: cfg.Durability, Log: log})
		if err != nil {
			return nil, err
		}
		if err := q.Complete(ctx); err != nil {
			return nil, errors.Join(err, q.Close())
		}
		return q, nil
	}
	return sqlitequeue.Open(ctx, sqlitequeue.Options{
		Path: filepath.Join(cfg.DataDir, "queue.db"), Relaxed: cfg.Durability == "relaxed", Logger: log,
	})
}

func openStore(ctx context.Context, cfg *config.Config, tree *flow.Flow, windowless []string, log *slog.Logger) (store.Store, error) {
	rules := router.Rules{Flow: tree, HandoffTimeout: cfg.HandoffTimeout.D(), Window: window}
	if !cfg.DatabaseURL.Empty() {
		return pgstore.Open(ctx, pgstore.Options{
			URL: cfg.DatabaseURL.First(), DirectURL: cfg.DatabaseDirectURL.First(), Log: log,
			// Turns and statuses, sends and the pump, and a few for the faces.
			MaxConns: 2*cfg.Worker.Concurrency + len(cfg.Lines) + 4,
			Rules:    rules, Country: cfg.DefaultCountry, Zone: cfg.Location(), StaleAfter: cfg.StaleAfter.D(), Windowless: windowless,
		})
	}
	return sqlitestore.Open(ctx, sqlitestore.Options{
		Path: filepath.Join(cfg.DataDir, "store.db"), Relaxed: cfg.Durability == "relaxed", Logger: log,
		Rules: rules, Country: cfg.DefaultCountry, Zone: cfg.Location(), StaleAfter: cfg.StaleAfter.D(), Windowless: windowless,
	})
}

func (e *engines) close() error {
	var err error
	if e.owner != nil {
		err = e.owner.Close()
	}
	return errors.Join(err, e.store.Close(), e.queue.Close())
}

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

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
	"github.com/psivisionhub/psi-router/internal/delivery"
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
	owner *pgstore.Owner     // where the store may be used by one process only
	redis *redisqueue.Engine // nil for the embedded queue
	gate  *gate              // of a queue that was away at the start, else nil

	endpoints []delivery.Endpoint
	hints     *delivery.Hints // nil without endpoints
}

// opening says how engines are opened.
type opening struct {
	cfg *config.Config
	// windowless are the lines without a customer service window.
	windowless []string
	// patient goes on without Redis when it is away: there is a spool.
	patient bool
	// asIs leaves the database's schema to the routers.
	asIs bool
	log  *slog.Logger
}

// openEngines opens what the configuration names: Redis and PostgreSQL, or the
// files in data_dir.
func openEngines(ctx context.Context, o opening) (*engines, error) {
	e, err := openBoth(ctx, o)
	if err != nil {
		return nil, err
	}
	switch m := e.memory(o.cfg, o.log); {
	case m == nil:
	case e.gate != nil:
		e.gate.first(m.check)
	default:
		if err := m.check(ctx); err != nil {
			return nil, errors.Join(err, e.close())
		}
	}
	return e, nil
}

// openBoth is openEngines for a database that may have been put back.
func openBoth(ctx context.Context, o opening) (*engines, error) {
	cfg := o.cfg
	tree, err := LoadFlow(cfg.Flow)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make data_dir: %w", err)
	}
	e := &engines{flow: tree}
	if err := e.openQueue(ctx, o); err != nil {
		return nil, err
	}
	if e.endpoints = endpoints(cfg, tree); len(e.endpoints) > 0 {
		e.hints = delivery.NewHints(delivery.HintOptions{Queue: e.queue, Stats: e.queue.Stats, Endpoints: e.endpoints, Log: o.log})
	}
	if e.store, err = e.openStore(ctx, o, tree); err != nil {
		return nil, errors.Join(err, e.queue.Close())
	}
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

// openQueue opens the queue. One that is away is waited for behind a gate when
// something else keeps what arrives.
func (e *engines) openQueue(ctx context.Context, o opening) (err error) {
	cfg := o.cfg
	if cfg.RedisURL.Empty() {
		e.queue, err = sqlitequeue.Open(ctx, sqlitequeue.Options{
			Path: filepath.Join(cfg.DataDir, "queue.db"), Relaxed: cfg.Durability == "relaxed", Logger: o.log,
		})
		return err
	}
	e.redis, err = redisqueue.Open(ctx, redisqueue.Options{
		URL: cfg.RedisURL.First(), Durability: cfg.Durability, Lazy: o.patient, Log: o.log,
	})
	if err != nil {
		return err
	}
	e.queue = e.redis
	switch err := e.redis.Complete(ctx); {
	case err == nil:
	case o.patient && errors.Is(err, queue.ErrUnavailable):
		e.gate = newGate(e.redis, err, o.log)
		e.gate.first(e.redis.Complete)
		e.queue = e.gate
	default:
		return errors.Join(err, e.redis.Close())
	}
	return nil
}

func (e *engines) openStore(ctx context.Context, o opening, tree *flow.Flow) (store.Store, error) {
	var told func([]store.Event)
	if e.hints != nil {
		told = e.hints.Told
	}
	cfg := o.cfg
	rules := router.Rules{Flow: tree, HandoffTimeout: cfg.HandoffTimeout.D(), Window: window}
	if !cfg.DatabaseURL.Empty() {
		return pgstore.Open(ctx, pgstore.Options{
			URL: cfg.DatabaseURL.First(), DirectURL: cfg.DatabaseDirectURL.First(), AsIs: o.asIs, Log: o.log,
			// Turns and statuses, sends and the pump, and a few for the faces.
			MaxConns: 2*cfg.Worker.Concurrency + len(cfg.Lines) + 2*len(cfg.Endpoints) + 4,
			Rules:    rules, Country: cfg.DefaultCountry, Zone: cfg.Location(), StaleAfter: cfg.StaleAfter.D(), Windowless: o.windowless, Told: told,
		})
	}
	return sqlitestore.Open(ctx, sqlitestore.Options{
		Path: filepath.Join(cfg.DataDir, "store.db"), Relaxed: cfg.Durability == "relaxed", Logger: o.log,
		Rules: rules, Country: cfg.DefaultCountry, Zone: cfg.Location(), StaleAfter: cfg.StaleAfter.D(), Windowless: o.windowless, Told: told,
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
func (e *engines) checkAreas(cfg *config.Config) error { return checkAreas(e.flow, cfg) }

func checkAreas(f *flow.Flow, cfg *config.Config) error {
	return cfg.CheckAreas(f.AreaOrder, func(name string) bool {
		_, ok := f.Area(name)
		return ok
	})
}

// CheckFlow reads the flow that a configuration names, and compares the two.
func CheckFlow(cfg *config.Config) error {
	f, err := LoadFlow(cfg.Flow)
	if err != nil {
		return err
	}
	return checkAreas(f, cfg)
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

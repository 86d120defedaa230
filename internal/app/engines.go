package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/psivisionhub/psi-router/flows"
	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/delivery"
	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/redisqueue"
	"github.com/psivisionhub/psi-router/internal/queue/sqlitequeue"
	"github.com/psivisionhub/psi-router/internal/redact"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/pgstore"
	"github.com/psivisionhub/psi-router/internal/store/sqlitestore"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// engines are the queue and the store.
type engines struct {
	flow        *flow.Flow
	queue       queue.Engine
	store       store.Store
	redis       *redisqueue.Engine  // nil for the embedded queue
	db          *pgstore.Store      // nil for the embedded store
	sqliteStore *sqlitestore.Store  // the embedded store, else nil
	sqliteQueue *sqlitequeue.Engine // the embedded queue, else nil
	pending     []*pendingEngine    // engines not ready at the start

	// The two with tracked writes, for the checks.
	trackedQueue trackedQueue
	trackedStore trackedStore
	// enqueueHealth tracks the writes of arrivals, which may go to the spool too.
	enqueueHealth *writeHealth

	endpoints []delivery.Endpoint
	notifier  *delivery.EventNotifier // nil without endpoints
}

// opening configures how engines are opened.
type opening struct {
	cfg *config.Config
	// windowless are the lines without a service window.
	windowless []string
	// limits are the rates of the Redis queues that this process serves.
	limits map[string]queue.Limit
	// patient goes on without Redis: arrivals are spooled.
	patient bool
	// awaits reports whether to go on without PostgreSQL after an error; nil: never.
	awaits func(error) bool
	// asIs leaves the database's schema unchanged.
	asIs bool
	// backoffSpeedup makes waits so many times shorter, for drills; 0 means 1.
	backoffSpeedup float64
	log            *slog.Logger
}

// apologyDelay returns unit.Settings' ApologyDelay.
func (o opening) apologyDelay() time.Duration {
	if o.backoffSpeedup <= 1 {
		return 0
	}
	return time.Duration(float64(2*time.Minute) / o.backoffSpeedup)
}

// openEngines opens the configured engines: Redis and PostgreSQL, or the files in data_dir.
func openEngines(ctx context.Context, o opening) (*engines, error) {
	cfg := o.cfg
	tree, err := LoadFlow(cfg.Flow)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make data_dir: %w", err)
	}
	e := &engines{flow: tree, enqueueHealth: newWriteHealth()}
	if err := e.openQueue(ctx, o); err != nil {
		return nil, err
	}
	redactor := redact.New(cfg.Secrets()...)
	e.trackedQueue = trackedQueue{redactingQueue{e.queue, redactor}, newWriteHealth()}
	e.queue = e.trackedQueue
	if e.endpoints = deliveryEndpoints(cfg, tree); len(e.endpoints) > 0 {
		e.notifier = delivery.NewEventNotifier(delivery.EventNotifierOptions{Queue: e.queue, Stats: e.queue.Stats, Endpoints: e.endpoints, Log: o.log})
	}
	if err := e.openStore(ctx, o); err != nil {
		return nil, errors.Join(err, e.queue.Close())
	}
	e.trackedStore = newTrackedStore(redactingStore{e.store, redactor})
	e.store = e.trackedStore
	return e, nil
}

// openQueue opens the queue. Without Redis it goes on if arrivals are spooled.
func (e *engines) openQueue(ctx context.Context, o opening) (err error) {
	cfg := o.cfg
	if cfg.RedisURL.Empty() {
		e.sqliteQueue, err = sqlitequeue.Open(ctx, sqlitequeue.Options{
			Path: filepath.Join(cfg.DataDir, "queue.db"), Relaxed: cfg.Durability == "relaxed", Logger: o.log,
		})
		e.queue = e.sqliteQueue
		return err
	}
	e.redis, err = redisqueue.Open(ctx, redisqueue.Options{
		URL: cfg.RedisURL.First(), Durability: cfg.Durability, Limits: o.limits, Lazy: o.patient, Log: o.log,
	})
	if err != nil {
		return err
	}
	e.queue = e.redis
	if err := e.redis.Ready(ctx); err != nil { // reached only with patient
		e.await("queue", queue.ErrUnavailable, err, e.redis.Ready, o.log)
	}
	return nil
}

// settings are what a store decides by.
func (e *engines) settings(o opening) unit.Settings {
	cfg := o.cfg
	return unit.Settings{
		Rules:   router.Rules{Flow: e.flow, HandoffTimeout: cfg.HandoffTimeout.D(), Window: window},
		Country: cfg.DefaultCountry, Zone: cfg.Location(), StaleAfter: cfg.StaleAfter.D(),
		ApologyDelay: o.apologyDelay(), Windowless: o.windowless, OnEvents: e.onEvents(),
	}
}

func (e *engines) openStore(ctx context.Context, o opening) (err error) {
	cfg := o.cfg
	if !cfg.DatabaseURL.Empty() {
		return e.openDatabase(ctx, o)
	}
	s, err := sqlitestore.Open(ctx, sqlitestore.Options{
		Path: filepath.Join(cfg.DataDir, "store.db"), Queue: e.sqliteQueue.File(), Relaxed: cfg.Durability == "relaxed", Settings: e.settings(o), Logger: o.log,
	})
	if err != nil {
		return err
	}
	e.store, e.sqliteStore = s, s
	return nil
}

// onEvents returns the hook for stored events; nil if there is none.
func (e *engines) onEvents() func([]store.Event) {
	if e.notifier == nil {
		return nil
	}
	return e.notifier.OnEvents
}

func (e *engines) close() error { return errors.Join(e.store.Close(), e.queue.Close()) }

// checkAreas refuses a configuration with areas that the flow lacks.
func checkAreas(f *flow.Flow, cfg *config.Config) error {
	return cfg.CheckAreas(f.AreaOrder, func(name string) bool {
		_, ok := f.Area(name)
		return ok
	})
}

// CheckFlow reads the configured flow and checks it against the configuration.
func CheckFlow(cfg *config.Config) error {
	f, err := LoadFlow(cfg.Flow)
	if err != nil {
		return err
	}
	return checkAreas(f, cfg)
}

// LoadFlow reads and checks a flow; "" is the built-in one.
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

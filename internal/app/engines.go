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
)

// engines are what keeps everything: the queue and the store.
type engines struct {
	flow        *flow.Flow
	queue       queue.Engine
	store       store.Store
	redis       *redisqueue.Engine  // nil for the embedded queue
	db          *pgstore.Store      // nil for the embedded store
	sqliteStore *sqlitestore.Store  // the embedded store, else nil
	sqliteQueue *sqlitequeue.Engine // the embedded queue, else nil
	pending     []*pendingEngine    // those that were not ready at the start

	// The two as they are used, to be asked how writes to them go.
	trackedQueue trackedQueue
	trackedStore trackedStore
	// enqueueHealth is how the writes of the door go, where it writes elsewhere than to the queue too.
	enqueueHealth *writeHealth

	endpoints []delivery.Endpoint
	notifier  *delivery.EventNotifier // nil without endpoints
}

// opening says how engines are opened.
type opening struct {
	cfg *config.Config
	// windowless are the lines without a customer service window.
	windowless []string
	// limits are the rates of queues on Redis that this process serves.
	limits map[string]queue.Limit
	// patient goes on without Redis when it is away: there is a spool.
	patient bool
	// awaits says whether to go on without PostgreSQL after such an error; nil: never.
	awaits func(error) bool
	// asIs leaves the database's schema to the routers.
	asIs bool
	// backoffSpeedup makes waits pass so many times faster, for drills; 0: once.
	backoffSpeedup float64
	log            *slog.Logger
}

// apologyDelay is that of store.Settings.
func (o opening) apologyDelay() time.Duration {
	if o.backoffSpeedup <= 1 {
		return 0
	}
	return time.Duration(float64(2*time.Minute) / o.backoffSpeedup)
}

// openEngines opens what the configuration names: Redis and PostgreSQL, or the
// files in data_dir.
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

// openQueue opens the queue. One that is away is waited for when something else keeps
// what arrives.
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
	if err := e.redis.Ready(ctx); err != nil { // which only one that is patient sees
		e.await("queue", queue.ErrUnavailable, err, e.redis.Ready, o.log)
	}
	return nil
}

func (e *engines) routerRules(cfg *config.Config) router.Rules {
	return router.Rules{Flow: e.flow, HandoffTimeout: cfg.HandoffTimeout.D(), Window: window}
}

func (e *engines) openStore(ctx context.Context, o opening) (err error) {
	cfg := o.cfg
	rules := e.routerRules(cfg)
	if !cfg.DatabaseURL.Empty() {
		return e.openDatabase(ctx, o, rules)
	}
	s, err := sqlitestore.Open(ctx, sqlitestore.Options{
		Path: filepath.Join(cfg.DataDir, "store.db"), Queue: e.sqliteQueue.File(), Relaxed: cfg.Durability == "relaxed", Logger: o.log,
		Rules: rules, Country: cfg.DefaultCountry, Zone: cfg.Location(), StaleAfter: cfg.StaleAfter.D(), ApologyDelay: o.apologyDelay(), Windowless: o.windowless, OnEvents: e.onEvents(),
	})
	if err != nil {
		return err
	}
	e.store, e.sqliteStore = s, s
	return nil
}

// onEvents is who hears of events that were stored; nil is nobody.
func (e *engines) onEvents() func([]store.Event) {
	if e.notifier == nil {
		return nil
	}
	return e.notifier.OnEvents
}

func (e *engines) close() error { return errors.Join(e.store.Close(), e.queue.Close()) }

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

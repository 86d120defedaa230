package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/pgstore"
)

// openDatabase opens PostgreSQL. One that cannot be worked on is waited for where
// the caller can do without.
func (e *engines) openDatabase(ctx context.Context, o opening, rules router.Rules) error {
	if err := e.newDatabase(ctx, o, rules); err != nil {
		return err
	}
	if err := e.db.Ready(ctx); err != nil {
		if o.awaits == nil || !o.awaits(err) {
			return errors.Join(err, e.db.Close())
		}
		e.await("store", store.ErrUnavailable, err, e.db.Ready, o.log)
	}
	e.store = e.db
	return nil
}

// newDatabase makes the store on PostgreSQL; Ready was not called.
func (e *engines) newDatabase(ctx context.Context, o opening, rules router.Rules) error {
	cfg := o.cfg
	notes, err := openNotes(e.redis, cfg.DataDir)
	if err != nil {
		return err
	}
	e.db, err = pgstore.Open(ctx, pgstore.Options{
		URL: cfg.DatabaseURL.First(), DirectURL: cfg.DatabaseDirectURL.First(), NoMigrate: o.asIs, Lazy: o.awaits != nil, Holder: holder(cfg), Logger: o.log,
		// Turns and statuses, sends and the pump, and a few for the faces.
		MaxConns: 2*cfg.Worker.Concurrency + len(cfg.Lines) + 2*len(cfg.Endpoints) + 4,
		Rules:    rules, Country: cfg.DefaultCountry, Zone: cfg.Location(), StaleAfter: cfg.StaleAfter.D(), ApologyDelay: o.apologyDelay(), Windowless: o.windowless, OnEvents: e.onEvents(), Notes: notes, OnNotesLost: e.notesLost(o.log),
	})
	return err
}

// holder is who has a database alone when the queue lives inside of the process: two
// of those would each answer a person in an order of their own. "" is for Redis.
func holder(cfg *config.Config) string {
	if !cfg.RedisURL.Empty() {
		return ""
	}
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		dir = cfg.DataDir
	}
	return fmt.Sprintf("process %d on %s with data_dir %s", os.Getpid(), host, dir)
}

// awaits says whether this process opens although the database cannot be used. One
// that is away comes back, so that is waited for. One that is there and wrong is told
// by not starting, but for a webhook: accepting needs no database.
func (a *App) awaits(err error) bool {
	return a.role == roleWebhook || errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrWrongStore)
}

// stale says that the store went back in time, so that what is read is of the past.
func (e *engines) stale() bool {
	if e.sqliteStore != nil {
		return e.sqliteStore.Stale()
	}
	return e.db.Stale()
}

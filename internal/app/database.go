package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/pgstore"
)

// openDatabase opens PostgreSQL. If it cannot be used, it becomes a pending engine where
// the caller allows that.
func (e *engines) openDatabase(ctx context.Context, o opening) error {
	if err := e.newDatabase(ctx, o); err != nil {
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

// newDatabase opens the PostgreSQL store without calling Ready.
func (e *engines) newDatabase(ctx context.Context, o opening) error {
	cfg := o.cfg
	var notes pgstore.Notes = e.redis // they must outlive the database
	var err error
	if e.redis == nil {
		if notes, err = pgstore.FileNotes(cfg.DataDir); err != nil {
			return err
		}
	}
	e.db, err = pgstore.Open(ctx, pgstore.Options{
		URL: cfg.DatabaseURL.First(), DirectURL: cfg.DatabaseDirectURL.First(), NoMigrate: o.asIs, Lazy: o.awaits != nil, Holder: holder(cfg), Logger: o.log,
		// Connections for turns and statuses, sends and the pump, and a few for API and pages.
		MaxConns: 2*cfg.Worker.Concurrency + len(cfg.Lines) + 2*len(cfg.Endpoints) + 4,
		Settings: e.settings(o), Notes: notes, OnNotesLost: e.notesLost(o.log),
	})
	return err
}

// holder names the process that has the database to itself, because its queue is embedded:
// two such processes would each answer a person in their own order. "" is for Redis.
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

// awaits reports whether this process starts although the database cannot be used. A
// database that is down is waited for. One that is up but wrong keeps the process from
// starting, except a webhook: accepting needs no database.
func (a *App) awaits(err error) bool {
	return a.opts.Role == roleWebhook || errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrWrongStore)
}

// stale reports whether the store went back in time, so that reads are of the past.
func (e *engines) stale() bool {
	if e.sqliteStore != nil {
		return e.sqliteStore.Stale()
	}
	return e.db.Stale()
}

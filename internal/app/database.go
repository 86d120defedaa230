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

// database is PostgreSQL with what watches over its use.
type database struct {
	store *pgstore.Store
	owner *pgstore.Owner // where it may be used by one process only, else nil
}

func (d *database) close() error {
	var err error
	if d.owner != nil {
		err = d.owner.Close()
	}
	return errors.Join(err, d.store.Close())
}

// openDatabase opens PostgreSQL. One that cannot be worked on is waited for where
// the caller can do without.
func (e *engines) openDatabase(ctx context.Context, o opening, rules router.Rules) error {
	later := e.gate != nil
	err := e.useDatabase(ctx, o, rules, first{later: o.awaits != nil, unchecked: later})
	switch {
	case err == nil:
		e.store = e.db.store
		if e.gate != nil {
			e.gate.first(e.db.store.Verify)
		}
		return nil
	case o.awaits == nil || !o.awaits(err):
		return err
	}
	e.awaited = newAwaited(err, o.log)
	e.awaited.first(func(ctx context.Context) error {
		err := e.useDatabase(ctx, o, rules, first{})
		if err == nil {
			e.awaited.store = e.db.store
		}
		return err
	})
	e.store = e.awaited
	return nil
}

// first is what a process does not wait for when it looks at its database at the start:
// an older schema is brought up to date later, behind an open door, and without Redis
// nothing can be compared.
type first struct{ later, unchecked bool }

// useDatabase opens PostgreSQL for use, or leaves nothing behind.
func (e *engines) useDatabase(ctx context.Context, o opening, rules router.Rules, at first) (err error) {
	cfg := o.cfg
	notes, err := openNotes(e.redis, cfg.DataDir)
	if err != nil {
		return err
	}
	s, err := pgstore.Open(ctx, pgstore.Options{
		URL: cfg.DatabaseURL.First(), DirectURL: cfg.DatabaseDirectURL.First(), NoMigrate: o.asIs, DeferMigration: at.later, Logger: o.log,
		// Turns and statuses, sends and the pump, and a few for the faces.
		MaxConns: 2*cfg.Worker.Concurrency + len(cfg.Lines) + 2*len(cfg.Endpoints) + 4,
		Rules:    rules, Country: cfg.DefaultCountry, Zone: cfg.Location(), StaleAfter: cfg.StaleAfter.D(), ApologyDelay: o.apologyDelay(), Windowless: o.windowless, OnEvents: e.onEvents(), Notes: notes, OnNotesLost: e.notesLost(o.log),
	})
	if err != nil {
		return err
	}
	db := &database{store: s}
	if cfg.RedisURL.Empty() && !o.restored { // the one who has it waits
		db.owner, err = claimDatabase(ctx, s, cfg)
	}
	if err == nil && !at.unchecked {
		err = s.Verify(ctx)
		if o.awaits != nil && errors.Is(err, store.ErrBackInTime) {
			err = nil // it is open for reading, and waited for
		}
	}
	if err != nil {
		return errors.Join(err, db.close())
	}
	e.db = db
	return nil
}

// claimDatabase takes a database for this process alone when the queue lives inside of it:
// two of those would each answer a person in an order of their own.
func claimDatabase(ctx context.Context, s *pgstore.Store, cfg *config.Config) (*pgstore.Owner, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		dir = cfg.DataDir
	}
	return s.Own(ctx, fmt.Sprintf("process %d on %s with data_dir %s", os.Getpid(), host, dir))
}

// awaits says whether this process opens although the database cannot be used. One
// that is away comes back, so that is waited for. One that is there and wrong is told
// by not starting, but for a webhook: accepting needs no database.
func (a *App) awaits(err error) bool {
	return a.role == roleWebhook || errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrWrongStore)
}

// usable waits until queue and store may be worked with; false when ctx ends first.
func (e *engines) usable(ctx context.Context) bool {
	return (e.gate == nil || e.gate.wait(ctx)) && (e.awaited == nil || e.awaited.wait(ctx))
}

// stale says that the database went back in time, so that what is read is of the past.
func (e *engines) stale() bool {
	if e.sqliteStore != nil {
		return e.sqliteStore.Stale()
	}
	s := e.database()
	return s != nil && s.Stale()
}

// database is PostgreSQL, nil while it is away or where there is none.
func (e *engines) database() *pgstore.Store {
	if e.awaited != nil && e.awaited.shut() != nil || e.db == nil {
		return nil
	}
	return e.db.store
}

// missing is what cannot be used yet, and why; "" is nothing.
func (e *engines) missing() string {
	var why []error
	if e.gate != nil {
		why = append(why, e.gate.shut())
	}
	if e.awaited != nil {
		why = append(why, e.awaited.shut())
	}
	if err := errors.Join(why...); err != nil {
		return "waiting: " + err.Error()
	}
	return ""
}

// watchDatabase keeps the right to the database, and sees when it went back in time.
func (a *App) watchDatabase(e *engines) {
	if a.cfg.DatabaseURL.Empty() {
		return
	}
	if a.cfg.RedisURL.Empty() {
		a.addPartOnceUsable(e, "database lease", func(ctx context.Context) error { return e.db.owner.Run(ctx) })
	}
	a.addPartOnceUsable(e, "database comparison", func(ctx context.Context) error { return e.db.store.Run(ctx) })
}

// addPartOnceUsable adds a part that must not begin before queue and store may be used.
func (a *App) addPartOnceUsable(e *engines, name string, run func(context.Context) error) {
	a.addPart(name, func(ctx context.Context) error {
		if !e.usable(ctx) {
			return nil
		}
		return run(ctx)
	})
}

// openLatches makes what was away at the start usable once it can be.
func (a *App) openLatches(e *engines) {
	say := func() { a.logSupervisorError(a.supervisor.Status(a.redact.Text(e.missing()))) }
	if e.gate != nil {
		a.addPart("queue that was away", func(ctx context.Context) error { return e.gate.Run(ctx, say) })
	}
	if e.awaited != nil {
		a.addPart("store that was away", func(ctx context.Context) error { return e.awaited.Run(ctx, say) })
	}
}

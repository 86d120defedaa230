package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/queue/redisqueue"
	"github.com/psivisionhub/psi-router/internal/store/pgstore"
)

// notes are where processes keep what the database must not forget: in Redis, or where
// there is none in data_dir.
func notes(redis *redisqueue.Engine, dir string) (pgstore.Notes, error) {
	if redis != nil {
		return redis, nil
	}
	return pgstore.FileNotes(dir)
}

// AfterRestore makes a database usable that went back in time, while the routers wait.
// It returns how many messages may or may not have been sent.
func AfterRestore(ctx context.Context, cfg *config.Config) (doubtful int, err error) {
	if cfg.DatabaseURL.Empty() {
		return 0, errors.New("this is for PostgreSQL: the files of data_dir are put back all together, with the queue, while the router is stopped")
	}
	o := opening{cfg: cfg, restored: true, log: slog.New(slog.DiscardHandler)}
	tree, err := LoadFlow(cfg.Flow)
	if err != nil {
		return 0, err
	}
	e := &engines{flow: tree}
	if !cfg.RedisURL.Empty() { // else the router that waits has the queue
		if err := e.openQueue(ctx, o); err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, e.queue.Close()) }()
	}
	if err := e.useDatabase(ctx, o, e.rules(cfg), false); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, e.db.close()) }()
	return e.db.store.AfterRestore(ctx, time.Now())
}

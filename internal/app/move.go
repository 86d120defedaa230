package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/move"
	"github.com/psivisionhub/psi-router/internal/queue/redisqueue"
	"github.com/psivisionhub/psi-router/internal/queue/sqlitequeue"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/pgstore"
	"github.com/psivisionhub/psi-router/internal/store/sqlitestore"
)

// MoveOptions say where an embedded installation goes to.
type MoveOptions struct {
	// To is the server; "" for the one of the configuration.
	To       string
	DryRun   bool
	Progress move.Progress
}

// MoveStore takes the store in data_dir to PostgreSQL.
func MoveStore(ctx context.Context, cfg *config.Config, o MoveOptions) (r move.Report, err error) {
	from, err := sqlitestore.OpenSource(ctx, filepath.Join(cfg.DataDir, "store.db"), nil)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	opts := pgstore.Options{URL: cfg.DatabaseURL.First(), DirectURL: cfg.DatabaseDirectURL.First(), MaxConns: 3}
	if o.To != "" {
		opts.URL, opts.DirectURL = o.To, ""
	}
	to, err := pgstore.OpenTarget(ctx, opts)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	return move.Store(ctx, move.StoreOptions{Source: from, Target: to, DryRun: o.DryRun, Progress: o.Progress})
}

// UndoMoveStore lets the store in data_dir be used again.
func UndoMoveStore(ctx context.Context, cfg *config.Config) (was store.Departure, err error) {
	from, err := sqlitestore.OpenSource(ctx, filepath.Join(cfg.DataDir, "store.db"), nil)
	if err != nil {
		return was, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	return move.Undo(ctx, from)
}

// MoveQueue takes the queue in data_dir to Redis.
func MoveQueue(ctx context.Context, cfg *config.Config, o MoveOptions) (r move.Report, err error) {
	from, err := sqlitequeue.OpenSource(ctx, sqlitequeue.Options{Path: filepath.Join(cfg.DataDir, "queue.db")})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := redisqueue.Open(ctx, redisqueue.Options{URL: cmp.Or(o.To, cfg.RedisURL.First()), Durability: cfg.Durability})
	if err != nil {
		return r, fmt.Errorf("redis_url: %w", err)
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	return move.Queue(ctx, move.QueueOptions{Source: from, Target: to, DryRun: o.DryRun, Progress: o.Progress})
}

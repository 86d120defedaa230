package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/move"
	"github.com/psivisionhub/psi-router/internal/queue/sqlitequeue"
	"github.com/psivisionhub/psi-router/internal/sqlite"
	"github.com/psivisionhub/psi-router/internal/store/pgstore"
	"github.com/psivisionhub/psi-router/internal/store/sqlitestore"
	"github.com/psivisionhub/psi-router/internal/store/transfer"
)

// MoveOptions configure a move.
type MoveOptions struct {
	// To is the server to move to; "" is the one of the configuration.
	To       string
	DryRun   bool
	Progress move.Progress
}

// MoveStore moves the store in data_dir to PostgreSQL.
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

// UndoMoveStore makes the store in data_dir usable again.
func UndoMoveStore(ctx context.Context, cfg *config.Config) (was transfer.MoveState, err error) {
	from, err := sqlitestore.OpenSource(ctx, filepath.Join(cfg.DataDir, "store.db"), nil)
	if err != nil {
		return was, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	return move.Undo(ctx, from)
}

// drainedFile refuses to work with Redis while the embedded queue in data_dir, which is not
// read then, has unhandled arrivals. Wake-ups do not count: the store has their rows.
func (a *App) drainedFile(ctx context.Context) (err error) {
	path := filepath.Join(a.cfg.DataDir, "queue.db")
	if _, err := os.Stat(path); a.cfg.RedisURL.Empty() || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	q, err := sqlitequeue.Open(ctx, sqlitequeue.Options{Path: path, Logger: a.log})
	if errors.Is(err, sqlite.ErrLocked) {
		return nil // another process of this installation checks it
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	all, err := q.Stats(ctx)
	if err != nil {
		return err
	}
	var left, dead int64
	for _, s := range all {
		if s.Name == job.Inbound || s.Name == job.Status {
			left += s.Depth
		}
		dead += s.Dead
	}
	if left > 0 {
		return fmt.Errorf("%s has %d unhandled messages, and with redis_url it is not read: start without redis_url until psi-router queue drain reports it drained", path, left)
	}
	if dead > 0 {
		a.log.Warn("the embedded queue has dead letters, which are not visible with redis_url", "file", path, "dead", dead)
	}
	return nil
}

package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/move"
	"github.com/psivisionhub/psi-router/internal/queue/sqlitequeue"
	"github.com/psivisionhub/psi-router/internal/sqlite"
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
func UndoMoveStore(ctx context.Context, cfg *config.Config) (was store.MoveState, err error) {
	from, err := sqlitestore.OpenSource(ctx, filepath.Join(cfg.DataDir, "store.db"), nil)
	if err != nil {
		return was, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	return move.Undo(ctx, from)
}

// drainedFile refuses to work with Redis while the embedded queue of data_dir, which
// nobody reads any more then, holds what arrived and was not handled. Wake-ups do not
// count: the store knows what they stand for.
func (a *App) drainedFile(ctx context.Context) (err error) {
	path := filepath.Join(a.cfg.DataDir, "queue.db")
	if _, err := os.Stat(path); a.cfg.RedisURL.Empty() || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	q, err := sqlitequeue.Open(ctx, sqlitequeue.Options{Path: path, Logger: a.log})
	if errors.Is(err, sqlite.ErrLocked) {
		return nil // another process of this installation looks
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
		if s.Name == inbound.QueueInbound || s.Name == inbound.QueueStatus {
			left += s.Depth
		}
		dead += s.Dead
	}
	if left > 0 {
		return fmt.Errorf("%s holds %d messages that arrived and were not handled, and with redis_url nobody reads it: start without redis_url until psi-router queue drain says that it is drained", path, left)
	}
	if dead > 0 {
		a.log.Warn("the file of the embedded queue holds dead letters, and with redis_url nobody sees them", "file", path, "dead", dead)
	}
	return nil
}

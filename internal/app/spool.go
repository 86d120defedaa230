package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/spool"
	"github.com/psivisionhub/psi-router/internal/sqlite"
)

// usesSpool reports whether webhooks are spooled while Redis is down: only with Redis, on a
// process with webhooks, and if the configuration says so.
func (a *App) usesSpool() bool {
	return a.opts.Role != roleWorker && !a.cfg.RedisURL.Empty() && a.cfg.Spool
}

// openSpool opens the spool, nil if there is none. oldSpool has the jobs that earlier
// processes left, if this one no longer spools: they are handed on. The file is named for
// the port, so that each of several webhook processes over one data_dir finds its own
// again; files under other ports that no process uses are taken over by the first that
// starts.
func (a *App) openSpool(ctx context.Context, e *engines) (doorSpool, oldSpool *spool.Spool, err error) {
	if a.opts.Role == roleWorker {
		return nil, nil, nil
	}
	_, port, err := net.SplitHostPort(a.cfg.Listen)
	if err != nil {
		return nil, nil, fmt.Errorf("open spool: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(a.cfg.DataDir, "spool-*.db"))
	if err != nil {
		return nil, nil, fmt.Errorf("open spool: %w", err)
	}
	if !a.usesSpool() && files == nil {
		return nil, nil, nil
	}
	path := filepath.Join(a.cfg.DataDir, "spool-"+port+".db")
	s, err := openSpoolFile(ctx, spool.Options{
		Queue: e.queue, Path: path, Log: a.log,
		OrphanFiles: slices.DeleteFunc(files, func(f string) bool { return f == path }),
		Mark: func(j queue.Job) queue.Job {
			j.Body = inbound.MarkSpooled(j.Body)
			return j
		},
	})
	if err != nil {
		return nil, nil, err
	}
	if !a.usesSpool() {
		if s.Depth() == 0 {
			return nil, nil, s.Close()
		}
		oldSpool = s
	} else {
		doorSpool = s
	}
	a.onClose("spool", s.Close)
	a.addPart("spool", s.Run)
	return doorSpool, oldSpool, nil
}

// lockWait is how long another process may take to empty our file.
const lockWait = 15 * time.Second

// openSpoolFile opens this process's file, which another that starts at the same time may
// be emptying.
func openSpoolFile(ctx context.Context, o spool.Options) (*spool.Spool, error) {
	for end := time.Now().Add(lockWait); ; {
		s, err := spool.Open(ctx, o)
		if !errors.Is(err, sqlite.ErrLocked) || time.Now().After(end) {
			return s, err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

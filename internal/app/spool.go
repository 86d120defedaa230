package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/spool"
)

// spools reports whether the door keeps what Redis cannot take: not where there
// is no door, no Redis, or no wish.
func (a *App) spools() bool {
	return a.role != roleWorker && !a.cfg.RedisURL.Empty() && a.cfg.Spool
}

// openSpool opens what the door keeps jobs in; nil where it keeps none. old is one
// that an earlier process left jobs in and the door does not use any more: they
// are handed on. The file is named for the port, so that each of several doors over
// one data_dir finds its own again.
func (a *App) openSpool(ctx context.Context, e *engines) (kept, old *spool.Spool, err error) {
	if a.role == roleWorker {
		return nil, nil, nil
	}
	_, port, err := net.SplitHostPort(a.cfg.Listen)
	if err != nil {
		return nil, nil, fmt.Errorf("open spool: %w", err)
	}
	path := filepath.Join(a.cfg.DataDir, "spool-"+port+".db")
	if _, err := os.Stat(path); !a.spools() && errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	s, err := spool.Open(ctx, spool.Options{
		Queue: e.queue, Path: path, Log: a.log,
		Mark: func(j queue.Job) queue.Job {
			j.Body = inbound.MarkSpooled(j.Body)
			return j
		},
	})
	if err != nil {
		return nil, nil, err
	}
	if !a.spools() {
		if s.Depth() == 0 {
			return nil, nil, s.Close()
		}
		old = s
	} else {
		kept = s
	}
	a.onClose("spool", s.Close)
	a.runs("spool", s.Run)
	return kept, old, nil
}

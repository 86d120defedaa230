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

// usesSpool reports whether the door keeps what Redis cannot take: not where there
// is no door, no Redis, or no wish.
func (a *App) usesSpool() bool {
	return a.role != roleWorker && !a.cfg.RedisURL.Empty() && a.cfg.Spool
}

// openSpool opens what the door keeps jobs in; nil where it keeps none. old is for
// those that earlier processes left where the door keeps none any more: they are
// handed on. The file is named for the port, so that each of several doors over one
// data_dir finds its own again; what lies under other ports, and belongs to nobody
// now, is taken over by who comes first.
func (a *App) openSpool(ctx context.Context, e *engines) (doorSpool, oldSpool *spool.Spool, err error) {
	if a.role == roleWorker {
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

// lockWait is how long another door may take for what it found in our file.
const lockWait = 15 * time.Second

// openSpoolFile opens this door's file, which one that starts at the same time may just
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

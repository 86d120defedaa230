package app

import (
	"context"
	"fmt"
	"net"
	"path/filepath"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/spool"
)

// openSpool opens what the door keeps jobs in while Redis cannot take them; nil
// where there is no door, no Redis, or no wish. The file is named for the port,
// so that each of several doors over one data_dir finds its own again.
func (a *App) openSpool(ctx context.Context, e *engines) (*spool.Spool, error) {
	if a.role == roleWorker || a.cfg.RedisURL.Empty() || !a.cfg.Spool {
		return nil, nil
	}
	_, port, err := net.SplitHostPort(a.cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	s, err := spool.Open(ctx, spool.Options{
		Queue: e.queue, Path: filepath.Join(a.cfg.DataDir, "spool-"+port+".db"), Log: a.log,
		Mark: func(j queue.Job) queue.Job {
			j.Body = inbound.MarkSpooled(j.Body)
			return j
		},
	})
	if err != nil {
		return nil, err
	}
	a.onClose("spool", s.Close)
	a.runs("spool", s.Run)
	return s, nil
}

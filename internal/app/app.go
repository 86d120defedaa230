// Package app is the only wiring: it opens the engines, gives every part what it
// needs, serves, and stops them along the pipe. Nothing is decided here; a rule
// that finds its way in belongs to one of the parts.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/psivisionhub/psi-router/internal/config"
)

// Options of New. Config is required and was checked.
type Options struct {
	Config *config.Config
	// Role is all, webhook (door, API and pages) or worker (turns, sends and
	// housekeeping); "" means all. The configuration was asked (CheckRole).
	Role    string
	Version string
	// Hurry makes back-offs pass so many times faster, for drills; 0: once.
	Hurry float64
	Log   *slog.Logger // nil discards
	Out   io.Writer    // where the URLs are printed once it is ready; nil: nowhere
}

// App is a router that is wired and listens. Run it, or Close it.
type App struct {
	cfg     *config.Config
	role    string
	version string
	hurry   float64
	log     *slog.Logger
	out     io.Writer
	started time.Time

	listener net.Listener // nil for a worker, as public is
	public   *http.Server
	socket   net.Listener
	admin    *http.Server
	parts    []part
	// closers run in reverse, once everything has stopped.
	closers []closer
}

// part is something that lives until its context ends.
type part struct {
	name string
	run  func(context.Context) error
}

type closer struct {
	name  string
	close func() error
}

// Run is the whole life of a router: New, then Run.
func Run(ctx context.Context, o Options) error {
	a, err := New(ctx, o)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}

// Addr is where it listens; for a worker, where its webhook does.
func (a *App) Addr() string {
	if a.listener == nil {
		return a.cfg.Listen
	}
	return a.listener.Addr().String()
}

// URL is the root of its pages.
func (a *App) URL() string { return "http://" + a.Addr() }

// shutdownTimeout is how long requests under way may take when the door closes.
const shutdownTimeout = 5 * time.Second

// Run serves until ctx ends. Then the door closes, what is under way finishes
// within drain_timeout, and the engines are closed. A part that dies takes all
// others with it: half a router is worse than a restart.
func (a *App) Run(ctx context.Context) error {
	g, alive := errgroup.WithContext(ctx)
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()

	if a.listener != nil {
		g.Go(func() error { return serve(a.public, a.listener) })
	}
	g.Go(func() error { return serve(a.admin, a.socket) })
	for _, p := range a.parts {
		g.Go(func() error {
			if err := p.run(work); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			if work.Err() == nil {
				return fmt.Errorf("%s stopped by itself", p.name)
			}
			return nil
		})
	}
	g.Go(func() error {
		<-alive.Done()
		a.log.Info("draining", "timeout", a.cfg.DrainTimeout.D())
		closeDoor(alive, a.public, a.admin)
		stopWork()
		return nil
	})
	a.banner()
	a.log.Info("ready", "role", a.role, "addr", a.Addr(), "version", a.version, "took", time.Since(a.started).Round(time.Millisecond))
	err := g.Wait()
	if closing := a.Close(); closing != nil {
		err = errors.Join(err, closing)
	}
	a.log.Info("stopped", "error", err)
	return err
}

// Close releases what New opened, last first. Run does it by itself.
func (a *App) Close() error {
	var errs []error
	for i := len(a.closers) - 1; i >= 0; i-- {
		c := a.closers[i]
		if err := c.close(); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", c.name, err))
		}
	}
	a.closers = nil
	return errors.Join(errs...)
}

func (a *App) onClose(name string, fn func() error) {
	a.closers = append(a.closers, closer{name, fn})
}

func (a *App) runs(name string, run func(context.Context) error) {
	a.parts = append(a.parts, part{name, run})
}

func serve(s *http.Server, l net.Listener) error {
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}

// closeDoor takes no further request and lets those under way end.
func closeDoor(ctx context.Context, servers ...*http.Server) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	for _, s := range servers {
		if s == nil {
			continue
		}
		if err := s.Shutdown(ctx); err != nil {
			s.Close()
		}
	}
}

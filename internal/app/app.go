// Package app is the only wiring: it opens the engines, connects the parts, serves, and
// stops the parts in the order of the pipe. It must never decide anything: a rule that
// finds its way in belongs to one of the parts.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/psivisionhub/psi-router/internal/admission"
	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/redact"
	"github.com/psivisionhub/psi-router/internal/skew"
	"github.com/psivisionhub/psi-router/internal/supervisor"
)

// Options configure New. Config is required and already checked.
type Options struct {
	Config *config.Config
	// Role is all, webhook (webhooks, API and pages) or worker (turns, sends and the pump);
	// "" means all. The configuration allows it (CheckRole).
	Role    string
	Version string
	// BackoffSpeedup makes back-offs so many times shorter, for drills; 0 means 1.
	BackoffSpeedup float64
	// Lease and PostTimeout are those of sends, for proofs that cannot wait; 0 means
	// delivery's defaults.
	Lease, PostTimeout time.Duration
	Log                *slog.Logger // nil discards
	Out                io.Writer    // gets the URLs once the router is ready; nil: none
	// Supervisor is the process manager that started the program; nil: none.
	Supervisor *supervisor.Supervisor
}

// App is a router that is wired and listens. Call Run, or Close.
type App struct {
	opts        Options
	cfg         *config.Config // opts.Config
	redact      *redact.Redactor
	log         *slog.Logger // redacts secrets
	started     time.Time
	certificate *certificate       // nil unless the router itself serves TLS
	clock       *skew.Meter        // measures it against Graph's
	admission   *admission.Control // bounds the resources of unauthenticated clients

	listener net.Listener // nil for a worker, like public
	public   *http.Server
	socket   net.Listener
	admin    *http.Server
	// metricsAddr is where a worker serves its metrics, "" for nowhere.
	metricsAddr string
	parts       []part
	// closers run in reverse, once everything has stopped.
	closers []func() error
}

// part runs until its context ends.
type part struct {
	name string
	run  func(context.Context) error
}

// Run runs a router from start to end: New, then App.Run.
func Run(ctx context.Context, o Options) error {
	a, err := New(ctx, o)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}

// Addr returns the address that the router listens on; for a worker, its webhook's.
func (a *App) Addr() string {
	if a.listener == nil {
		return a.cfg.Listen
	}
	return a.listener.Addr().String()
}

// URL returns the root URL of the pages.
func (a *App) URL() string {
	if a.certificate != nil {
		return "https://" + a.certificate.domain
	}
	return "http://" + a.Addr()
}

const (
	// shutdownTimeout is how long requests under way may take once the listener is closed.
	shutdownTimeout = 5 * time.Second
	// acceptGrace is how long a connection accepted just before the listener closed may
	// take to send its request: net/http drops a request that it reads after the shutdown
	// began.
	acceptGrace = 150 * time.Millisecond
	// closeReserve is the part of drain_timeout kept for the time after the last handler
	// was told to end: it returns, its verdict is written, and the engines close.
	closeReserve = 7 * time.Second
)

// drain is how long the work under way may go on, so that the whole stop fits
// drain_timeout. A short drain_timeout is halved.
func (a *App) drain() time.Duration {
	all := a.cfg.DrainTimeout.D()
	return max(all-closeReserve, all/2)
}

// Run serves until ctx ends. Then the listener closes, the work under way finishes, and the
// engines close, all within drain_timeout; a part that has not stopped by then is
// abandoned, as by a kill. A part that fails ends all others: half a router is worse than a
// restart.
func (a *App) Run(ctx context.Context) error {
	g, alive := errgroup.WithContext(ctx)
	var running sync.Map // the names of the parts that have not returned
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()

	if a.listener != nil {
		g.Go(func() error { return a.servePublic() })
	}
	g.Go(func() error { return serve(a.admin, a.socket) })
	for _, p := range a.parts {
		running.Store(p.name, true)
		g.Go(func() error {
			defer running.Delete(p.name)
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
		a.logSupervisorError(a.opts.Supervisor.Stopping())
		stopWork() // arrivals accepted from now on wait in the queue
		within := min(shutdownTimeout, a.drain())
		shutdown(alive, within-a.closeListener(), a.public, a.admin)
		return nil
	})
	a.banner()
	a.log.Info("ready", "role", a.opts.Role, "addr", a.Addr(), "version", a.opts.Version, "took", time.Since(a.started).Round(time.Millisecond))
	a.logSupervisorError(a.opts.Supervisor.Ready()) // also while an engine is not ready: the listener is open
	stopped := make(chan error, 1)
	go func() { stopped <- errors.Join(g.Wait(), a.Close()) }()
	var err error
	select {
	case err = <-stopped:
	case <-closedAfter(alive, a.cfg.DrainTimeout.D()):
		// Leases run out, and rows record how far the sends got: this is no worse than the
		// kill that the process manager would send next.
		err = fmt.Errorf("drain_timeout of %s is over: still running: %s", a.cfg.DrainTimeout.D(), stillRunning(&running))
	}
	a.log.Info("stopped", "error", err)
	return err
}

// closedAfter returns a channel that is closed that long after ctx has ended.
func closedAfter(ctx context.Context, after time.Duration) <-chan struct{} {
	over := make(chan struct{})
	context.AfterFunc(ctx, func() { time.AfterFunc(after, func() { close(over) }) })
	return over
}

// stillRunning names the parts that have not returned.
func stillRunning(running *sync.Map) string {
	var names []string
	for name := range running.Range {
		names = append(names, name.(string)) //nolint:forcetypeassert // as it was stored
	}
	if names == nil {
		return "the engines, which do not close"
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// Close releases what New opened, in reverse order. Run calls it.
func (a *App) Close() error {
	var errs []error
	for _, closeOne := range slices.Backward(a.closers) {
		errs = append(errs, closeOne())
	}
	a.closers = nil
	return errors.Join(errs...)
}

func (a *App) onClose(name string, fn func() error) {
	a.closers = append(a.closers, func() error {
		if err := fn(); err != nil {
			return fmt.Errorf("close %s: %w", name, err)
		}
		return nil
	})
}

func (a *App) addPart(name string, run func(context.Context) error) {
	a.parts = append(a.parts, part{name, run})
}

// closeListener stops accepting connections; accepted ones get acceptGrace to send a
// request. If systemd holds the socket, new connections wait in its backlog.
func (a *App) closeListener() (took time.Duration) {
	if a.listener == nil {
		return 0
	}
	a.listener.Close()
	took = min(acceptGrace, a.drain()/2)
	time.Sleep(took)
	return took
}

// servePublic serves the public handler.
func (a *App) servePublic() error {
	if a.certificate == nil {
		return serve(a.public, a.listener)
	}
	a.public.TLSConfig = a.certificate.config()
	if err := a.public.ServeTLS(a.listener, "", ""); !serverClosed(err) {
		return fmt.Errorf("serve %s: %w", a.Addr(), err)
	}
	return nil
}

func serve(s *http.Server, l net.Listener) error {
	if err := s.Serve(l); !serverClosed(err) {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}

// serverClosed reports whether a server ended because it was shut down.
func serverClosed(err error) bool {
	return errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed)
}

// shutdown stops the servers and lets requests under way end.
func shutdown(ctx context.Context, within time.Duration, servers ...*http.Server) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
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

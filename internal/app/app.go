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
	"maps"
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

// Options of New. Config is required and was checked.
type Options struct {
	Config *config.Config
	// Role is all, webhook (door, API and pages) or worker (turns, sends and
	// housekeeping); "" means all. The configuration was asked (CheckRole).
	Role    string
	Version string
	// BackoffSpeedup makes back-offs pass so many times faster, for drills; 0: once.
	BackoffSpeedup float64
	// Lease and PostTimeout are those of sends, for proofs that cannot wait so long; 0:
	// delivery's own.
	Lease, PostTimeout time.Duration
	Log                *slog.Logger // nil discards
	Out                io.Writer    // where the URLs are printed once it is ready; nil: nowhere
	// Supervisor is who started the program; nil: nobody.
	Supervisor *supervisor.Supervisor
}

// App is a router that is wired and listens. Run it, or Close it.
type App struct {
	cfg            *config.Config
	role           string
	version        string
	backoffSpeedup float64
	lease          time.Duration
	postTimeout    time.Duration // of a post
	redact         *redact.Redactor
	log            *slog.Logger // blanks what it is given
	out            io.Writer
	started        time.Time
	supervisor     *supervisor.Supervisor // nil without one
	certificate    *certificate           // nil unless we serve TLS ourselves
	clock          *skew.Meter            // against Graph's
	admission      *admission.Control     // what strangers may take of the process

	listener net.Listener // nil for a worker, as public is
	public   *http.Server
	socket   net.Listener
	admin    *http.Server
	// metricsAddr is where a worker shows its figures, "" for nowhere.
	metricsAddr string
	parts       []part
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
func (a *App) URL() string {
	if a.certificate != nil {
		return "https://" + a.certificate.domain
	}
	return "http://" + a.Addr()
}

const (
	// shutdownTimeout is how long requests under way may take when the door closes.
	shutdownTimeout = 5 * time.Second
	// acceptGrace is how long what was let in just before the door closed may
	// take to say what it wants: net/http drops a request that it reads once it
	// shuts down.
	acceptGrace = 150 * time.Millisecond
	// closeReserve is what of drain_timeout is kept for the time after the last handler was
	// told to end: it returns, its verdict is written, the engines are closed.
	closeReserve = 7 * time.Second
)

// drain is how long the work under way may go on, so that the whole stop fits
// drain_timeout. A short one is shared half and half.
func (a *App) drain() time.Duration {
	all := a.cfg.DrainTimeout.D()
	return max(all-closeReserve, all/2)
}

// Run serves until ctx ends. Then the door closes while the work under way
// finishes, and the engines are closed, all within drain_timeout: what does not
// stop by then is left, as a kill would. A part that dies takes all others with
// it: half a router is worse than a restart.
func (a *App) Run(ctx context.Context) error {
	g, alive := errgroup.WithContext(ctx)
	var running runningParts
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()

	if a.listener != nil {
		g.Go(func() error { return a.servePublic() })
	}
	g.Go(func() error { return serve(a.admin, a.socket) })
	for _, p := range a.parts {
		running.add(p.name)
		g.Go(func() error {
			defer running.remove(p.name)
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
		a.logSupervisorError(a.supervisor.Stopping())
		stopWork() // what the door still takes waits in the queue
		within := min(shutdownTimeout, a.drain())
		shutdown(alive, within-a.closeListener(), a.public, a.admin)
		return nil
	})
	a.banner()
	a.log.Info("ready", "role", a.role, "addr", a.Addr(), "version", a.version, "took", time.Since(a.started).Round(time.Millisecond))
	a.logSupervisorError(a.supervisor.Ready()) // also while something is waited for: its own doors are open
	stopped := make(chan error, 1)
	go func() { stopped <- errors.Join(g.Wait(), a.Close()) }()
	var err error
	select {
	case err = <-stopped:
	case <-closedAfter(alive, a.cfg.DrainTimeout.D()):
		// Leases run out and rows tell what became of them: this is no more than a
		// kill, and the service manager's comes next.
		err = fmt.Errorf("drain_timeout of %s is over: still running: %s", a.cfg.DrainTimeout.D(), running.names())
	}
	a.log.Info("stopped", "error", err)
	return err
}

// closedAfter is closed so long after ctx has ended.
func closedAfter(ctx context.Context, after time.Duration) <-chan struct{} {
	over := make(chan struct{})
	context.AfterFunc(ctx, func() { time.AfterFunc(after, func() { close(over) }) })
	return over
}

// runningParts are the parts that have not returned.
type runningParts struct {
	mu    sync.Mutex
	parts map[string]bool
}

func (l *runningParts) add(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.parts == nil {
		l.parts = map[string]bool{}
	}
	l.parts[name] = true
}

func (l *runningParts) remove(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.parts, name)
}

func (l *runningParts) names() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.parts) == 0 {
		return "the engines, which do not close"
	}
	return strings.Join(slices.Sorted(maps.Keys(l.parts)), ", ")
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

func (a *App) addPart(name string, run func(context.Context) error) {
	a.parts = append(a.parts, part{name, run})
}

// closeListener lets nobody in any more; who is in may still ask, for as long as
// it took. Where systemd holds the socket, the others wait in its line.
func (a *App) closeListener() (took time.Duration) {
	if a.listener == nil {
		return 0
	}
	a.listener.Close()
	took = min(acceptGrace, a.drain()/2)
	time.Sleep(took)
	return took
}

// servePublic serves the public.
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

// serverClosed says that a server ended because we wanted it.
func serverClosed(err error) bool {
	return errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed)
}

// shutdown takes no further request and lets those under way end.
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

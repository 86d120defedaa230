package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"github.com/psivisionhub/psi-router/internal/observe"
)

// workerPorts is how many workers of one machine find a port.
const workerPorts = 16

// serveMetrics serves a worker's metrics and health if the configuration says so: they are
// the worker's own, and it has no other port.
func (a *App) serveMetrics(ctx context.Context, health *observe.Health, metrics *observe.Metrics) error {
	if a.opts.Role != roleWorker || a.cfg.MetricsListen == "" {
		return nil
	}
	l, err := listenOnFreePort(ctx, a.cfg.MetricsListen)
	if err != nil {
		return err
	}
	a.onClose("metrics listener", func() error { l.Close(); return nil })
	hostNames := a.hosts(a.cfg.MetricsListen)
	mux, pages := http.NewServeMux(), http.NewServeMux()
	health.RegisterProbes(mux, hostNames.Allows)
	health.RegisterPages(pages, metrics)
	mux.Handle("/", hostNames.Guard(pages))
	srv, l := a.newPublicServer(mux, l)
	a.metricsAddr = l.Addr().String()
	a.log.Info("metrics", "addr", a.metricsAddr)
	a.addPart("metrics", func(ctx context.Context) error {
		// It closes once the parts have stopped, so that their last figures can be read
		// until then.
		end := context.AfterFunc(ctx, func() { shutdown(ctx, time.Second, srv) })
		defer end()
		if err := serve(srv, l); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	})
	return nil
}

// listenOnFreePort listens on the address, or on one of the next ports.
func listenOnFreePort(ctx context.Context, addr string) (net.Listener, error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("metrics_listen: %w", err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("metrics_listen: %w", err)
	}
	for i := range workerPorts {
		next := net.JoinHostPort(host, strconv.Itoa(port+i))
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", next)
		if err == nil || port == 0 {
			return l, err
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("metrics_listen: %w", err)
		}
	}
	return nil, fmt.Errorf("metrics_listen: %s and the %d ports after it are in use: choose another", addr, workerPorts-1)
}

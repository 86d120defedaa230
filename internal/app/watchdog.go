package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
)

// feedWatchdog feeds systemd's watchdog while the admin socket answers /healthz, which
// takes a request's way through the listener, the server and the scheduler. A Redis or
// PostgreSQL that is down is no reason for a restart.
func (a *App) feedWatchdog(ctx context.Context) error {
	path := a.socket.Addr().String()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
	}}
	return a.opts.Supervisor.FeedWatchdog(ctx, func(ctx context.Context) error { return alive(ctx, client) }, a.logSupervisorError)
}

func alive(ctx context.Context, client *http.Client) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://router/healthz", nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("/healthz answers %s", res.Status)
	}
	return nil
}

// logSupervisorError logs a failed message to the process manager; it is no reason to stop.
func (a *App) logSupervisorError(err error) {
	if err != nil {
		a.log.Warn("supervisor", "error", err)
	}
}

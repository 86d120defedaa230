// Package supervisor talks to the process manager, systemd or PM2: it takes over the socket
// that was opened for this process, reports when the process is ready and when it stops,
// and feeds the watchdog while the process is healthy. It must never decide whether the
// process is healthy: it asks.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// Supervisor is the process manager. Without one, its methods do nothing.
type Supervisor struct {
	watchdog time.Duration // systemd's interval; 0 means none
	channel  *os.File      // to PM2; nil without it
}

// FromEnvironment finds the process manager. Call it at most once: it takes over what was
// opened for this process.
func FromEnvironment() (*Supervisor, error) {
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return nil, fmt.Errorf("read WATCHDOG_USEC: %w", err)
	}
	return &Supervisor{watchdog: watchdog, channel: openPM2Channel()}, nil
}

// Listener returns the socket that systemd opened for this process, or nil.
func (s *Supervisor) Listener() (net.Listener, error) {
	if s == nil {
		return nil, nil
	}
	listeners, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("take systemd's socket: %w", err)
	}
	switch {
	case len(listeners) == 0:
		return nil, nil
	case len(listeners) > 1 || listeners[0] == nil:
		return nil, fmt.Errorf("take systemd's socket: got %d, want one stream socket: the .socket unit needs one ListenStream", len(listeners))
	}
	return listeners[0], nil
}

// Ready reports that the process serves.
func (s *Supervisor) Ready() error {
	if s == nil {
		return nil
	}
	_, err := daemon.SdNotify(false, daemon.SdNotifyReady)
	return errors.Join(err, s.notifyPM2("ready"))
}

// Status reports the state to people, if the process manager shows it.
func (s *Supervisor) Status(text string) error {
	if s == nil {
		return nil
	}
	_, err := daemon.SdNotify(false, "STATUS="+strings.ReplaceAll(text, "\n", "; "))
	return err
}

// Stopping reports that the process is stopping on purpose.
func (s *Supervisor) Stopping() error {
	if s == nil {
		return nil
	}
	_, err := daemon.SdNotify(false, daemon.SdNotifyStopping)
	return err
}

// FeedWatchdog feeds the watchdog until ctx ends, as long as healthy returns nil. Otherwise
// it stays silent, and systemd restarts the process.
func (s *Supervisor) FeedWatchdog(ctx context.Context, healthy func(context.Context) error, warn func(error)) error {
	if s == nil || s.watchdog <= 0 {
		<-ctx.Done()
		return nil
	}
	every := s.watchdog / 3
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := feed(ctx, every, healthy); err != nil && ctx.Err() == nil {
			warn(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func feed(ctx context.Context, limit time.Duration, healthy func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := healthy(ctx); err != nil {
		return fmt.Errorf("watchdog not fed: %w", err)
	}
	_, err := daemon.SdNotify(false, daemon.SdNotifyWatchdog)
	return err
}

// Package supervisor talks with whoever keeps the program running, systemd or
// PM2: it takes the socket that was opened for us, says when we are ready and
// when we stop, and feeds the watchdog as long as we answer. It must never
// decide whether we are well: that is what it asks for.
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

// Supervisor is who started us. Without one, all of this does nothing.
type Supervisor struct {
	watchdog time.Duration // how often systemd wants to hear from us; 0: never
	channel  *os.File      // PM2's, nil without it
}

// FromEnvironment finds out who started us. It may be called once: what was
// opened for us is taken.
func FromEnvironment() (*Supervisor, error) {
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return nil, fmt.Errorf("read WATCHDOG_USEC: %w", err)
	}
	return &Supervisor{watchdog: watchdog, channel: openPM2Channel()}, nil
}

// Listener returns the socket that systemd opened for us, or nil.
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
		return nil, fmt.Errorf("take systemd's socket: got %d, want one that streams: a .socket unit has one ListenStream", len(listeners))
	}
	return listeners[0], nil
}

// Ready says that we serve.
func (s *Supervisor) Ready() error {
	if s == nil {
		return nil
	}
	_, err := daemon.SdNotify(false, daemon.SdNotifyReady)
	return errors.Join(err, s.notifyPM2("ready"))
}

// Status says to people how we are, where the supervisor shows it.
func (s *Supervisor) Status(text string) error {
	if s == nil {
		return nil
	}
	_, err := daemon.SdNotify(false, "STATUS="+strings.ReplaceAll(text, "\n", "; "))
	return err
}

// Stopping says that we end, and that this was wanted.
func (s *Supervisor) Stopping() error {
	if s == nil {
		return nil
	}
	_, err := daemon.SdNotify(false, daemon.SdNotifyStopping)
	return err
}

// FeedWatchdog feeds the watchdog until ctx ends, as long as alive says that we are.
// When it does not, nothing is said, and systemd starts us again.
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
		return fmt.Errorf("the watchdog gets nothing: %w", err)
	}
	_, err := daemon.SdNotify(false, daemon.SdNotifyWatchdog)
	return err
}

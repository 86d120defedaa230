package drill

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster"
)

// Options of Run. Program is required.
type Options struct {
	// Program is the router's executable; it is started as "psi-router serve".
	Program string
	// Messages are written by so many Conversations (default 10,000 by 500).
	Messages, Conversations int
	// Webhooks and Workers are how many processes there are of each (default 2
	// and 3). With Embedded there is one for everything, on SQLite.
	Webhooks, Workers int
	Embedded          bool
	// Faults is how many things go wrong, one after the other (default 10).
	Faults int
	// Only are the kinds of faults to choose from; nil is all that fit.
	Only []string
	// Pace is how much of the writing goes to each fault, in time, at least; 6 s
	// unless told. A slow machine takes longer.
	Pace time.Duration
	// BackoffSpeedup makes the router's back-offs pass so many times faster: an outage of
	// seconds is then as hard as one of minutes. 1 unless told.
	BackoffSpeedup float64
	// Outage is how long Redis, PostgreSQL and WhatsApp are away together at least, as
	// the back-offs see it: it draws faults out, each as far as its kind goes.
	Outage time.Duration
	// Duration ends the writing early; 0 never does.
	Duration time.Duration
	// Settle is how long everything may take to be done afterwards; 6 min unless
	// told.
	Settle time.Duration
	// Seed decides who writes, and what goes wrong when. The rest is the
	// machine's doing.
	Seed uint64
	// Parent is where the files are made; "" is the system's directory for
	// temporary ones. Keep leaves them there; they also stay when something is
	// wrong.
	Parent string
	Keep   bool
	// Tell is called with everything that happens, one call after the other.
	Tell func(Event)
	// Progress is called a few times a second, never beside Tell.
	Progress func(Progress)
}

// least are the bounds that make a drill mean something.
const (
	perConversation = cluster.AnswersPerHour * 9 / 10 // within an hour
	retryFor        = 5 * time.Minute
)

// ErrOptions means that the options make no drill.
var ErrOptions = errors.New("this makes no drill")

func (o *Options) check() error {
	o.Messages, o.Conversations = cmp.Or(o.Messages, 10_000), cmp.Or(o.Conversations, 500)
	o.Webhooks, o.Workers = cmp.Or(o.Webhooks, 2), cmp.Or(o.Workers, 3)
	if o.Embedded {
		o.Webhooks, o.Workers = 0, 0
	}
	o.Pace, o.Settle = cmp.Or(o.Pace, 6*time.Second), cmp.Or(o.Settle, 6*time.Minute)
	if o.BackoffSpeedup == 0 {
		o.BackoffSpeedup = 1
	}
	o.Conversations = min(o.Conversations, o.Messages)
	switch {
	case o.Program == "":
		return fmt.Errorf("%w: there is no program to start", ErrOptions)
	case o.Messages < 1 || o.Conversations < 1 || o.Webhooks < 0 || o.Workers < 0 || o.Faults < 0 || o.Outage < 0 || o.Duration < 0 || o.BackoffSpeedup < 1:
		return fmt.Errorf("%w: its numbers are too small", ErrOptions)
	case o.Messages/o.Conversations > perConversation:
		return fmt.Errorf("%w: %d messages are too many for %d conversations, as nobody gets more than %d answers an hour", ErrOptions, o.Messages, o.Conversations, perConversation)
	}
	if o.Tell == nil {
		o.Tell = func(Event) {}
	}
	return nil
}

package unit

import (
	"time"

	"github.com/google/uuid"

	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

// Settings are what decisions need beside the rows: the rules, and facts about this
// installation. Engines take them at Open.
type Settings struct {
	Rules router.Rules
	// Country is the country of national phone numbers, "AR" if "".
	Country string
	// Zone decides to which year a ticket belongs, UTC if nil.
	Zone *time.Location
	// StaleAfter is the age, on arrival, from which a message is no longer answered; 0 is
	// none.
	StaleAfter time.Duration
	// ReplyTTL is how long an automatic message may wait to be sent: 1 h if 0, for ever
	// below 0. A later one would surprise more than help.
	ReplyTTL time.Duration
	// ApologyDelay is the time from a message that was left without an answer to the
	// apology of policies.after_outage, 2 min if 0: the team may answer first, or the
	// person write again.
	ApologyDelay time.Duration
	// Windowless names the lines without a service window.
	Windowless []string
	NewID      func() string
	// OnEvents, if set, gets the events of each commit: a hint for those who push events,
	// who find the rest by themselves. It must not block.
	OnEvents func([]store.Event)
}

const (
	defaultCountry      = "AR"
	defaultReplyTTL     = time.Hour
	defaultApologyDelay = 2 * time.Minute
)

// WithDefaults returns the settings with all defaults filled in.
func (s Settings) WithDefaults() Settings {
	if s.Country == "" {
		s.Country = defaultCountry
	}
	if s.Zone == nil {
		s.Zone = time.UTC
	}
	if s.ReplyTTL == 0 {
		s.ReplyTTL = defaultReplyTTL
	}
	if s.ApologyDelay == 0 {
		s.ApologyDelay = defaultApologyDelay
	}
	if s.NewID == nil {
		s.NewID = func() string { return uuid.Must(uuid.NewV7()).String() }
	}
	return s
}

// rules returns the rules of a line.
func (s *Settings) rules(line string) router.Rules {
	r := s.Rules
	r.Window = s.window(line)
	return r
}

// window returns the service window of a line; 0 is none.
func (s *Settings) window(line string) time.Duration {
	for _, l := range s.Windowless {
		if l == line {
			return 0
		}
	}
	return s.Rules.Window
}

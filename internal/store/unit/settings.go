package unit

import (
	"time"

	"github.com/google/uuid"

	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

// Settings are what decisions need beside the rows: the rules, and where and
// how this installation lives. Engines take them at Open.
type Settings struct {
	Rules router.Rules
	// Country is where national phone numbers belong, "AR" if "".
	Country string
	// Zone decides in which year a ticket was made, UTC if nil.
	Zone *time.Location
	// StaleAfter is how old a message may be when it reaches the door and still
	// be answered; 0 means that none is too old.
	StaleAfter time.Duration
	// ReplyTTL is how long an automatic message may wait to be sent before it
	// would surprise more than help: 1 h if 0, for ever below 0.
	ReplyTTL time.Duration
	// ApologyDelay is how long after the last word that was left without an answer the
	// person gets what policies.after_outage says, 2 min if 0: by then the team may have
	// answered, or they have written again.
	ApologyDelay time.Duration
	// Windowless names the lines whose provider lets us write at any time.
	Windowless []string
	// NewID makes a row's id, a UUID of version 7 if nil.
	NewID func() string
	// OnEvents, if set, hears after each commit what was told in it: a hint for those
	// who push events, who find what they did not hear. It must not block.
	OnEvents func([]store.Event)
}

const (
	defaultCountry      = "AR"
	defaultReplyTTL     = time.Hour
	defaultApologyDelay = 2 * time.Minute
)

// WithDefaults returns the settings with every gap filled.
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

// rules returns the rules as they hold for a line.
func (s *Settings) rules(line string) router.Rules {
	r := s.Rules
	r.Window = s.window(line)
	return r
}

// window is how long after a person's last message a line may write freely; 0
// means always.
func (s *Settings) window(line string) time.Duration {
	for _, l := range s.Windowless {
		if l == line {
			return 0
		}
	}
	return s.Rules.Window
}

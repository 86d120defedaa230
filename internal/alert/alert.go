// Package alert watches the program: rules over measured values, one notice when something
// has been wrong for long enough, and one when it is resolved. Evaluate is pure. The
// Manager evaluates, keeps its state in the store, so that one process notifies for all and
// a restart repeats nothing, and notifies the receivers. It must never change what it
// watches, nor name a person or show what a person wrote.
package alert

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/lang"
)

// Severity is how soon a person must look.
type Severity string

// Severities.
const (
	Critical Severity = "critical" // people get no answer
	Warning  Severity = "warning"  // people soon may get no answer, or something waits for a person
)

// Rule is a condition that must not hold.
type Rule struct {
	ID       string
	Severity Severity
	// Measure is the measured value. A sample above Above for For opens an incident of its
	// subject; the incident is resolved once no sample was above for Clear.
	Measure Measure
	Above   float64
	For     time.Duration
	Clear   time.Duration
	// InhibitedBy are the rules that explain this one: while one of them has an incident,
	// this rule stays quiet.
	InhibitedBy []Inhibitor
	// Expr is Measure in PromQL, by the labels in By. WorkHours limits it to working hours.
	Expr      string
	By        string
	WorkHours bool
	Unit      Unit
	// Command fixes the problem or shows it.
	Command string
	// Problem, Fix and Resolved are what is wrong, what to do, and that it is not
	// wrong any more. {subject}, {value} and {detail} stand for the incident's own.
	Problem, Fix, Resolved lang.Text
}

// Inhibitor is another rule that explains this one: by any incident, by one of the same
// subject (SameSubject), or by one whose subject begins with one of SubjectPrefixes.
type Inhibitor struct {
	Rule            string
	SameSubject     bool
	SubjectPrefixes []string
}

// Unit is how a value is written.
type Unit uint8

// Units.
const (
	Count Unit = iota
	Seconds
	Ratio
)

// Measure names a kind of sample.
type Measure string

// Sample is one measured value.
type Sample struct {
	Measure Measure
	Subject string // a queue, a line, a disk; "" if there is only one
	Value   float64
	Detail  string // for people, may be ""
}

// Samples are the values measured at one time.
type Samples struct {
	Values []Sample
	// Unknown are the measures that could not be taken. Nothing is concluded from them,
	// neither good nor bad.
	Unknown map[Measure]bool
}

// Incident is a rule that a subject breaks.
type Incident struct {
	Rule    string  `json:"rule"`
	Subject string  `json:"subject,omitempty"`
	Value   float64 `json:"value"`
	Detail  string  `json:"detail,omitempty"`
	// Since is when the incident began, FiredAt when it had lasted for For (zero: not yet),
	// ClearSince since when it looks resolved (zero: it does not).
	Since      time.Time `json:"since"`
	FiredAt    time.Time `json:"fired,omitzero"`
	ClearSince time.Time `json:"well,omitzero"`
}

// State is what the manager remembers between two rounds.
type State struct {
	At        time.Time            `json:"at"` // of the last round
	Incidents map[string]*Incident `json:"incidents,omitempty"`
	// LastHeld is when each queue was last seen held.
	LastHeld map[string]time.Time `json:"held,omitempty"`
	// Outbox holds the notices that a receiver has not got yet, in order.
	Outbox []Notice `json:"outbox,omitempty"`
}

// Notice is a message about an incident.
type Notice struct {
	Incident

	Resolved bool      `json:"over,omitempty"`
	At       time.Time `json:"at"`
	// Undelivered are the receivers that do not have the notice yet.
	Undelivered []string `json:"left,omitempty"`
}

// Firing lists the incidents that have fired, the oldest first.
func (s State) Firing() []Incident {
	var out []Incident
	for _, i := range s.Incidents {
		if !i.FiredAt.IsZero() {
			out = append(out, *i)
		}
	}
	slices.SortFunc(out, func(x, y Incident) int { return cmp.Or(x.FiredAt.Compare(y.FiredAt), compare(x, y)) })
	return out
}

func (s State) clone() State {
	out := s
	out.Incidents = make(map[string]*Incident, len(s.Incidents))
	for k, i := range s.Incidents {
		c := *i
		out.Incidents[k] = &c
	}
	out.LastHeld = maps.Clone(s.LastHeld)
	out.Outbox = slices.Clone(s.Outbox)
	return out
}

// Package alert cries for help: rules over what can be measured, one message when
// something is wrong for long enough, and one when it is over. Evaluate is pure;
// the Manager looks, keeps what it knows in the store, so that one process speaks
// for all and a restart repeats nothing, and tells the receivers. It must never
// change what it watches, nor name a person or show what one wrote.
package alert

import (
	"maps"
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/lang"
)

// Severity says how soon somebody must look.
type Severity string

// Severities.
const (
	Critical Severity = "critical" // people get no answer
	Warning  Severity = "warning"  // they soon may not, or something waits for a person
)

// Rule is one thing that must not be.
type Rule struct {
	ID       string
	Severity Severity
	// Measure is what it looks at: each sample above Above for For is an incident
	// of its subject, which is over once it was not for Clear.
	Measure Measure
	Above   float64
	For     time.Duration
	Clear   time.Duration
	// InhibitedBy are what explains this one: while one of them has an incident, this
	// one stays quiet.
	InhibitedBy []Inhibitor
	// Expr is Measure in PromQL, by the labels in By. WorkHours limits it to those.
	Expr      string
	By        string
	WorkHours bool
	Unit      Unit
	// Command cures it, or shows what there is to cure.
	Command string
	// Problem, Fix and Resolved are what is wrong, what to do, and that it is not
	// wrong any more. {subject}, {value} and {detail} stand for the incident's own.
	Problem, Fix, Resolved lang.Text
}

// Inhibitor is another rule that explains one: any incident of it, or one of the same
// subject, or one whose subject begins with one of SubjectPrefixes.
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
	Subject string // a queue, a line, a disk; "" where there is one only
	Value   float64
	Detail  string // for people, may be ""
}

// Samples are what is known at one moment.
type Samples struct {
	Values []Sample
	// Unknown are the measures that could not be taken: of those nothing is
	// concluded, neither that it is bad nor that it is well.
	Unknown map[Measure]bool
}

// Incident is a rule that a subject breaks.
type Incident struct {
	Rule    string  `json:"rule"`
	Subject string  `json:"subject,omitempty"`
	Value   float64 `json:"value"`
	Detail  string  `json:"detail,omitempty"`
	// Since is when it began, FiredAt when that had lasted long enough (zero: not
	// yet), ClearSince since when it looks as if it were over (zero: it does not).
	Since      time.Time `json:"since"`
	FiredAt    time.Time `json:"fired,omitzero"`
	ClearSince time.Time `json:"well,omitzero"`
}

// State is what is remembered between two looks.
type State struct {
	At        time.Time            `json:"at"` // of the last look
	Incidents map[string]*Incident `json:"incidents,omitempty"`
	// LastHeld is when each queue was last seen held.
	LastHeld map[string]time.Time `json:"held,omitempty"`
	// Outbox holds what a receiver has not got yet, in order.
	Outbox []Notice `json:"outbox,omitempty"`
}

// Notice is what is told.
type Notice struct {
	Incident

	Resolved bool      `json:"over,omitempty"`
	At       time.Time `json:"at"`
	// Undelivered are the receivers that do not have it yet.
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
	slices.SortFunc(out, func(x, y Incident) int {
		if c := x.FiredAt.Compare(y.FiredAt); c != 0 {
			return c
		}
		return compare(x, y)
	})
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

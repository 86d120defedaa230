package flow

import (
	"fmt"
	"slices"
	"strings"
)

// Severity is the severity of a problem.
type Severity string

// Severities.
const (
	SeverityError   Severity = "error"   // the flow cannot be used: WhatsApp would refuse it, or it would misbehave
	SeverityWarning Severity = "warning" // the flow works, but people will get lost in it
)

// Problem is one thing to change, with its position.
type Problem struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Column   int      `json:"column"`
	Severity Severity `json:"severity"`
	Message  string   `json:"message"` // the fault, and what to write instead
}

func (p Problem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s", p.File, p.Line, p.Column, p.Severity, p.Message)
}

// Problems are all problems of a file, in the order of the file.
type Problems []Problem

// Error lists all problems, one per line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Fatal reports whether one of the problems is an error.
func (ps Problems) Fatal() bool {
	return slices.ContainsFunc(ps, func(p Problem) bool { return p.Severity == SeverityError })
}

func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
}

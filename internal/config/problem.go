package config

import (
	"fmt"
	"strings"
)

// Problem is one problem of the configuration. It never holds a value that may be
// secret.
type Problem struct {
	Key    string `json:"key"`
	From   string `json:"from,omitempty"` // file:line or the variable; "" for a missing key
	Reason string `json:"reason"`
	Fix    string `json:"cure"`
}

func (p Problem) String() string {
	where := p.Key
	if p.From != "" {
		where += " (" + p.From + ")"
	}
	end := "."
	if strings.HasSuffix(p.Fix, "?") {
		end = ""
	}
	return where + ": " + p.Reason + ". " + capitalize(p.Fix) + end
}

func capitalize(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	for _, literal := range []string{"psi-router", "`"} {
		if strings.HasPrefix(s, literal) {
			return s
		}
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// Problems is all problems of a configuration, as one error.
type Problems []Problem

func (ps Problems) Error() string {
	var b strings.Builder
	if len(ps) == 1 {
		b.WriteString("the configuration has a problem:")
	} else {
		fmt.Fprintf(&b, "the configuration has %d problems:", len(ps))
	}
	for _, p := range ps {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}

// flaw is why a value is invalid, and what to write instead.
type flaw struct{ reason, cure string }

func (f *flaw) Error() string { return f.reason }

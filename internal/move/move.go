// Package move moves an embedded installation's store from its file to PostgreSQL. It can
// be killed at any moment and continues when started again. It must never change the
// source, nor report success before every row was counted and compared.
package move

import (
	"errors"
	"fmt"
)

// Limits of one step, so that it takes only a moment.
const (
	stepRows  = 1000
	stepBytes = 4 << 20
)

// ErrRefused means that nothing was moved because the move would be wrong; the error says
// what to do.
var ErrRefused = errors.New("nothing was moved")

func refuse(format string, a ...any) error {
	return fmt.Errorf("%w: %w", ErrRefused, fmt.Errorf(format, a...))
}

// Part is one table of a move.
type Part struct {
	Name  string `json:"name"`
	Total int64  `json:"total"` // rows of the source
	Moved int64  `json:"moved"` // rows in the target
	Sum   string `json:"sum,omitempty"`
}

// Report is the result of a move, or of a dry run.
type Report struct {
	Parts []Part `json:"parts"`
	// Already is set if everything was moved before.
	Already bool `json:"already"`
	// Resumed is set if the move continued an interrupted one.
	Resumed bool `json:"resumed"`
	DryRun  bool `json:"dry_run"`
}

// Totals returns the sums over all parts.
func (r Report) Totals() (total, moved int64) {
	for _, p := range r.Parts {
		total += p.Total
		moved += p.Moved
	}
	return total, moved
}

// Progress is called with the progress of a part. checking is set while the copy is
// compared.
type Progress func(p Part, checking bool)

func (f Progress) tell(p Part, checking bool) {
	if f != nil {
		f(p, checking)
	}
}

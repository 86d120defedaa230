// Package move takes an embedded installation to the servers: the files' store to
// PostgreSQL, their queue to Redis. It can be killed at any moment and goes on when
// it is started again. It must never change what it moves, nor say that it is done
// before everything was counted and compared.
package move

import (
	"errors"
	"fmt"
)

// What one step carries, so that it takes a moment only.
const (
	stepRows  = 1000
	stepBytes = 4 << 20
)

// ErrRefused means that nothing was moved, because it would not be right; the
// error says what to do.
var ErrRefused = errors.New("nothing was moved")

func refuse(format string, a ...any) error {
	return fmt.Errorf("%w: %w", ErrRefused, fmt.Errorf(format, a...))
}

// Part is one table or queue of a move.
type Part struct {
	Name  string `json:"name"`
	Total int64  `json:"total"` // that the installation has
	Moved int64  `json:"moved"` // that are there now
	Sum   string `json:"sum,omitempty"`
}

// Report says what a move did, or would do.
type Report struct {
	Parts []Part `json:"parts"`
	// Already is set when everything was moved before.
	Already bool `json:"already"`
	// Resumed is set when it went on where another one was interrupted.
	Resumed bool `json:"resumed"`
	DryRun  bool `json:"dry_run"`
}

// Totals adds up the parts.
func (r Report) Totals() (total, moved int64) {
	for _, p := range r.Parts {
		total += p.Total
		moved += p.Moved
	}
	return total, moved
}

// Progress is told how far a part is. Checking is set while what came is compared.
type Progress func(p Part, checking bool)

func (f Progress) tell(p Part, checking bool) {
	if f != nil {
		f(p, checking)
	}
}

package store

import (
	"time"

	"github.com/psivisionhub/psi-router/internal/router"
)

// Filter selects conversations. Empty fields select all.
type Filter struct {
	Contact string // id
	Phone   string
	UserID  string
	Line    string
	Area    string
	State   router.State
	// LeftAfter selects those that were left and whose last word is newer, the oldest first.
	LeftAfter time.Time
	// Before is the cursor of the last row of the previous page.
	Before string
	Limit  int
}

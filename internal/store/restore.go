package store

import "github.com/psivisionhub/psi-router/internal/router"

// MarkUncertain marks a message as uncertain that may have been sent without our knowing,
// and reports whether it was still to be sent.
func (u *Unit) MarkUncertain(m *MessageRow, why string) bool {
	if m.Status != Queued && m.Status != Sending {
		return false
	}
	u.setOutcome(m, Uncertain, router.UncertainFor, 0, why)
	return true
}

package unit

import (
	"cmp"
	"slices"

	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

// Claim takes the oldest row of a conversation that may go now. rows are its queued and
// sending ones, oldest first. A row that is sending under this very token belongs to this
// claim, repeated; every other claim needs a new token.
func (u *Unit) Claim(conv *ConversationRow, rows []*MessageRow, token string) *store.SendClaim {
	for _, m := range answersFirst(rows) {
		switch {
		case m.Status == store.Sending && m.Token == token:
			return u.newClaim(conv, m)
		case m.Status == store.Sending:
			u.setOutcome(m, store.Uncertain, router.UncertainFor, 0, "its sender was lost while it was being sent")
			continue
		case m.Status != store.Queued:
			continue
		}
		if why := u.refusalReason(conv, m); why != "" {
			u.setOutcome(m, store.Failed, why, 0, "")
			continue
		}
		m.Status, m.Token, m.Changed = store.Sending, token, true
		m.Attempts++
		return u.newClaim(conv, m)
	}
	return nil
}

// answersFirst moves notices whose first attempt failed behind the other rows.
func answersFirst(rows []*MessageRow) []*MessageRow {
	waits := func(m *MessageRow) bool { return m.Notice && m.Status == store.Queued && m.Attempts > 0 }
	if !slices.ContainsFunc(rows, waits) {
		return rows
	}
	var first, last []*MessageRow
	for _, m := range rows {
		if waits(m) {
			last = append(last, m)
		} else {
			first = append(first, m)
		}
	}
	return append(first, last...)
}

func (u *Unit) newClaim(conv *ConversationRow, m *MessageRow) *store.SendClaim {
	return &store.SendClaim{
		Post: store.PostRow{
			Post: outbound.Post{
				ID: m.ID, Line: conv.Line, To: conv.Contact.Address, QuotedID: m.QuotedID, Body: m.Body,
			},
			Conversation: conv.ID, Author: m.Author, Notice: m.Notice, CreatedAt: m.CreatedAt,
		},
		Token: m.Token, MarkReadID: m.MarkReadID, Attempt: m.Attempts,
	}
}

// refusalReason returns why a row must no longer be sent, or "".
func (u *Unit) refusalReason(conv *ConversationRow, m *MessageRow) router.Reason {
	switch {
	case conv.ContactRow.Blocked:
		return router.Blocked
	case m.Marketing && conv.ContactRow.OptedOut:
		return router.OptedOut
	case isAutomatic(m) && (m.Epoch < conv.Epoch || m.Notice && conv.isApologyMoot(m)):
		return router.Superseded
	case !m.ExpiresAt.IsZero() && !u.Now.Before(m.ExpiresAt):
		return router.Expired
	case m.Type != "template" && u.isWindowClosedSince(conv.Line, conv.lastInboundFor(m)):
		return router.WindowClosed
	}
	return ""
}

// setOutcome gives a row an outcome of our own. Without a detail the row keeps the earlier
// reason for its wait.
func (u *Unit) setOutcome(m *MessageRow, status store.Status, why router.Reason, code int, detail string) {
	before := m.Status
	m.Status, m.FailureReason, m.Changed = status, why, true
	if code != 0 || detail != "" {
		m.ErrorCode, m.ErrorDetail = code, detail
	}
	u.addStatusEvent(m, before)
}

// MarkUncertain marks a message as uncertain that may have been sent, and reports whether
// it was still to be sent.
func (u *Unit) MarkUncertain(m *MessageRow, why string) bool {
	if m.Status != store.Queued && m.Status != store.Sending {
		return false
	}
	u.setOutcome(m, store.Uncertain, router.UncertainFor, 0, why)
	return true
}

// ApplyResult writes the result of a claimed row.
func (u *Unit) ApplyResult(m *MessageRow, r store.SendResult) {
	if m.Status != store.Sending || m.Token != r.Token {
		// Another transaction decided about it meanwhile. The provider's acceptance is
		// still true.
		if r.Status == store.Sent && r.ProviderID != "" {
			u.markAccepted(m, r.ProviderID)
			u.learnWaID(m, r)
		}
		return
	}
	switch r.Status {
	case store.Sent:
		m.Token, m.Changed = "", true
		u.markAccepted(m, r.ProviderID)
		u.learnWaID(m, r)
	case store.Queued:
		m.Status, m.Token, m.Changed = store.Queued, "", true
		if r.NotAttempted {
			m.Attempts--
			break
		}
		m.ErrorCode, m.ErrorDetail = r.Code, r.Detail
	case store.Uncertain:
		u.setOutcome(m, store.Uncertain, cmp.Or(r.Reason, router.UncertainFor), r.Code, r.Detail)
	default:
		m.Token = ""
		u.setOutcome(m, store.Failed, cmp.Or(r.Reason, router.Refused), r.Code, r.Detail)
	}
}

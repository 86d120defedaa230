package store

import (
	"cmp"
	"slices"

	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/router"
)

// Claim takes the oldest row of a conversation that may go now. rows are its
// queued and sending ones, oldest first. A row that is sending already under
// this very token is this claim, asked for again; the token must be new for
// every round.
func (b *Book) Claim(t *TalkRow, rows []*MessageRow, token string) *SendClaim {
	for _, m := range answersFirst(rows) {
		switch {
		case m.Status == Sending && m.Token == token:
			return b.claim(t, m)
		case m.Status == Sending:
			b.end(m, Uncertain, router.UncertainFor, 0, "its sender was lost while it was being sent")
			continue
		case m.Status != Queued:
			continue
		}
		if why := b.refuse(t, m); why != "" {
			b.end(m, Failed, why, 0, "")
			continue
		}
		m.Status, m.Token, m.Changed = Sending, token, true
		m.Attempts++
		return b.claim(t, m)
	}
	return nil
}

// answersFirst lets the others pass the notices whose first attempt failed.
func answersFirst(rows []*MessageRow) []*MessageRow {
	waits := func(m *MessageRow) bool { return m.Notice && m.Status == Queued && m.Attempts > 0 }
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

func (b *Book) claim(t *TalkRow, m *MessageRow) *SendClaim {
	return &SendClaim{
		Post: PostRow{
			Post: outbound.Post{
				ID: m.ID, Line: t.Line, To: t.Contact.Address, QuotedID: m.QuotedID, Body: m.Body,
			},
			Conversation: t.ID, Author: m.Author, Notice: m.Notice, CreatedAt: m.CreatedAt,
		},
		Token: m.Token, ReadID: m.ReadID, Attempt: m.Attempts,
	}
}

// refuse says why a row must not go any more, or "".
func (b *Book) refuse(t *TalkRow, m *MessageRow) router.Reason {
	switch {
	case t.Who.Blocked:
		return router.Blocked
	case m.Marketing && t.Who.OptedOut:
		return router.OptedOut
	case automatic(m) && (m.Epoch < t.Epoch || m.Notice && t.moot(m)):
		return router.Superseded
	case !m.Expires.IsZero() && !b.Now.Before(m.Expires):
		return router.Expired
	case m.Type != "template" && b.shutSince(t.Line, t.wrote(m)):
		return router.WindowClosed
	}
	return ""
}

// end gives a row one of our own verdicts. Without words for it, what kept the
// row back so long stays.
func (b *Book) end(m *MessageRow, status Status, why router.Reason, code int, detail string) {
	before := m.Status
	m.Status, m.Fate, m.Changed = status, why, true
	if code != 0 || detail != "" {
		m.ErrorCode, m.ErrorDetail = code, detail
	}
	b.tellStatus(m, before)
}

// Sent writes what became of a claimed row.
func (b *Book) Sent(m *MessageRow, r SendResult) {
	if m.Status != Sending || m.Token != r.Token {
		// Somebody else decided about it meanwhile. That the provider took it is
		// still true.
		if r.Status == Sent && r.ProviderID != "" {
			b.accepted(m, r.ProviderID)
			b.called(m, r)
		}
		return
	}
	switch r.Status {
	case Sent:
		m.Token, m.Changed = "", true
		b.accepted(m, r.ProviderID)
		b.called(m, r)
	case Queued:
		m.Status, m.Token, m.Changed = Queued, "", true
		if r.Unbegun {
			m.Attempts--
			break
		}
		m.ErrorCode, m.ErrorDetail = r.Code, r.Detail
	case Uncertain:
		b.end(m, Uncertain, cmp.Or(r.Reason, router.UncertainFor), r.Code, r.Detail)
	default:
		m.Token = ""
		b.end(m, Failed, cmp.Or(r.Reason, router.Refused), r.Code, r.Detail)
	}
}

// Timeout fires the timer of a conversation, when it is due.
func (b *Book) Timeout(t *TalkRow) (fired bool, err error) {
	if t.TimeoutAt.IsZero() || t.TimeoutAt.After(b.Now) {
		return false, nil
	}
	return b.Command(t, router.Command{Kind: router.CommandTimeout}, "timer")
}

package unit

import (
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

// isReport reports whether an arrival is a status report, on a line of ours.
func isReport(a *inbound.Arrival) bool {
	return a.Kind == inbound.Status && a.Report != nil && a.Line != "" && a.Quarantine == "" && (a.ID != "" || a.Report.Ref != "")
}

// ApplyReport applies one status report, or parks it if its message is unknown. The order
// of reports does not matter: a status only grows; a failure yields to a report that the
// message arrived, and its error code stays.
func (u *Unit) ApplyReport(a *inbound.Arrival) {
	if !isReport(a) {
		return
	}
	switch status := store.Status(a.Report.Status); status {
	case store.Sent, store.Delivered, store.Read, store.Played, store.Failed:
	default:
		return // an unknown status changes nothing
	}
	at := a.SentAt
	if at.IsZero() {
		at = a.ReceivedAt
	}
	m := u.findReported(a)
	if m == nil {
		if a.ID != "" {
			u.park(a, at)
		}
		return
	}
	if m.ProviderID == "" && a.ID != "" {
		m.ProviderID, m.Changed = a.ID, true
		u.messagesByProviderID[a.ID] = append(u.messagesByProviderID[a.ID], m)
	} else if a.ID != "" && m.ProviderID != a.ID && store.Status(a.Report.Status) == store.Failed {
		return // an earlier post of it failed; a later one went out
	}
	u.applyStatus(m, *a.Report, at)
}

func (u *Unit) park(a *inbound.Arrival, at time.Time) {
	p := ParkedReport{
		ProviderID: ProviderID{a.Line, a.ID}, Person: u.aliasSetOf(a.Person).strongest(), Report: *a.Report, At: at, ExpiresAt: u.Now.Add(parkedFor),
	}
	if contact := u.lookupContact(a.Person); contact != nil {
		p.ContactKey = contact.Row
	}
	u.NewlyParked = append(u.NewlyParked, p)
	u.AddParked(p)
}

// parkedFor is how long a report waits for its message.
const parkedFor = time.Hour

// statusRank orders the statuses of an outgoing message. A failure is not among them.
var statusRank = map[store.Status]int{store.Queued: 0, store.Sending: 1, store.Uncertain: 1, store.Sent: 2, store.Delivered: 3, store.Read: 4, store.Played: 5}

// applyStatus applies a report to its message.
func (u *Unit) applyStatus(m *MessageRow, r inbound.Report, at time.Time) {
	before := m.Status
	status := store.Status(r.Status)
	if status == store.Failed {
		if m.ErrorCode != r.Code || m.ErrorDetail != r.Detail {
			m.ErrorCode, m.ErrorDetail, m.Changed = r.Code, r.Detail, true
		}
		if statusRank[m.Status] < statusRank[store.Delivered] && m.Status != store.Failed {
			m.Status, m.FailureReason = store.Failed, router.Refused
		}
	} else if statusRank[status] > statusRank[m.Status] && (m.Status != store.Failed || statusRank[status] >= statusRank[store.Delivered]) {
		if m.Status != store.Failed {
			m.ErrorCode, m.ErrorDetail = 0, "" // the reason that delayed it, or made it uncertain, is over
		}
		m.Status = status
	}
	if m.Status == before {
		return
	}
	m.Changed = true
	if m.SentAt.IsZero() {
		m.SentAt = at
	}
	u.addStatusEvent(m, before)
}

func (u *Unit) addStatusEvent(m *MessageRow, before store.Status) {
	conv := m.ConversationRow.Survivor()
	switch {
	case m.Status == store.Failed:
		u.addEvent(conv, store.EventFailed, eventDetail{Message: m})
	case m.Status == store.Sent, before == store.Queued || before == store.Sending || before == store.Uncertain:
		if m.Status == store.Uncertain {
			u.addEvent(conv, store.EventStatus, eventDetail{Message: m})
			return
		}
		u.addEvent(conv, store.EventSent, eventDetail{Message: m})
		if m.Status != store.Sent {
			u.addEvent(conv, store.EventStatus, eventDetail{Message: m})
		}
	default:
		u.addEvent(conv, store.EventStatus, eventDetail{Message: m})
	}
}

// markAccepted notes that the provider took the message, and its id.
func (u *Unit) markAccepted(m *MessageRow, providerID string) {
	if m.ProviderID == "" && providerID != "" {
		m.ProviderID, m.Changed = providerID, true
		u.messagesByProviderID[providerID] = append(u.messagesByProviderID[providerID], m)
	}
	u.applyStatus(m, inbound.Report{Status: string(store.Sent)}, u.Now)
	u.applyParked(m)
}

// applyParked applies the reports that came before their message.
func (u *Unit) applyParked(m *MessageRow) {
	waiting := u.takeParked(m)
	for _, p := range waiting {
		u.applyStatus(m, p.Report, p.At)
	}
	u.Unparked = append(u.Unparked, waiting...)
}

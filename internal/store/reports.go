package store

import (
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
)

// parkedFor is how long a report waits for its message.
const parkedFor = time.Hour

// rank orders the good news of an outgoing message. What is not in it is no news.
var rank = map[Status]int{Queued: 0, Sending: 1, Uncertain: 1, Sent: 2, Delivered: 3, Read: 4, Played: 5}

// Report applies one status report, or parks it when its message is not known.
// The order of reports does not matter: good news only grows; a failure yields to
// news that the message arrived, and the code of its report stays.
func (b *Book) Report(a *inbound.Arrival) {
	if !isReport(a) {
		return
	}
	switch status := Status(a.Report.Status); status {
	case Sent, Delivered, Read, Played, Failed:
	default:
		return // a word that we do not know changes nothing
	}
	at := a.SentAt
	if at.IsZero() {
		at = a.ReceivedAt
	}
	m := b.reported(a)
	if m == nil {
		if a.ID != "" {
			b.park(a, at)
		}
		return
	}
	if m.ProviderID == "" && a.ID != "" {
		m.ProviderID, m.Changed = a.ID, true
		b.byProvider[a.ID] = append(b.byProvider[a.ID], m)
	} else if a.ID != "" && m.ProviderID != a.ID && Status(a.Report.Status) == Failed {
		return // an earlier post of it failed; a later one went out
	}
	b.news(m, *a.Report, at)
}

func (b *Book) park(a *inbound.Arrival, at time.Time) {
	p := ParkedReport{
		ProviderID: ProviderID{a.Line, a.ID}, Person: b.names(a.Person).first(), Report: *a.Report, At: at, Expires: b.Now.Add(parkedFor),
	}
	if who := b.known(a.Person); who != nil {
		p.Owner = who.Row
	}
	b.Park = append(b.Park, p)
	b.AddParked(p)
}

// news takes one piece of news about an outgoing message.
func (b *Book) news(m *MessageRow, r inbound.Report, at time.Time) {
	before := m.Status
	status := Status(r.Status)
	if status == Failed {
		if m.ErrorCode != r.Code || m.ErrorDetail != r.Detail {
			m.ErrorCode, m.ErrorDetail, m.Changed = r.Code, r.Detail, true
		}
		if rank[m.Status] < rank[Delivered] && m.Status != Failed {
			m.Status, m.Fate = Failed, router.Refused
		}
	} else if rank[status] > rank[m.Status] && (m.Status != Failed || rank[status] >= rank[Delivered]) {
		if m.Status != Failed {
			m.ErrorCode, m.ErrorDetail = 0, "" // what kept it back, or made it uncertain, is over
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
	b.tellStatus(m, before)
}

// tellStatus adds the event of a new status.
func (b *Book) tellStatus(m *MessageRow, before Status) {
	t := m.Talk.final()
	switch {
	case m.Status == Failed:
		b.event(t, EventFailed, about{Message: m})
	case m.Status == Sent, before == Queued || before == Sending || before == Uncertain:
		if m.Status == Uncertain {
			b.event(t, EventStatus, about{Message: m})
			return
		}
		b.event(t, EventSent, about{Message: m})
		if m.Status != Sent {
			b.event(t, EventStatus, about{Message: m})
		}
	default:
		b.event(t, EventStatus, about{Message: m})
	}
}

// accepted notes that the provider took the message, and what it calls it.
func (b *Book) accepted(m *MessageRow, providerID string) {
	if m.ProviderID == "" && providerID != "" {
		m.ProviderID, m.Changed = providerID, true
		b.byProvider[providerID] = append(b.byProvider[providerID], m)
	}
	b.news(m, inbound.Report{Status: string(Sent)}, b.Now)
	b.unpark(m)
}

// unpark applies the reports that came before their message.
func (b *Book) unpark(m *MessageRow) {
	waiting := b.takeParked(m)
	for _, p := range waiting {
		b.news(m, p.Report, p.At)
	}
	b.Unpark = append(b.Unpark, waiting...)
}

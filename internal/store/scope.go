package store

import (
	"strings"

	"github.com/psivisionhub/psi-router/internal/inbound"
)

// An id from outside means something only on its line and in its conversation.
// Everything that looks a message up by an id that came in does so here.

// ProviderID is a provider's id on the line that it came in on.
type ProviderID struct{ Line, ID string }

// on returns the messages that a provider calls so on a line.
func (b *Book) on(line, id string) (out []*MessageRow) {
	for _, m := range b.byProvider[id] {
		if m.Talk.final().Line == line {
			out = append(out, m)
		}
	}
	return out
}

// own returns the message of the person's conversation on the line: all that
// somebody may react to, edit or take back.
func (b *Book) own(who *ContactRow, line, id string) *MessageRow {
	for _, m := range b.on(line, id) {
		if who != nil && m.Talk.final().Who == who {
			return m
		}
	}
	return nil
}

// ofOurs returns the message of ours that the provider calls so on the line. who
// is the other side of it: one whose conversation is another one means another
// message, which we do not have. nil is somebody whom we do not know by the name
// that was used, such as a number that was given up or a hidden id: the id alone
// will do where it is that of one conversation.
func (b *Book) ofOurs(who *ContactRow, line, id string, ours func(*MessageRow) bool) (found *MessageRow) {
	for _, m := range b.on(line, id) {
		switch t := m.Talk.final(); {
		case !ours(m) || who != nil && t.Who != who:
		case found == nil:
			found = m
		case found.Talk.final() != t:
			return nil
		}
	}
	return found
}

// origin tells arrivals of one provider id apart: no two rows have both in common.
func origin(a *inbound.Arrival) string { return string(a.Kind) + "@" + a.Scope() }

// cameAs says that a row came in as the kind. Rows of earlier versions have no
// scope in their origin, but the line as the provider names it: those are known
// by their conversation's line alone.
func (m *MessageRow) cameAs(kind inbound.Kind) (yes, former bool) {
	rest, yes := strings.CutPrefix(m.Origin, string(kind))
	return yes, yes && strings.HasPrefix(rest, ":")
}

// handled returns the row that an earlier delivery of the arrival became: of the
// person as it was named then, whoever has that name now, or as it is named now,
// since copies of a message may name the person in other ways.
func (b *Book) handled(a *inbound.Arrival) *MessageRow {
	o, who := origin(a), b.known(a.Person)
	for _, m := range b.on(a.Line, providerID(a)) {
		same, former := m.cameAs(a.Kind)
		if same && (former || m.Origin == o || who != nil && m.Talk.final().Who == who) {
			return m
		}
	}
	return nil
}

// formerKey is what earlier versions called a record. It says nothing about the
// line that was meant, so it counts only for records of the same one.
func formerKey(a *inbound.Arrival) string {
	key := string(a.Kind) + ":" + a.LineRef + ":" + providerID(a)
	if a.Report != nil {
		key += ":" + a.Report.Status
	}
	return key
}

// posted says that a message was, or may have been, handed to the provider: only
// then can there be news about it. One is uncertain without an attempt that we know
// of when the store was put back from a copy.
func posted(m *MessageRow) bool {
	return m.Direction == directionOut && (m.Origin != "" || m.Attempts > 0 || m.Status == Uncertain)
}

// Reports lists what a batch of reports may touch.
func (s *Settings) Reports(batch []inbound.Arrival) Needs {
	var n Needs
	for i := range batch {
		a := &batch[i]
		if !isReport(a) {
			continue
		}
		n.Known = append(n.Known, s.Aliases(a.Person)...)
		n.Failures = n.Failures || Status(a.Report.Status) == Failed
		if a.ID != "" {
			n.named(a.Line, a.ID)
		}
		if a.Report.Ref != "" {
			n.MessageIDs = append(n.MessageIDs, a.Report.Ref)
		}
	}
	return n
}

// isReport says that an arrival reports, on a line of ours, what became of a
// message.
func isReport(a *inbound.Arrival) bool {
	return a.Kind == inbound.Status && a.Report != nil && a.Line != "" && a.Quarantine == "" && (a.ID != "" || a.Report.Ref != "")
}

// reported returns the message that a report is about. Our own id is good for the
// one whom the message was sent to; whoever else says it has read it somewhere.
func (b *Book) reported(a *inbound.Arrival) *MessageRow {
	who := b.known(a.Person)
	if m := b.byID[a.Report.Ref]; m != nil && who != nil && posted(m) {
		if t := m.Talk.final(); t.Line == a.Line && t.Who == who {
			return m
		}
	}
	return b.ofOurs(who, a.Line, a.ID, posted)
}

// takeParked returns the reports that waited for a message, and leaves those of
// others that bear the same id. One whose recipient is nobody that we know is
// good for whoever the id is.
func (b *Book) takeParked(m *MessageRow) (mine []ParkedReport) {
	if m.ProviderID == "" {
		return nil
	}
	t := m.Talk.final()
	id := ProviderID{t.Line, m.ProviderID}
	var rest []ParkedReport
	for _, p := range b.parked[id] {
		if p.Owner == 0 || b.byRow(p.Owner) == t.Who {
			mine = append(mine, p)
		} else {
			rest = append(rest, p)
		}
	}
	b.parked[id] = rest
	return mine
}

// byRow returns the contact of an engine's key, nil for one that is not in the book.
func (b *Book) byRow(row int64) *ContactRow {
	for _, c := range b.Contacts {
		if c.Row == row {
			return c.Final()
		}
	}
	return nil
}

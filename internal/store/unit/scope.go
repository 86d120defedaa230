package unit

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/store"
)

// An id from outside means something only on its line and in its conversation.
// Everything that looks a message up by an id that came in does so here.

// ProviderID is a provider's id on the line that it came in on.
type ProviderID struct{ Line, ID string }

// messagesOnLine returns the messages that a provider calls so on a line.
func (u *Unit) messagesOnLine(line, id string) (out []*MessageRow) {
	for _, m := range u.messagesByProviderID[id] {
		if m.ConversationRow.Survivor().Line == line {
			out = append(out, m)
		}
	}
	return out
}

// findOwn returns the message of the person's conversation on the line: all that
// somebody may react to, edit or take back.
func (u *Unit) findOwn(contact *ContactRow, line, id string) *MessageRow {
	for _, m := range u.messagesOnLine(line, id) {
		if contact != nil && m.ConversationRow.Survivor().ContactRow == contact {
			return m
		}
	}
	return nil
}

// findOutgoing returns the message of ours that the provider calls so on the line. contact
// is the other side of it: one whose conversation is another one means another
// message, which we do not have. nil is somebody whom we do not know by the name
// that was used, such as a number that was given up or a hidden id: the id alone
// will do where it is that of one conversation.
func (u *Unit) findOutgoing(contact *ContactRow, line, id string, isOurs func(*MessageRow) bool) (found *MessageRow) {
	for _, m := range u.messagesOnLine(line, id) {
		switch conv := m.ConversationRow.Survivor(); {
		case !isOurs(m) || contact != nil && conv.ContactRow != contact:
		case found == nil:
			found = m
		case found.ConversationRow.Survivor() != conv:
			return nil
		}
	}
	return found
}

// hashPrefix begins the provider ids that are none.
const hashPrefix = "sha256:"

// providerID is the arrival's id, or a hash of what came when it has none.
func providerID(a *inbound.Arrival) string {
	if a.ID != "" {
		return a.ID
	}
	sum := sha256.Sum256(a.Raw)
	return hashPrefix + hex.EncodeToString(sum[:16])
}

// dedupKey tells arrivals of one provider id apart: no two rows have both in common.
func dedupKey(a *inbound.Arrival) string { return string(a.Kind) + "@" + a.Scope() }

// cameInAs says that a row came in as the kind. Rows of earlier versions have no
// scope in their origin, but the line as the provider names it: those are known
// by their conversation's line alone.
func (m *MessageRow) cameInAs(kind inbound.Kind) (yes, former bool) {
	rest, yes := strings.CutPrefix(m.DedupKey, string(kind))
	return yes, yes && strings.HasPrefix(rest, ":")
}

// findHandled returns the row that an earlier delivery of the arrival became: of the
// person as it was named then, whoever has that name now, or as it is named now,
// since copies of a message may name the person in other ways.
func (u *Unit) findHandled(a *inbound.Arrival) *MessageRow {
	o, contact := dedupKey(a), u.lookupContact(a.Person)
	for _, m := range u.messagesOnLine(a.Line, providerID(a)) {
		same, former := m.cameInAs(a.Kind)
		if same && (former || m.DedupKey == o || contact != nil && m.ConversationRow.Survivor().ContactRow == contact) {
			return m
		}
	}
	return nil
}

func recordKey(a *inbound.Arrival) string {
	b := *a
	b.ID = providerID(a)
	return b.Key()
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

// mayHaveBeenPosted says that a message was, or may have been, handed to the provider: only
// then can there be news about it. One is uncertain without an attempt that we know
// of when the store was put back from a copy.
func mayHaveBeenPosted(m *MessageRow) bool {
	return m.Direction == directionOut && (m.DedupKey != "" || m.Attempts > 0 || m.Status == store.Uncertain)
}

// findReported returns the message that a report is about. Our own id is good for the
// one whom the message was sent to; whoever else says it has read it somewhere.
func (u *Unit) findReported(a *inbound.Arrival) *MessageRow {
	contact := u.lookupContact(a.Person)
	if m := u.messageByID[a.Report.Ref]; m != nil && contact != nil && mayHaveBeenPosted(m) {
		if conv := m.ConversationRow.Survivor(); conv.Line == a.Line && conv.ContactRow == contact {
			return m
		}
	}
	return u.findOutgoing(contact, a.Line, a.ID, mayHaveBeenPosted)
}

// takeParked returns the reports that waited for a message, and leaves those of
// others that bear the same id. One whose recipient is nobody that we know is
// good for whoever the id is.
func (u *Unit) takeParked(m *MessageRow) (mine []ParkedReport) {
	if m.ProviderID == "" {
		return nil
	}
	conv := m.ConversationRow.Survivor()
	id := ProviderID{conv.Line, m.ProviderID}
	var rest []ParkedReport
	for _, p := range u.parked[id] {
		if p.ContactKey == 0 || u.contactByRow(p.ContactKey) == conv.ContactRow {
			mine = append(mine, p)
		} else {
			rest = append(rest, p)
		}
	}
	u.parked[id] = rest
	return mine
}

// contactByRow returns the contact of an engine's key, nil for one that is not in the unit.
func (u *Unit) contactByRow(row int64) *ContactRow {
	for _, c := range u.Contacts {
		if c.Row == row {
			return c.Survivor()
		}
	}
	return nil
}

package unit

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/store"
)

// An id from outside is valid only on its line and in its conversation. Every lookup of a
// message by such an id is here.

// ProviderID is a provider's id on its line.
type ProviderID struct{ Line, ID string }

// messagesOnLine returns the messages with a provider's id on a line.
func (u *Unit) messagesOnLine(line, id string) (out []*MessageRow) {
	for _, m := range u.messagesByProviderID[id] {
		if m.ConversationRow.Survivor().Line == line {
			out = append(out, m)
		}
	}
	return out
}

// findOwn returns the message of the person's conversation on the line. A person may react
// to, edit and revoke only such messages.
func (u *Unit) findOwn(contact *ContactRow, line, id string) *MessageRow {
	for _, m := range u.messagesOnLine(line, id) {
		if contact != nil && m.ConversationRow.Survivor().ContactRow == contact {
			return m
		}
	}
	return nil
}

// findOutgoing returns our message with the provider's id on the line. contact is its
// recipient: in another conversation the id is another message's, which we do not have. A
// nil contact is a name that we do not know, such as a number that was given up or a hidden
// id: the id alone then counts, if only one conversation has it.
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

// hashPrefix begins the provider ids that we made of a hash.
const hashPrefix = "sha256:"

// providerID returns the arrival's id, or a hash of its content if it has none.
func providerID(a *inbound.Arrival) string {
	if a.ID != "" {
		return a.ID
	}
	sum := sha256.Sum256(a.Raw)
	return hashPrefix + hex.EncodeToString(sum[:16])
}

// dedupKey tells arrivals with one provider id apart: no two rows have both in common.
func dedupKey(a *inbound.Arrival) string { return string(a.Kind) + "@" + a.Scope() }

// cameInAs reports whether a row came in as the kind. Rows of earlier versions have no
// scope in their origin, but the provider's name of the line: only their conversation's
// line tells.
func (m *MessageRow) cameInAs(kind inbound.Kind) (yes, former bool) {
	rest, yes := strings.CutPrefix(m.DedupKey, string(kind))
	return yes, yes && strings.HasPrefix(rest, ":")
}

// findHandled returns the row of an earlier delivery of the arrival. It may be the person's
// by an earlier name, whoever has that now, or by a current one, since copies of a message
// may name the person in other ways.
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

// formerKey is the key of a record in earlier versions. It does not name the line, so it
// counts only for records of the same line.
func formerKey(a *inbound.Arrival) string {
	key := string(a.Kind) + ":" + a.LineRef + ":" + providerID(a)
	if a.Report != nil {
		key += ":" + a.Report.Status
	}
	return key
}

// mayHaveBeenPosted reports whether the provider has, or may have, a message: only then can
// a report be about it. After a restore a message is uncertain without a known attempt.
func mayHaveBeenPosted(m *MessageRow) bool {
	return m.Direction == directionOut && (m.DedupKey != "" || m.Attempts > 0 || m.Status == store.Uncertain)
}

// findReported returns the message that a report is about. Our own id counts only from its
// recipient: anyone else has read it somewhere.
func (u *Unit) findReported(a *inbound.Arrival) *MessageRow {
	contact := u.lookupContact(a.Person)
	if m := u.messageByID[a.Report.Ref]; m != nil && contact != nil && mayHaveBeenPosted(m) {
		if conv := m.ConversationRow.Survivor(); conv.Line == a.Line && conv.ContactRow == contact {
			return m
		}
	}
	return u.findOutgoing(contact, a.Line, a.ID, mayHaveBeenPosted)
}

// takeParked returns the reports that waited for a message, and leaves those of others with
// the same id. A report of an unknown recipient matches any message with the id.
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

// contactByRow returns the contact with an engine's key, nil if it is not in the unit.
func (u *Unit) contactByRow(row int64) *ContactRow {
	for _, c := range u.Contacts {
		if c.Row == row {
			return c.Survivor()
		}
	}
	return nil
}

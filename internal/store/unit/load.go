package unit

import (
	"slices"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/wamid"
)

// LoadSpec is what an engine loads before it lets a Unit handle a batch.
type LoadSpec struct {
	// AliasGroups are those of everybody who may be new, each person's together.
	AliasGroups [][]string
	Aliases     []string // those of AliasGroups: their contacts, and all conversations of those
	// KnownAliases are aliases of people who are only compared: their contacts are loaded
	// where there are any, and nobody is made.
	KnownAliases []string
	ProviderIDs  []ProviderID // messages, with their conversations and contacts
	MessageIDs   []string     // the same
	RecordKeys   []string     // keys that may be recorded
	// Echoes is set when rows that are sending or uncertain in the loaded
	// conversations are needed too.
	Echoes bool
	// Failures is set when a report says that a message failed after all: what was
	// answered before it is needed too. See NeedEarlierAnswers.
	Failures bool
}

// TurnLoadSpec lists what a batch may touch.
func (s *Settings) TurnLoadSpec(batch []inbound.Arrival) LoadSpec {
	var n LoadSpec
	for i := range batch {
		a := &batch[i]
		switch {
		case isMessage(a) && annotationTargetID(a) == "":
			s.addPeople(&n, a.Person)
			n.addProviderID(a.Line, providerID(a))
			n.Echoes = n.Echoes || a.Kind == inbound.Echo
			continue
		case isMessage(a):
			s.addPeople(&n, a.Person)
			n.addProviderID(a.Line, annotationTargetID(a))
		case isIdentityChange(a):
			s.addPeople(&n, a.Change.From, a.Change.To)
		case isPreference(a):
			s.addPeople(&n, a.Person)
		}
		n.RecordKeys = append(n.RecordKeys, recordKey(a), formerKey(a))
	}
	return n
}

// ReportLoadSpec lists what a batch of reports may touch.
func (s *Settings) ReportLoadSpec(batch []inbound.Arrival) LoadSpec {
	var n LoadSpec
	for i := range batch {
		a := &batch[i]
		if !isReport(a) {
			continue
		}
		n.KnownAliases = append(n.KnownAliases, s.Aliases(a.Person)...)
		n.Failures = n.Failures || store.Status(a.Report.Status) == store.Failed
		if a.ID != "" {
			n.addProviderID(a.Line, a.ID)
		}
		if a.Report.Ref != "" {
			n.MessageIDs = append(n.MessageIDs, a.Report.Ref)
		}
	}
	return n
}

// ResultLoadSpec lists what a result may touch beside its message: whoever has the phone by
// which WhatsApp knows the recipient.
func (s *Settings) ResultLoadSpec(r store.SendResult) LoadSpec {
	var n LoadSpec
	if r.WaID != "" {
		s.addPeople(&n, inbound.Person{Phone: r.WaID})
	}
	return n
}

func (s *Settings) addPeople(n *LoadSpec, all ...inbound.Person) {
	for _, p := range all {
		if names := s.Aliases(p); len(names) > 0 {
			n.AliasGroups, n.Aliases = append(n.AliasGroups, names), append(n.Aliases, names...)
		}
		if former := s.aliasSetOf(p).former; former != "" {
			n.KnownAliases = append(n.KnownAliases, former)
		}
	}
}

func (n *LoadSpec) addProviderID(line, id string) {
	n.ProviderIDs = append(n.ProviderIDs, ProviderID{line, id})
}

// NeedRecentMessages lists the conversations of which a batch needs the last messages: where
// no message has the id that a target names, so that they have to be looked at
// one by one, and where one that was spooled may have been overtaken.
func (u *Unit) NeedRecentMessages(batch []inbound.Arrival) []*ConversationRow {
	var in []*ConversationRow
	for i := range batch {
		a := &batch[i]
		contact := u.lookupContact(a.Person)
		if contact == nil || contact.conversations[a.Line] == nil {
			continue
		}
		conv, id := contact.conversations[a.Line], annotationTargetID(a)
		unnamed := id != "" && u.findOwn(contact, a.Line, id) == nil && wamid.Suffix(id) != ""
		doubtful := a.Spooled && isMessage(a) && id == "" && conv.LastMessageAt.After(a.ReceivedAt) && !conv.LastInbound.After(a.ReceivedAt)
		if (unnamed || doubtful) && !slices.Contains(in, conv) {
			in = append(in, conv)
		}
	}
	return in
}

// NeedEarlierAnswers lists the conversations whose last answer may turn out to have failed, by
// reports that are about to be applied: of those the answers before are needed.
func (u *Unit) NeedEarlierAnswers() (out []*ConversationRow) {
	for _, m := range u.Messages {
		at, answers := m.answerTime()
		if m.Direction == directionOut && answers && m.Status == store.Sent && !at.Before(m.ConversationRow.AnsweredAt) && !slices.Contains(out, m.ConversationRow) {
			out = append(out, m.ConversationRow)
		}
	}
	return out
}

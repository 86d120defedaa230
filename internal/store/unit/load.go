package unit

import (
	"slices"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/wamid"
)

// LoadSpec is what an engine loads before a Unit handles a batch.
type LoadSpec struct {
	// AliasGroups are the aliases of each person who may be new.
	AliasGroups [][]string
	Aliases     []string // AliasGroups' aliases: load their contacts, with all conversations
	// KnownAliases are aliases of people who are only compared: load their contacts if
	// there are any, and create none.
	KnownAliases []string
	ProviderIDs  []ProviderID // load the messages, with their conversations and contacts
	MessageIDs   []string     // the same
	RecordKeys   []string     // keys that may be recorded
	// Echoes also loads the rows of the loaded conversations that are sending or uncertain.
	Echoes bool
	// Failures also loads the earlier answers: a report says that a message failed after
	// all. See NeedEarlierAnswers.
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

// ResultLoadSpec lists what a result may touch beside its message: the contact with the
// phone by which WhatsApp knows the recipient.
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

// NeedRecentMessages lists the conversations whose last messages a batch needs: no message
// has a target's id, so they have to be compared one by one, or a spooled message may have
// been overtaken.
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

// NeedEarlierAnswers lists the conversations whose last answer may turn out to have failed,
// by reports that are about to be applied: they need their earlier answers.
func (u *Unit) NeedEarlierAnswers() (out []*ConversationRow) {
	for _, m := range u.Messages {
		at, answers := m.answerTime()
		if m.Direction == directionOut && answers && m.Status == store.Sent && !at.Before(m.ConversationRow.AnsweredAt) && !slices.Contains(out, m.ConversationRow) {
			out = append(out, m.ConversationRow)
		}
	}
	return out
}

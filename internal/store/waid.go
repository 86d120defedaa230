package store

import (
	"strings"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/phone"
)

// isWaID says that a text is a phone in international form: 7 to 15 digits (E.164).
func isWaID(s string) bool {
	return len(s) >= 7 && len(s) <= 15 && s[0] != '0' && strings.Trim(s, "0123456789") == ""
}

// ResultLoadSpec lists what a result may touch beside its message: whoever has the phone by
// which WhatsApp knows the recipient.
func (s *Settings) ResultLoadSpec(r SendResult) LoadSpec {
	var n LoadSpec
	if r.WaID != "" {
		s.addPeople(&n, inbound.Person{Phone: r.WaID})
	}
	return n
}

// learnWaID learns by what phone WhatsApp knows whom a row went to: it is a name of
// theirs. Who has it already is the same person, unless a user id says otherwise:
// then nothing happens. It counts only while they are written to as they were then:
// a number that was given up meanwhile comes back to nobody.
func (u *Unit) learnWaID(m *MessageRow, r SendResult) {
	conv := m.ConversationRow.Survivor()
	if r.WaID == "" || conv.Contact.Address != r.To {
		return
	}
	c, n := conv.ContactRow, u.aliasSetOf(inbound.Person{Phone: r.WaID})
	other := u.contactByAlias[n.phone]
	if other == c || other != nil && !maybeSamePerson(other, c) {
		return
	}
	action := "alias"
	if other != nil {
		action = "merge"
		u.mergeContacts(other, c)
	}
	u.bindAlias(n.phone, c)
	u.mergeFormerPhone(c, n)
	if c.Phone == "" {
		setColumn(c, &c.Phone, r.WaID)
	}
	conv = conv.Survivor()
	u.addEvent(conv, EventUpdated, eventDetail{})
	u.Audit = append(u.Audit, Owned[AuditRow]{conv, AuditRow{
		Conversation: conv.ID, Actor: string(AuthorSystem), Action: action, Detail: "phone=" + phone.Mask(r.WaID), At: u.Now,
	}})
}

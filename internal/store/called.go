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

// Called lists what a result may touch beside its message: whoever has the phone by
// which WhatsApp knows the recipient.
func (s *Settings) Called(r SendResult) Needs {
	var n Needs
	if r.WaID != "" {
		s.people(&n, inbound.Person{Phone: r.WaID})
	}
	return n
}

// called learns by what phone WhatsApp knows whom a row went to: it is a name of
// theirs. Who has it already is the same person, unless a user id says otherwise:
// then nothing happens. It counts only while they are written to as they were then:
// a number that was given up meanwhile comes back to nobody.
func (b *Book) called(m *MessageRow, r SendResult) {
	t := m.Talk.final()
	if r.WaID == "" || t.Contact.Address != r.To {
		return
	}
	c, n := t.Who, b.names(inbound.Person{Phone: r.WaID})
	o := b.who[n.phone]
	if o == c || o != nil && !canBeOne(o, c) {
		return
	}
	action := "alias"
	if o != nil {
		action = "merge"
		b.merge(o, c)
	}
	b.name(n.phone, c)
	b.rejoin(c, n)
	if c.Phone == "" {
		set(c, &c.Phone, r.WaID)
	}
	t = t.final()
	b.event(t, EventUpdated, about{})
	b.Audit = append(b.Audit, Owned[AuditRow]{t, AuditRow{
		Conversation: t.ID, Actor: string(AuthorSystem), Action: action, Detail: "phone=" + phone.Mask(r.WaID), At: b.Now,
	}})
}

package unit

import (
	"cmp"
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/phone"
	"github.com/psivisionhub/psi-router/internal/store"
)

// resolveContact returns the contact of a person: a known one, perhaps merged from two that
// turn out to be the same person, or a new one.
func (u *Unit) resolveContact(p inbound.Person) *ContactRow {
	c := u.lookupContact(p)
	if c == nil {
		c = &ContactRow{New: true, CreatedAt: u.Now}
		c.ID = u.NewID()
		u.AddContact(c)
	}
	u.linkIdentity(c, p)
	return c
}

// lookupContact looks a person up by the strongest name first. A phone whose contact has
// another user id is a recycled number: it does not lead to that contact.
func (u *Unit) lookupContact(p inbound.Person) *ContactRow {
	n := u.aliasSetOf(p)
	if c := u.contactByAlias[n.user]; c != nil {
		return c
	}
	if c := u.contactByAlias[n.parent]; c != nil {
		return c
	}
	for _, alias := range [...]string{n.phone, n.former} {
		if c := u.contactByAlias[alias]; c != nil && (p.UserID == "" || c.UserID == "") {
			return c
		}
	}
	return u.contactByAlias[n.external]
}

// linkIdentity gives the person's names to the contact. If a name belongs to another
// contact the two are merged, unless something says that they are two people; then the name
// moves.
func (u *Unit) linkIdentity(c *ContactRow, p inbound.Person) {
	n := u.aliasSetOf(p)
	p.Phone = u.dialablePhone(p)
	if n.user != "" {
		switch {
		case u.contactByAlias[n.user] == nil:
			u.bindAlias(n.user, c)
			setColumn(c, &c.UserID, p.UserID)
		case c.UserID != p.UserID:
			// The message is from before the id changed: its names are outdated.
			return
		}
	}
	if n.parent != "" {
		if other := u.contactByAlias[n.parent]; other != nil && other != c {
			u.mergeContacts(other, c)
		}
		u.bindAlias(n.parent, c)
	}
	if n.phone != "" {
		switch other := u.contactByAlias[n.phone]; {
		case other == c:
		case other != nil && (other.UserID == "" || c.UserID == ""):
			u.mergeContacts(other, c)
			setColumn(c, &c.Phone, p.Phone)
		default:
			if other != nil {
				u.unbindPhone(other, n.phone)
			}
			u.bindAlias(n.phone, c)
			setColumn(c, &c.Phone, p.Phone)
		}
		u.mergeFormerPhone(c, n)
	}
	if n.external != "" {
		if other := u.contactByAlias[n.external]; other != nil && other != c && other.Phone == "" && other.UserID == "" {
			u.mergeContacts(other, c)
		}
		u.bindAlias(n.external, c)
	}
	if c.Name == "" {
		setColumn(c, &c.Name, p.Name)
	}
	if p.Username != "" {
		setColumn(c, &c.Username, p.Username)
	}
}

// mergeFormerPhone settles the contact of a phone's alias of an earlier version: the same
// person, unless another user id says that the number was theirs once.
func (u *Unit) mergeFormerPhone(c *ContactRow, n aliasSet) {
	other := u.contactByAlias[n.former]
	switch {
	case other == nil:
		return
	case other == c:
	case maybeSamePerson(other, c):
		u.mergeContacts(other, c)
	default:
		u.unbindPhone(other, n.phone)
	}
	u.contactByAlias[n.former], u.AliasChanges[n.former] = nil, nil
}

// maybeSamePerson reports that no user id tells two contacts apart.
func maybeSamePerson(x, y *ContactRow) bool {
	return x.UserID == "" || y.UserID == "" || x.UserID == y.UserID
}

// setColumn changes a column of a contact if it differs.
func setColumn(c *ContactRow, column *string, value string) {
	if *column != value {
		*column, c.Changed = value, true
	}
}

// bindAlias gives an alias to the contact, whoever had it.
func (u *Unit) bindAlias(alias string, c *ContactRow) {
	if u.contactByAlias[alias] != c {
		u.contactByAlias[alias], u.AliasChanges[alias] = c, c
	}
}

// unbindPhone takes a phone from a contact: it is another person's now.
func (u *Unit) unbindPhone(c *ContactRow, alias string) {
	if slices.Contains(u.phoneAliases(c.Phone), alias) {
		setColumn(c, &c.Phone, "")
	}
	for _, conv := range c.conversations {
		if to := &conv.Contact.Address; to.Phone != "" && slices.Contains(u.phoneAliases(to.Phone), alias) {
			to.Phone, conv.Changed = "", true
			to.UserID = cmp.Or(to.UserID, c.UserID)
		}
	}
}

// changeIdentity carries out a person's change of number or user id: their names and
// conversations become one contact's. The old phone is given up, as it may become another
// person's; an old user id never does, and is kept. A line reports only on people who have
// a conversation on it.
func (u *Unit) changeIdentity(line string, change inbound.Change) *ContactRow {
	from, to := u.lookupContact(change.From), u.lookupContact(change.To)
	c := from
	switch {
	case from == nil && to == nil:
		return nil
	case from == nil:
		c = to
	}
	if c.conversations[line] == nil {
		return nil
	}
	if to != nil && to != c {
		u.mergeContacts(to, c)
	}
	left := []string{u.aliasSetOf(change.From).phone, phoneAlias(c.Phone, "")}
	if national := phoneAlias(c.Phone, u.Country); u.contactByAlias[national] == c {
		left = append(left, national) // if it came without its country code
	}
	if former := u.aliasSetOf(change.From).former; u.contactByAlias[former] == c {
		left = append(left, former)
	}
	now := u.aliasSetOf(change.To)
	if now.user != "" {
		u.bindAlias(now.user, c)
		setColumn(c, &c.UserID, change.To.UserID)
	}
	if now.parent != "" {
		u.bindAlias(now.parent, c)
	}
	if now.external != "" {
		u.bindAlias(now.external, c)
	}
	if now.phone != "" {
		if other := u.contactByAlias[now.phone]; other != nil && other != c {
			u.unbindPhone(other, now.phone)
		}
		u.bindAlias(now.phone, c)
		setColumn(c, &c.Phone, change.To.Phone)
		u.mergeFormerPhone(c, now)
		for _, alias := range left {
			if other := u.contactByAlias[alias]; alias != now.phone && (other == nil || other == c) {
				u.contactByAlias[alias], u.AliasChanges[alias] = nil, nil // other is nil for one that was not loaded: it is the contact's
			}
		}
	}
	for _, conv := range c.conversations {
		conv.Contact.Address = u.addressOf(change.To, conv.Contact.Address)
		conv.Changed = true
	}
	return c
}

// addressOf returns where to write to a person: exactly the latest names.
func (s *Settings) addressOf(p inbound.Person, before outbound.Address) outbound.Address {
	a := outbound.Address{Phone: s.dialablePhone(p), UserID: p.UserID, ExternalID: p.ExternalID}
	if a == (outbound.Address{}) {
		return before
	}
	return a
}

// learnWaID adds the phone by which WhatsApp knows a row's recipient to their names. A
// contact that has it already is the same person, unless a user id says otherwise; then
// nothing happens. It counts only while the recipient's address is the row's: a number that
// was given up meanwhile must not come back.
func (u *Unit) learnWaID(m *MessageRow, r store.SendResult) {
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
	u.addEvent(conv, store.EventUpdated, eventDetail{})
	u.Audit = append(u.Audit, Owned[store.AuditRow]{conv, store.AuditRow{
		Conversation: conv.ID, Actor: string(store.AuthorSystem), Action: action, Detail: "phone=" + phone.Mask(r.WaID), At: u.Now,
	}})
}

// ResolveRecipient returns the conversation with a recipient, which may be new. A known
// contact is written to by WhatsApp's names, not by the typed ones.
func (u *Unit) ResolveRecipient(to store.Recipient) *ConversationRow {
	p := to.Person
	contact := u.lookupContact(p)
	for _, alias := range u.RecipientAliases(to) {
		if c := u.contactByAlias[alias]; contact == nil && c != nil && (p.UserID == "" || c.UserID == "") {
			contact = c
		}
	}
	if contact == nil {
		if key := phone.Key(p.Phone, u.Country); key != "" {
			p.Phone = key
		}
		p.National = false
		contact = u.resolveContact(p)
	}
	conv, opened := u.conversation(contact, to.Line)
	if opened {
		conv.Contact.Address = outbound.Address{Phone: contact.Phone, UserID: contact.UserID}
		if _, heard := u.LastInboundByLine[conv.Line]; !heard {
			u.LastInboundByLine[conv.Line] = time.Time{} // the line has a conversation, and nobody wrote yet
		}
	}
	return conv
}

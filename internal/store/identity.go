package store

import (
	"cmp"
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/router"
)

// resolveContact returns the contact that a person is: a known one, perhaps joined
// from two that turn out to be the same person, or a new one.
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

// linkIdentity gives the person's names to the contact. A name that belongs to another
// contact joins the two when nothing says that they are two people, and else
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
			// A message from before the id changed: what it says is old.
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

// mergeFormerPhone settles whom a phone led to under the key of an earlier version: the same
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

// maybeSamePerson says that no user id tells two contacts apart.
func maybeSamePerson(x, y *ContactRow) bool {
	return x.UserID == "" || y.UserID == "" || x.UserID == y.UserID
}

// setColumn changes a column of a contact when it differs.
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

// changeIdentity carries out a person's change of number or user id: their names and
// conversations are one contact's afterwards. The old phone is given up, for it
// may become somebody else's; an old user id never does, and is kept. A line
// speaks only for those who have a conversation on it.
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
		left = append(left, national) // when it came without its country code
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

// unbindPhone takes a phone from a contact, who is not written to by it any more: it is
// somebody else's now.
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

// mergeContacts makes two contacts one. Of two conversations on one line one survives.
func (u *Unit) mergeContacts(from, into *ContactRow) {
	for alias, c := range u.contactByAlias {
		if c == from {
			u.contactByAlias[alias] = into
			if _, given := u.AliasChanges[alias]; given {
				u.AliasChanges[alias] = into
			}
		}
	}
	from.Merged, from.MergedInto = true, into
	u.MergedContacts = append(u.MergedContacts, from)
	into.BlockedHere = into.BlockedHere || from.BlockedHere || into.Blocked != from.Blocked
	into.Blocked = into.Blocked || from.Blocked
	into.OptedOut = into.OptedOut || from.OptedOut
	into.ChoseAt = later(into.ChoseAt, from.ChoseAt)
	into.Name = cmp.Or(into.Name, from.Name)
	into.Username = cmp.Or(into.Username, from.Username)
	into.UserID = cmp.Or(into.UserID, from.UserID)
	into.Phone = cmp.Or(into.Phone, from.Phone)
	into.Changed = true
	for _, line := range from.lines() {
		conv := from.conversations[line]
		conv.ContactRow, conv.ContactChanged, conv.Changed = into, true, true
		if mine := into.conversations[line]; mine != nil {
			into.conversations[line] = u.mergeConversations(mine, conv)
		} else {
			into.conversations[line] = conv
		}
	}
	from.conversations = nil
}

// strictness orders states: of two conversations the one that says less to the
// person survives.
var strictness = map[router.State]int{
	router.StateMenu: 0, router.StateClosed: 1, router.StateHandedOff: 2, router.StateDisconnected: 3,
}

// mergeConversations puts two conversations of one person on one line together and returns the
// one that survives: the stricter, else the one that was used last.
func (u *Unit) mergeConversations(x, y *ConversationRow) *ConversationRow {
	keep, drop := x, y
	if d := strictness[y.State] - strictness[x.State]; d > 0 || d == 0 && y.LastMessageAt.After(x.LastMessageAt) {
		keep, drop = y, x
	}
	if drop.LastInbound.After(keep.LastInbound) {
		keep.LastInbound = drop.LastInbound
		keep.Contact.Address = drop.Contact.Address
	}
	if drop.LastHuman.After(keep.LastHuman) {
		keep.LastHuman = drop.LastHuman
	}
	if drop.FileAt.After(keep.FileAt) {
		keep.FileAt = drop.FileAt
	}
	if keep.State == router.StateHandedOff && !drop.WaitingSince.IsZero() &&
		(keep.WaitingSince.IsZero() || drop.WaitingSince.Before(keep.WaitingSince)) {
		keep.WaitingSince = drop.WaitingSince
	}
	if drop.CreatedAt.Before(keep.CreatedAt) {
		keep.CreatedAt = drop.CreatedAt
	}
	keep.LastArea = lastArea(keep, drop)
	keep.Left.Since = leftSince(keep, drop)
	keep.AskedAt, keep.AnsweredAt = later(keep.AskedAt, drop.AskedAt), later(keep.AnsweredAt, drop.AnsweredAt)
	keep.ApologizedFor = later(keep.ApologizedFor, drop.ApologizedFor)
	if !isRouted(keep.State) {
		keep.AskedAt = time.Time{}
	}
	keep.Left.Reason = cmp.Or(keep.Left.Reason, drop.Left.Reason)
	keep.touch(drop.LastMessageAt)
	keep.Pending = true // perhaps: a wake-up too many costs nothing
	if drop.Ticket != "" && drop.Ticket != keep.Ticket {
		u.ResolvedTickets = append(u.ResolvedTickets, drop.Ticket)
	}
	// What the other one was about to say no longer fits.
	for _, m := range u.Messages {
		if m.ConversationRow == drop && isAutomatic(m) && (m.Status == Queued || m.Status == Sending) {
			m.Epoch, m.Changed = SupersededEpoch, true
		}
	}
	u.addEvent(drop, EventClosed, eventDetail{Merged: keep.ID})
	drop.Merged, drop.MergedInto = true, keep
	u.MergedConversations = append(u.MergedConversations, drop)
	u.addEvent(keep, EventUpdated, eventDetail{Merged: drop.ID})
	return keep
}

// lastArea is the team that had either of two conversations last.
func lastArea(keep, drop *ConversationRow) string {
	if drop.LastMessageAt.After(keep.LastMessageAt) {
		return cmp.Or(keep.Area, drop.LastArea, keep.LastArea)
	}
	return cmp.Or(keep.LastArea, drop.LastArea)
}

// leftSince is since when the person of two conversations has no answer in either.
func leftSince(keep, drop *ConversationRow) (since time.Time) {
	said := later(keep.AnsweredAt, drop.AnsweredAt)
	for _, conv := range [...]*ConversationRow{keep, drop} {
		if conv.AskedAt.After(said) && (since.IsZero() || conv.Left.Since.Before(since)) && !conv.Left.Since.IsZero() {
			since = conv.Left.Since
		}
	}
	return since
}

// addressOf is where to write to a person: exactly the names that came last.
func (s *Settings) addressOf(p inbound.Person, before outbound.Address) outbound.Address {
	a := outbound.Address{Phone: s.dialablePhone(p), UserID: p.UserID, ExternalID: p.ExternalID}
	if a == (outbound.Address{}) {
		return before
	}
	return a
}

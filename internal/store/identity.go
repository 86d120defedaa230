package store

import (
	"cmp"
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/router"
)

// identify returns the contact that a person is: a known one, perhaps joined
// from two that turn out to be the same person, or a new one.
func (b *Book) identify(p inbound.Person) *ContactRow {
	c := b.known(p)
	if c == nil {
		c = &ContactRow{New: true, CreatedAt: b.Now}
		c.ID = b.NewID()
		b.AddContact(c)
	}
	b.assign(c, p)
	return c
}

// known looks a person up by the strongest name first. A phone whose contact has
// another user id is a recycled number: it does not lead to that contact.
func (b *Book) known(p inbound.Person) *ContactRow {
	n := b.names(p)
	if c := b.who[n.user]; c != nil {
		return c
	}
	if c := b.who[n.parent]; c != nil {
		return c
	}
	for _, alias := range [...]string{n.phone, n.former} {
		if c := b.who[alias]; c != nil && (p.UserID == "" || c.UserID == "") {
			return c
		}
	}
	return b.who[n.external]
}

// assign gives the person's names to the contact. A name that belongs to another
// contact joins the two when nothing says that they are two people, and else
// moves.
func (b *Book) assign(c *ContactRow, p inbound.Person) {
	n := b.names(p)
	p.Phone = b.reachable(p)
	if n.user != "" {
		switch {
		case b.who[n.user] == nil:
			b.name(n.user, c)
			set(c, &c.UserID, p.UserID)
		case c.UserID != p.UserID:
			// A message from before the id changed: what it says is old.
			return
		}
	}
	if n.parent != "" {
		if o := b.who[n.parent]; o != nil && o != c {
			b.merge(o, c)
		}
		b.name(n.parent, c)
	}
	if n.phone != "" {
		switch o := b.who[n.phone]; {
		case o == c:
		case o != nil && (o.UserID == "" || c.UserID == ""):
			b.merge(o, c)
			set(c, &c.Phone, p.Phone)
		default:
			if o != nil {
				b.leave(o, n.phone)
			}
			b.name(n.phone, c)
			set(c, &c.Phone, p.Phone)
		}
		b.rejoin(c, n)
	}
	if n.external != "" {
		if o := b.who[n.external]; o != nil && o != c && o.Phone == "" && o.UserID == "" {
			b.merge(o, c)
		}
		b.name(n.external, c)
	}
	if c.Name == "" {
		set(c, &c.Name, p.Name)
	}
	if p.Username != "" {
		set(c, &c.Username, p.Username)
	}
}

// rejoin settles whom a phone led to under the key of an earlier version: the same
// person, unless another user id says that the number was theirs once.
func (b *Book) rejoin(c *ContactRow, n names) {
	o := b.who[n.former]
	switch {
	case o == nil:
		return
	case o == c:
	case canBeOne(o, c):
		b.merge(o, c)
	default:
		b.leave(o, n.phone)
	}
	b.who[n.former], b.Aliases[n.former] = nil, nil
}

// canBeOne says that no user id tells two contacts apart.
func canBeOne(x, y *ContactRow) bool {
	return x.UserID == "" || y.UserID == "" || x.UserID == y.UserID
}

// set changes a column of a contact when it differs.
func set(c *ContactRow, column *string, value string) {
	if *column != value {
		*column, c.Changed = value, true
	}
}

// name gives an alias to the contact, whoever had it.
func (b *Book) name(alias string, c *ContactRow) {
	if b.who[alias] != c {
		b.who[alias], b.Aliases[alias] = c, c
	}
}

// move carries out a person's change of number or user id: their names and
// conversations are one contact's afterwards. The old phone is given up, for it
// may become somebody else's; an old user id never does, and is kept. A line
// speaks only for those who have a conversation on it.
func (b *Book) move(line string, change inbound.Change) *ContactRow {
	from, to := b.known(change.From), b.known(change.To)
	c := from
	switch {
	case from == nil && to == nil:
		return nil
	case from == nil:
		c = to
	}
	if c.talks[line] == nil {
		return nil
	}
	if to != nil && to != c {
		b.merge(to, c)
	}
	left := []string{b.names(change.From).phone, phoneAlias(c.Phone, "")}
	if national := phoneAlias(c.Phone, b.Country); b.who[national] == c {
		left = append(left, national) // when it came without its country code
	}
	if former := b.names(change.From).former; b.who[former] == c {
		left = append(left, former)
	}
	now := b.names(change.To)
	if now.user != "" {
		b.name(now.user, c)
		set(c, &c.UserID, change.To.UserID)
	}
	if now.parent != "" {
		b.name(now.parent, c)
	}
	if now.external != "" {
		b.name(now.external, c)
	}
	if now.phone != "" {
		if o := b.who[now.phone]; o != nil && o != c {
			b.leave(o, now.phone)
		}
		b.name(now.phone, c)
		set(c, &c.Phone, change.To.Phone)
		b.rejoin(c, now)
		for _, alias := range left {
			if o := b.who[alias]; alias != now.phone && (o == nil || o == c) {
				b.who[alias], b.Aliases[alias] = nil, nil // o is nil for one that was not loaded: it is the contact's
			}
		}
	}
	for _, t := range c.talks {
		t.Contact.Address = b.address(change.To, t.Contact.Address)
		t.Changed = true
	}
	return c
}

// leave takes a phone from a contact, who is not written to by it any more: it is
// somebody else's now.
func (b *Book) leave(c *ContactRow, alias string) {
	if slices.Contains(b.phoneAliases(c.Phone), alias) {
		set(c, &c.Phone, "")
	}
	for _, t := range c.talks {
		if to := &t.Contact.Address; to.Phone != "" && slices.Contains(b.phoneAliases(to.Phone), alias) {
			to.Phone, t.Changed = "", true
			to.UserID = cmp.Or(to.UserID, c.UserID)
		}
	}
}

// merge makes two contacts one. Of two conversations on one line one survives.
func (b *Book) merge(from, into *ContactRow) {
	for alias, c := range b.who {
		if c == from {
			b.who[alias] = into
			if _, given := b.Aliases[alias]; given {
				b.Aliases[alias] = into
			}
		}
	}
	from.Gone, from.Into = true, into
	b.Merges = append(b.Merges, from)
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
		t := from.talks[line]
		t.Who, t.Moved, t.Changed = into, true, true
		if mine := into.talks[line]; mine != nil {
			into.talks[line] = b.fold(mine, t)
		} else {
			into.talks[line] = t
		}
	}
	from.talks = nil
}

// strictness orders states: of two conversations the one that says less to the
// person survives.
var strictness = map[router.State]int{
	router.StateMenu: 0, router.StateClosed: 1, router.StateHandedOff: 2, router.StateDisconnected: 3,
}

// fold puts two conversations of one person on one line together and returns the
// one that survives: the stricter, else the one that was used last.
func (b *Book) fold(x, y *TalkRow) *TalkRow {
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
	keep.AskedAt, keep.SaidAt = later(keep.AskedAt, drop.AskedAt), later(keep.SaidAt, drop.SaidAt)
	keep.ApologizedFor = later(keep.ApologizedFor, drop.ApologizedFor)
	if !routed(keep.State) {
		keep.AskedAt = time.Time{}
	}
	keep.Left.Reason = cmp.Or(keep.Left.Reason, drop.Left.Reason)
	keep.touch(drop.LastMessageAt)
	keep.Pending = true // perhaps: a wake-up too many costs nothing
	if drop.Ticket != "" && drop.Ticket != keep.Ticket {
		b.Resolved = append(b.Resolved, drop.Ticket)
	}
	// What the other one was about to say no longer fits.
	for _, m := range b.Messages {
		if m.Talk == drop && automatic(m) && (m.Status == Queued || m.Status == Sending) {
			m.Epoch, m.Changed = Outdated, true
		}
	}
	b.event(drop, EventClosed, about{Merged: keep.ID})
	drop.Gone, drop.Into = true, keep
	b.Folds = append(b.Folds, drop)
	b.event(keep, EventUpdated, about{Merged: drop.ID})
	return keep
}

// lastArea is the team that had either of two conversations last.
func lastArea(keep, drop *TalkRow) string {
	if drop.LastMessageAt.After(keep.LastMessageAt) {
		return cmp.Or(keep.Area, drop.LastArea, keep.LastArea)
	}
	return cmp.Or(keep.LastArea, drop.LastArea)
}

// leftSince is since when the person of two conversations has no answer in either.
func leftSince(keep, drop *TalkRow) (since time.Time) {
	said := later(keep.SaidAt, drop.SaidAt)
	for _, t := range [...]*TalkRow{keep, drop} {
		if t.AskedAt.After(said) && (since.IsZero() || t.Left.Since.Before(since)) && !t.Left.Since.IsZero() {
			since = t.Left.Since
		}
	}
	return since
}

// address is where to write to a person: exactly the names that came last.
func (s *Settings) address(p inbound.Person, before outbound.Address) outbound.Address {
	a := outbound.Address{Phone: s.reachable(p), UserID: p.UserID, ExternalID: p.ExternalID}
	if a == (outbound.Address{}) {
		return before
	}
	return a
}

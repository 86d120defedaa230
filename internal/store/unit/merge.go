package unit

import (
	"cmp"
	"time"

	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

// mergeContacts merges a contact into another one. Of two conversations on one line one
// survives.
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

// strictness orders states: of two conversations the one that says less to the person
// survives.
var strictness = map[router.State]int{
	router.StateMenu: 0, router.StateClosed: 1, router.StateHandedOff: 2, router.StateDisconnected: 3,
}

// mergeConversations merges two conversations of one person on one line and returns the
// surviving one: the stricter, else the one that was used last.
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
	keep.Pending = true // perhaps: a needless wake-up costs nothing
	if drop.Ticket != "" && drop.Ticket != keep.Ticket {
		u.ResolvedTickets = append(u.ResolvedTickets, drop.Ticket)
	}
	// The other conversation's queued replies no longer fit.
	for _, m := range u.Messages {
		if m.ConversationRow == drop && isAutomatic(m) && (m.Status == store.Queued || m.Status == store.Sending) {
			m.Epoch, m.Changed = SupersededEpoch, true
		}
	}
	u.addEvent(drop, store.EventClosed, eventDetail{Merged: keep.ID})
	drop.Merged, drop.MergedInto = true, keep
	u.MergedConversations = append(u.MergedConversations, drop)
	u.addEvent(keep, store.EventUpdated, eventDetail{Merged: drop.ID})
	return keep
}

// lastArea returns the team that had either of two conversations last.
func lastArea(keep, drop *ConversationRow) string {
	if drop.LastMessageAt.After(keep.LastMessageAt) {
		return cmp.Or(keep.Area, drop.LastArea, keep.LastArea)
	}
	return cmp.Or(keep.LastArea, drop.LastArea)
}

// leftSince returns since when the person has no answer in either of two conversations.
func leftSince(keep, drop *ConversationRow) (since time.Time) {
	said := later(keep.AnsweredAt, drop.AnsweredAt)
	for _, conv := range [...]*ConversationRow{keep, drop} {
		if conv.AskedAt.After(said) && (since.IsZero() || conv.Left.Since.Before(since)) && !conv.Left.Since.IsZero() {
			since = conv.Left.Since
		}
	}
	return since
}

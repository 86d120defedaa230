package unit

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/wamid"
)

// recordOnly keeps an arrival that is no message of a conversation as a record, and applies
// its change of a contact.
func (u *Unit) recordOnly(a *inbound.Arrival) store.Result {
	why := recordReason(a)
	if !u.addRecord(a, why, a.Detail) {
		return store.Result{Reason: router.Duplicate, Duplicate: true}
	}
	r := store.Result{Reason: why}
	var contact *ContactRow
	switch {
	case isPreference(a) && (!a.Late || a.Choice.Stop):
		contact = u.resolveContact(a.Person)
		u.setOptOut(contact, a.Choice.Stop, saidAt(u.Now, a.ReceivedAt, a.SentAt))
	case isIdentityChange(a) && !a.Late:
		contact = u.changeIdentity(a.Line, *a.Change)
	}
	if contact != nil {
		if conv := contact.conversations[a.Line]; conv != nil {
			r.Conversation, r.State, r.Wake = conv.ID, conv.State, wakeFor(conv)
		}
	}
	return r
}

// recordReason returns why an arrival becomes a record.
func recordReason(a *inbound.Arrival) router.Reason {
	if a.Quarantine != "" {
		return router.Reason(a.Quarantine)
	}
	switch a.Kind {
	case inbound.Message, inbound.Echo:
		switch {
		case a.Content == nil:
			return router.UnknownShape
		case a.Content.Group != "":
			return router.Group
		case a.Line == "":
			return router.UnknownLine
		}
		return router.Invalid // nobody wrote it
	case inbound.Identity, inbound.Preference:
		switch {
		case isPreference(a) && a.Choice.Stop: // of whatever age
			return router.OptedOut
		case a.Late:
			return router.Late
		case a.Line == "":
			return router.UnknownLine
		case a.Choice != nil && a.Choice.Stop:
			return router.OptedOut
		}
		return router.System
	case inbound.Standby:
		return router.StandbyCopy
	case inbound.History:
		return router.HistoryChunk
	case inbound.Account:
		return router.AccountNotice
	case inbound.Failure:
		return router.ProviderError
	}
	return router.UnknownShape
}

// addRecord adds a record of an arrival; false if there is one already.
func (u *Unit) addRecord(a *inbound.Arrival, why router.Reason, detail string) bool {
	key := recordKey(a)
	if u.recorded[recordName{a.Line, key}] || u.recorded[recordName{a.Line, formerKey(a)}] {
		return false
	}
	u.AddRecorded(a.Line, key)
	n := u.aliasSetOf(a.Person)
	r := RecordRow{Key: key, Person: cmp.Or(n.phone, n.user, n.parent, n.external)}
	r.Record = store.Record{
		ID: u.NewID(), Kind: a.Kind, Line: a.Line, LineRef: a.LineRef, ProviderID: providerID(a), Reason: why,
		Detail: detail, Raw: a.Raw, ReceivedAt: a.ReceivedAt,
	}
	u.Records = append(u.Records, r)
	return true
}

// setOptOut notes whether a contact wants no marketing, as they said at that time. An older
// choice than the last one changes nothing.
func (u *Unit) setOptOut(contact *ContactRow, stop bool, at time.Time) {
	if at.Before(contact.ChoseAt) {
		return
	}
	if !at.Equal(contact.ChoseAt) {
		contact.ChoseAt, contact.Changed = at, true
	}
	if contact.OptedOut != stop {
		contact.OptedOut, contact.Changed = stop, true
		u.addUpdatedEvents(contact)
	}
}

// addUpdatedEvents adds an event to each of a contact's conversations.
func (u *Unit) addUpdatedEvents(contact *ContactRow) {
	for _, line := range contact.lines() {
		u.addEvent(contact.conversations[line], store.EventUpdated, eventDetail{})
	}
}

// applyAnnotation handles a reaction, an edit or a revoke: it changes its target and
// becomes a record, never a message.
func (u *Unit) applyAnnotation(a *inbound.Arrival) store.Result {
	why := map[string]router.Reason{"reaction": router.Reaction, "edit": router.Edited, "revoke": router.Revoked}[a.Content.Type]
	if a.Late {
		why = router.Late
	}
	if !u.addRecord(a, why, "") {
		return store.Result{Reason: router.Duplicate, Duplicate: true}
	}
	r := store.Result{Reason: why}
	m := u.annotationTarget(a)
	if m == nil {
		return r
	}
	conv := m.ConversationRow.Survivor()
	r.MessageID, r.Conversation, r.State = m.ID, conv.ID, conv.State
	if a.Late {
		return r
	}
	at := earlier(u.Now, a.SentAt)
	switch {
	case a.Content.Type == "reaction":
		setReaction(m, author(a), a.Content.Emoji)
	case m.Author != author(a):
		return r // only its author can revoke a message
	case a.Content.Type == "edit":
		m.Text, m.EditedAt, m.Changed = cmp.Or(a.Content.Text, m.Text), at, true
	default:
		m.RevokedAt, m.Changed = at, true
	}
	if m.Changed {
		u.addEvent(conv, store.EventStatus, eventDetail{Message: m})
	}
	return r
}

func author(a *inbound.Arrival) store.Author {
	if a.Kind == inbound.Echo {
		return store.AuthorPhone
	}
	return store.AuthorContact
}

// annotationTarget returns the message that the arrival is about. It is always of the
// person's own conversation.
func (u *Unit) annotationTarget(a *inbound.Arrival) *MessageRow {
	contact := u.lookupContact(a.Person)
	if m := u.findOwn(contact, a.Line, a.Content.TargetID); m != nil {
		return m
	}
	return u.findBySuffix(contact, a)
}

// findBySuffix returns the message of a conversation whose id has the same suffix.
func (u *Unit) findBySuffix(contact *ContactRow, a *inbound.Arrival) *MessageRow {
	want := wamid.Suffix(a.Content.TargetID)
	if want == "" || contact == nil {
		return nil
	}
	conv := contact.conversations[a.Line]
	for _, m := range u.Messages {
		if conv != nil && m.ConversationRow.Survivor() == conv && wamid.Suffix(m.ProviderID) == want {
			return m
		}
	}
	return nil
}

// setReaction sets the author's reaction: it replaces an earlier one, and an empty one
// removes it.
func setReaction(m *MessageRow, by store.Author, emoji string) {
	emoji = strings.TrimSpace(emoji)
	i := slices.IndexFunc(m.Reactions, func(r store.Reaction) bool { return r.Author == by })
	switch {
	case i < 0 && emoji == "", i >= 0 && m.Reactions[i].Emoji == emoji:
		return
	case i < 0:
		m.Reactions = append(m.Reactions, store.Reaction{Author: by, Emoji: emoji})
	case emoji == "":
		m.Reactions = slices.Delete(slices.Clone(m.Reactions), i, i+1)
	default:
		m.Reactions = slices.Clone(m.Reactions)
		m.Reactions[i].Emoji = emoji
	}
	m.Changed = true
}

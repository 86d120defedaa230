package store

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
)

// aside handles what is no message of a conversation: it is kept as a record,
// and what changes a contact does so.
func (b *Book) aside(a *inbound.Arrival) Result {
	why := asideReason(a)
	if !b.record(a, why, a.Detail) {
		return Result{Reason: router.Duplicate, Duplicate: true}
	}
	r := Result{Reason: why}
	var who *ContactRow
	switch {
	case isWish(a) && (!a.Late || a.Choice.Stop):
		who = b.identify(a.Person)
		b.prefer(who, a.Choice.Stop, saidAt(b.Now, a.ReceivedAt, a.SentAt))
	case isMove(a) && !a.Late:
		who = b.move(a.Line, *a.Change)
	}
	if who != nil {
		if t := who.talks[a.Line]; t != nil {
			r.Conversation, r.State, r.Send = t.ID, t.State, wake(t)
		}
	}
	return r
}

// prefer notes whether a contact wants no marketing, as they said at that time. What is
// older than what they said last changes nothing.
func (b *Book) prefer(who *ContactRow, stop bool, at time.Time) {
	if at.Before(who.ChoseAt) {
		return
	}
	if !at.Equal(who.ChoseAt) {
		who.ChoseAt, who.Changed = at, true
	}
	if who.OptedOut != stop {
		who.OptedOut, who.Changed = stop, true
		b.tellAll(who)
	}
}

// saidAt is when something was said, as far as that is known: no clock of others is
// ahead of ours.
func saidAt(now, received, sent time.Time) time.Time { return earlier(earlier(now, received), sent) }

// tellAll says on each of a contact's conversations that something changed.
func (b *Book) tellAll(who *ContactRow) {
	for _, line := range who.lines() {
		b.event(who.talks[line], EventUpdated, about{})
	}
}

// asideReason says why an arrival is kept aside.
func asideReason(a *inbound.Arrival) router.Reason {
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
		case isWish(a) && a.Choice.Stop: // from whenever it comes
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

// record keeps an arrival; false says that it is there already.
func (b *Book) record(a *inbound.Arrival, why router.Reason, detail string) bool {
	key := recordKey(a)
	if b.recorded[record{a.Line, key}] || b.recorded[record{a.Line, formerKey(a)}] {
		return false
	}
	b.AddRecorded(a.Line, key)
	n := b.names(a.Person)
	r := RecordRow{Key: key, Person: cmp.Or(n.phone, n.user, n.parent, n.external)}
	r.Record = Record{
		ID: b.NewID(), Kind: a.Kind, Line: a.Line, LineRef: a.LineRef, ProviderID: providerID(a), Reason: why,
		Detail: detail, Raw: a.Raw, ReceivedAt: a.ReceivedAt,
	}
	b.Records = append(b.Records, r)
	return true
}

// mark handles a reaction, an edit or a revoke: it changes its target and never
// becomes a message. What came is kept as a record.
func (b *Book) mark(a *inbound.Arrival) Result {
	why := map[string]router.Reason{"reaction": router.Reaction, "edit": router.Edited, "revoke": router.Revoked}[a.Content.Type]
	if a.Late {
		why = router.Late
	}
	if !b.record(a, why, "") {
		return Result{Reason: router.Duplicate, Duplicate: true}
	}
	r := Result{Reason: why}
	m := b.aimed(a)
	if m == nil {
		return r
	}
	t := m.Talk.final()
	r.MessageID, r.Conversation, r.State = m.ID, t.ID, t.State
	if a.Late {
		return r
	}
	at := earlier(b.Now, a.SentAt)
	switch {
	case a.Content.Type == "reaction":
		react(m, author(a), a.Content.Emoji)
	case m.Author != author(a):
		return r // only its author can take a message back
	case a.Content.Type == "edit":
		m.Text, m.EditedAt, m.Changed = cmp.Or(a.Content.Text, m.Text), at, true
	default:
		m.RevokedAt, m.Changed = at, true
	}
	if m.Changed {
		b.event(t, EventStatus, about{Message: m})
	}
	return r
}

func author(a *inbound.Arrival) Author {
	if a.Kind == inbound.Echo {
		return AuthorPhone
	}
	return AuthorContact
}

// aimed returns the message that the arrival is about, which is always one of the
// person's own conversation.
func (b *Book) aimed(a *inbound.Arrival) *MessageRow {
	who := b.known(a.Person)
	if m := b.own(who, a.Line, a.Content.TargetID); m != nil {
		return m
	}
	return b.alike(who, a)
}

// react sets the author's reaction: the same again changes nothing, another one
// replaces it, none removes it.
func react(m *MessageRow, by Author, emoji string) {
	emoji = strings.TrimSpace(emoji)
	i := slices.IndexFunc(m.Reactions, func(r Reaction) bool { return r.Author == by })
	switch {
	case i < 0 && emoji == "", i >= 0 && m.Reactions[i].Emoji == emoji:
		return
	case i < 0:
		m.Reactions = append(m.Reactions, Reaction{Author: by, Emoji: emoji})
	case emoji == "":
		m.Reactions = slices.Delete(slices.Clone(m.Reactions), i, i+1)
	default:
		m.Reactions = slices.Clone(m.Reactions)
		m.Reactions[i].Emoji = emoji
	}
	m.Changed = true
}
